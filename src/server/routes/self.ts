/** Who a key is, by itself: HTTP Basic with the key, or a Bearer token of its own. A rotation script needs no admin. */
import type { GenuineToken } from '../../access/verify-token.ts';
import { doorsOf, isForPagesOf } from '../../issuer/api-key.ts';
import { type KeyAuthenticator, unusableBecause } from '../../issuer/authenticate-key.ts';
import type { IsWholeToken } from '../../issuer/whole-token.ts';
import type { SettleUse } from '../../issuer/settle-use.ts';
import { slowDown, type Throttle } from '../../issuer/throttle.ts';
import { parseBasic } from '../../protocol/authorization.ts';
import { Problem } from '../../protocol/errors.ts';
import type { Clock } from '../../store/store.ts';
import type { AppMiddleware } from '../context.ts';
import { grantedToken } from '../door-guard.ts';

export interface SelfGuardOptions {
  readonly authenticator: KeyAuthenticator;
  readonly settleUse: SettleUse;
  readonly throttle: Throttle;
  readonly clock: Clock;
  readonly isWholeToken: IsWholeToken;
  /** The guard for callers with a token. */
  readonly guarded: AppMiddleware;
}

export function createSelfGuard(options: SelfGuardOptions): AppMiddleware {
  return async (ctx, next) => {
    const { authorization, origin } = ctx.req.headers;
    const basic = parseBasic(authorization);
    if (basic.kind === 'none') {
      return options.guarded(ctx, async () => {
        await requireWholeToken(grantedToken(ctx.state), options);
        await next();
      });
    }
    const credentials = basic.kind === 'basic' ? basic : { id: '', secret: '' };
    ctx.state.self = await identifyKey(credentials, origin, ctx.state.address, options);
    return next();
  };
}

/** Whoever holds a token that was narrowed must not get the key with it. */
async function requireWholeToken(token: GenuineToken, { isWholeToken }: SelfGuardOptions): Promise<void> {
  if (await isWholeToken(token)) return;
  throw new Problem(
    'insufficient_scope',
    'The token was narrowed: send the key itself, or a token with all of its scopes.',
  );
}

/** The id of the key, which may be used now, from where it is used. */
async function identifyKey(
  { id, secret }: { id: string; secret: string },
  origin: string | undefined,
  address: string,
  { authenticator, settleUse, throttle, clock }: SelfGuardOptions,
): Promise<string> {
  const authenticated = await authenticator.authenticate(secret, id === '' ? undefined : id);
  if (authenticated === undefined) {
    slowDown(throttle, address);
    throw invalid();
  }
  const { key } = authenticated;
  const reason = unusableBecause(key, clock());
  if (reason !== undefined) throw invalid(reason);
  if (!doorsOf(key).includes('token')) throw invalid('The API key was made for other doors.');
  if (origin !== undefined && !isForPagesOf(key, origin)) throw new Problem('origin_not_allowed');
  const settled = await settleUse(authenticated, secret, address);
  if (settled === undefined) throw invalid();
  return settled.key.id;
}

function invalid(reason?: string): Problem {
  const challenge = { 'WWW-Authenticate': 'Basic realm="keyturn", error="invalid_client"' };
  return new Problem('key_invalid', reason, { headers: challenge });
}
