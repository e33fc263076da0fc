/** The guard as Koa middleware. */
import type { Context, Middleware } from 'koa';
import type { Decision, Demand } from '../access/decide.ts';
import type { Guard } from '../access/guard.ts';
import type { GenuineToken } from '../access/verify-token.ts';
import { type DenialContext, denialResponse } from './denial.ts';

export interface GuardState {
  /** What the guard decided; absent on a route that has none. */
  decision?: Decision;
}

/**
 * Who is calling, behind a guard.
 *
 * @throws where no guard has let the caller in: a route that was meant to be guarded is not
 */
export function grantedAccess({ decision }: GuardState): GenuineToken {
  if (decision?.allowed === true) return decision.token;
  throw new Error('the route is not guarded');
}

export interface KoaGuardOptions {
  readonly guard: Guard;
  /** The address of the protected-resource metadata (RFC 9728). */
  readonly resourceMetadata: string;
}

/** Makes a middleware for each demand: `guarded({ audience, controllers, scope })`. */
export function createKoaGuard({ guard, resourceMetadata }: KoaGuardOptions) {
  return (demand: Demand | ((request: { path: string }) => Demand)): Middleware<GuardState> =>
    async (ctx, next) => {
      const wanted = typeof demand === 'function' ? demand(ctx) : demand;
      const decision = await guard.authorize(
        {
          authorization: ctx.req.headers.authorization,
          origin: ctx.req.headers.origin,
          otherCredentials: countOtherCredentials(ctx),
        },
        wanted,
      );
      ctx.state.decision = decision;
      if (!decision.allowed) return refuse(ctx, decision, { resourceMetadata, scope: wanted.scope });
      return next();
    };
}

/** A token in the query is never read (RFC 9700 section 4.3.2), but beside another credential it is one too many. */
function countOtherCredentials({ req, querystring }: Pick<Context, 'req' | 'querystring'>): number {
  let others = 0;
  if (req.headers['x-sf-access-key'] !== undefined) others += 1;
  if (req.headers['sc_apikey'] !== undefined || /(?:^|&)sc_apikey=/i.test(querystring)) others += 1;
  if (/(?:^|&)access_token=/.test(querystring)) others += 1;
  return others;
}

function refuse(
  ctx: Pick<Context, 'status' | 'set' | 'body'>,
  denial: Decision & { allowed: false },
  context: DenialContext,
): void {
  const { status, headers, body } = denialResponse(denial, context);
  ctx.status = status;
  ctx.set(headers);
  ctx.body = JSON.stringify(body);
}
