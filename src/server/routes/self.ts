/** Who a key is, by itself: HTTP Basic with the key, or a Bearer token of its own. A rotation script needs no admin. */
import type { KeyAuthenticator } from '../../issuer/authenticate-key.ts';
import { unusableBecause } from '../../issuer/authenticate-key.ts';
import type { SettleUse } from '../../issuer/settle-use.ts';
import { parseBasic } from '../../protocol/authorization.ts';
import { Problem } from '../../protocol/errors.ts';
import { parseGuid } from '../../protocol/guid.ts';
import { allowsOrigin } from '../../protocol/origin.ts';
import type { Clock } from '../../store/store.ts';
import type { AppMiddleware } from '../context.ts';

export interface SelfGuardOptions {
  readonly authenticator: KeyAuthenticator;
  readonly settleUse: SettleUse;
  readonly clock: Clock;
  /** The guard for callers with a token. */
  readonly guarded: AppMiddleware;
}

export function createSelfGuard({
  authenticator,
  settleUse,
  clock,
  guarded,
}: SelfGuardOptions): AppMiddleware {
  return async (ctx, next) => {
    const basic = parseBasic(ctx.req.headers.authorization);
    if (basic.kind === 'none') return guarded(ctx, next);
    const authenticated = basic.kind === 'basic' ? await authenticator.authenticate(basic.secret) : undefined;
    if (authenticated === undefined || (basic.kind === 'basic' && !isOwnName(basic.id, authenticated.key.id)))
      throw invalid();
    const reason = unusableBecause(authenticated.key, clock());
    if (reason !== undefined) throw invalid(reason);
    const { origin } = ctx.req.headers;
    if (origin !== undefined && !allowsOrigin(new Set(authenticated.key.corsOrigins), origin)) {
      throw new Problem('origin_not_allowed');
    }
    const settled = await settleUse(
      authenticated,
      basic.kind === 'basic' ? basic.secret : '',
      ctx.state.address,
    );
    if (settled === undefined) throw invalid();
    ctx.state.self = settled.key.id;
    return next();
  };
}

function isOwnName(named: string, id: string): boolean {
  return named === '' || parseGuid(named) === id;
}

function invalid(reason?: string): Problem {
  const challenge = { 'WWW-Authenticate': 'Basic realm="keyturn", error="invalid_client"' };
  return new Problem('key_invalid', reason, { headers: challenge });
}
