/**
 * The guard for keys that are sent as themselves, without a token: gathers the evidence on a key, and asks for the same
 * decision as the guard for tokens.
 */
import { type Allowance, type Decision, type Demand, decideAccess, decideLife } from '../access/decide.ts';
import type { Revocations } from '../access/revocations.ts';
import type { AccessTokenClaims } from '../protocol/claims.ts';
import { type ApiKey, doorsOf, type KeySecret } from './api-key.ts';
import { unusableBecause } from './authenticate-key.ts';
import { findGrant, type FindGrantOptions } from './find-grant.ts';
import type { Grant } from './grant.ts';
import { claimsOfKey } from './key-claims.ts';
import { catchUpWith } from './settle-use.ts';
import { useCredential, type UseCredentialOptions } from './use-credential.ts';
import type { PresentedKey } from './use-key.ts';

/** A key, and all that it allows. */
export interface KeyAllowance extends Allowance {
  readonly key: ApiKey;
  /** Seconds since the epoch; the end of the key or of its secret, whichever is first, where there is one. */
  readonly exp: number | undefined;
  readonly claims: KeyClaims;
}

/** What a key is known by to resource servers: a token's claims, as far as a key has them. */
export type KeyClaims = Omit<AccessTokenClaims, 'aud' | 'exp' | 'jti'> &
  Partial<Pick<AccessTokenClaims, 'aud' | 'exp'>>;

export interface KeyGuard {
  /**
   * Decides on one call whose caller sends a key, or what the key has signed. It is a use of the key. The key stands for itself here, before its
   * own issuer, whatever the audiences of its tokens.
   *
   * @throws {OAuthError} where the key is not valid, or may not be used now
   */
  authorize(
    presented: PresentedKey,
    origin: string | undefined,
    demand: Demand,
  ): Promise<Decision<KeyAllowance>>;
  /** Decides on a key string alone, whatever it may be used for. It is no use of the key. */
  inspect(text: string): Promise<Decision<KeyAllowance>>;
  /** As of now, by what is in memory, for a key that was let in before. */
  review(allowance: KeyAllowance): Decision<KeyAllowance>;
}

export interface KeyGuardOptions extends FindGrantOptions, UseCredentialOptions {
  readonly revocations: Revocations;
}

export function createKeyGuard(options: KeyGuardOptions): KeyGuard {
  const { authenticator, revocations, clock, issuer } = options;
  return {
    async authorize(presented, origin, demand) {
      const used = await useCredential(presented, options);
      const allowance = describe(used, await findGrant(used.key, options), issuer);
      return decideAccess(evidenceOn(allowance, origin, options), demand);
    },
    async inspect(text) {
      const authenticated = await authenticator.authenticate(text);
      if (authenticated === undefined) return decideLife(strange);
      const news = revocations.ofKey(authenticated.key.id);
      const key = news === undefined ? authenticated.key : catchUpWith(news, authenticated.key, clock());
      const grant = await findGrant(key, options);
      if (
        grant === undefined ||
        unusableBecause(key, clock()) !== undefined ||
        !doorsOf(key).includes('token')
      )
        return decideLife(strange);
      return decideLife(evidenceOn(describe({ ...authenticated, key }, grant, issuer), undefined, options));
    },
    review: allowance => decideLife(evidenceOn(allowance, undefined, options)),
  };
}

/** What may not be used is, to everybody but its holder, nothing. */
const strange = {
  credential: 'not_genuine',
  origin: undefined,
  expired: false,
  revoked: false,
  stale: false,
} as const;

function evidenceOn(
  token: KeyAllowance,
  origin: string | undefined,
  { clock, revocations }: KeyGuardOptions,
) {
  return {
    credential: 'genuine',
    token,
    origin,
    expired: token.exp !== undefined && token.exp <= clock() / 1000,
    revoked: revocations.isKeyRevoked(token.key.id, token.key.version),
    stale: revocations.isStale(),
  } as const;
}

/** A key whose feature or account is gone may have nothing. */
function describe(
  { key, secret }: { readonly key: ApiKey; readonly secret: KeySecret | undefined },
  grant: Grant = { ...nothing, feature: key.feature ?? '' },
  issuer: string,
): KeyAllowance {
  const end = Math.min(key.expiresAt ?? Infinity, secret?.retiresAt ?? Infinity);
  const exp = Number.isFinite(end) ? Math.floor(end / 1000) : undefined;
  const [first, ...others] = grant.audiences;
  const claims = {
    ...claimsOfKey(key, grant, issuer),
    ...(first !== undefined && { aud: others.length === 0 ? first : grant.audiences }),
    ...(exp !== undefined && { exp }),
    iat: Math.floor((secret ?? key).createdAt / 1000),
    scope: grant.scopes.join(' '),
  };
  return {
    key,
    exp,
    claims,
    audiences: new Set([issuer]),
    scopes: new Set(grant.scopes),
    controllers: new Set(grant.controllers),
    origins: new Set(grant.origins),
  };
}

const nothing = {
  scopes: [],
  controllers: [],
  origins: [],
  audiences: [],
  bindingData: [],
  actsAs: undefined,
};
