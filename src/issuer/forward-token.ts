/**
 * The token that an upstream gets in place of the caller's credential (`"forward": "jwt"`): old keys outside, JWTs
 * inside. It says who called and is good for that controller, for a minute.
 */
import { randomUUID } from 'node:crypto';
import type { Caller } from '../access/doors.ts';
import type { AccessTokenClaims } from '../protocol/claims.ts';
import type { SigningAlgorithm } from '../protocol/token-header.ts';
import type { Clock } from '../store/store.ts';
import { type Signer, signToken } from './sign-token.ts';
import type { TokenForms } from './token-forms.ts';

export interface ForwardTokens {
  /**
   * @param controllers the controller that is called, and its GraphQL entry where there is one
   * @param audience of the controller
   */
  mint(caller: Caller, controllers: readonly string[], audience: string): Promise<string>;
}

export interface ForwardTokensOptions {
  readonly issuer: string;
  readonly forms: TokenForms;
  readonly signer: (alg: SigningAlgorithm) => Signer;
  readonly clock: Clock;
}

/** Seconds: long enough for a call under way, and for clients that take a token's last ten seconds for none. */
const life = 60;

export function createForwardTokens({ issuer, forms, signer, clock }: ForwardTokensOptions): ForwardTokens {
  return {
    mint(caller, controllers, audience) {
      const iat = Math.floor(clock() / 1000);
      const claims = claimsOf(caller, { iss: issuer, aud: audience, iat, allowed_controllers: controllers });
      const { alg, typ } = forms(audience);
      return signToken(signer(alg), claims, typ);
    },
  };
}

type Fixed = Pick<AccessTokenClaims, 'iss' | 'aud' | 'iat' | 'allowed_controllers'>;

/** Never for longer than the token that the caller came with. */
function claimsOf(caller: Caller, fixed: Fixed): AccessTokenClaims {
  const { clientId, user, token, customData } = caller;
  const sub = user ?? clientId;
  return {
    ...fixed,
    sub,
    exp: Math.min(fixed.iat + life, token?.claims.exp ?? Infinity),
    jti: randomUUID(),
    client_id: clientId,
    scope: [...caller.scopes].join(' '),
    feature: caller.feature,
    allowed_origins: [...caller.origins],
    key_version: caller.keyVersion,
    ...(sub !== clientId && { act: { sub: clientId } }),
    ...(Object.keys(customData).length > 0 && { custom_data: customData }),
  };
}
