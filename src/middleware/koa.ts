/** The guard as Koa middleware. */
import type { Context, Middleware } from 'koa';
import type { Decision, Demand } from '../access/decide.ts';
import type { Guard } from '../access/guard.ts';
import type { GenuineToken } from '../access/verify-token.ts';
import { type Credentials, readCredentials } from '../protocol/credentials.ts';
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
      const { headers } = ctx.req;
      const credentials = readCredentials(headers, ctx.querystring);
      const { authorization } = credentials;
      const otherCredentials = countOtherCredentials(credentials);
      const decision = await guard.authorize(
        { authorization, origin: headers.origin, otherCredentials },
        wanted,
      );
      ctx.state.decision = decision;
      if (!decision.allowed) return refuse(ctx, decision, { resourceMetadata, scope: wanted.scope });
      return next();
    };
}

/** Those beside `Authorization`: on a route whose one door is the token, each is one too many. */
function countOtherCredentials({ apiKeys, accessKey, tokenInQuery }: Credentials): number {
  return [apiKeys.length > 0, accessKey !== undefined, tokenInQuery].filter(Boolean).length;
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
