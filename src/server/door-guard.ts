/** The guard of the service's own routes as Koa middleware: it reads every door of a route, and slows down whoever guesses. */
import type { Caller, DoorDecision } from '../access/doors.ts';
import type { Demand } from '../access/decide.ts';
import type { GenuineToken } from '../access/verify-token.ts';
import { slowDown, type Throttle } from '../issuer/throttle.ts';
import { type JudgeOptions, judgeRequest, type ResourceDemand } from '../middleware/judge.ts';
import { readCredentials } from '../protocol/credentials.ts';
import type { AppContext, AppMiddleware, AppState } from './context.ts';

export interface DoorGuardMiddlewareOptions extends JudgeOptions {
  readonly throttle: Throttle;
}

/** Makes a middleware for each demand; one that depends on the path that is called is a function of it. */
export function createDoorGuardMiddleware(options: DoorGuardMiddlewareOptions) {
  return (demandAt: (path: string) => ResourceDemand): AppMiddleware =>
    async (ctx, next) => {
      if (await isLetIn(ctx, ctx.querystring, demandAt(ctx.path), options)) await next();
    };
}

/** What a route demands whose one door is the token. */
export function demandToken(demand: Demand): ResourceDemand {
  return { ...demand, doors: ['bearer'], requireApiKey: false, isGraphql: false };
}

/**
 * Decides on the caller, and answers one that is refused.
 *
 * @param search the query that the credential may stand in: of the call itself, or of one that is asked about
 */
export async function isLetIn(
  ctx: AppContext,
  search: string,
  demand: ResourceDemand,
  options: DoorGuardMiddlewareOptions,
): Promise<boolean> {
  const { headers } = ctx.req;
  const request = { ...readCredentials(headers, search), origin: headers.origin };
  const { decision, refusal } = await judgeRequest(request, demand, ctx.state.address, options);
  ctx.state.access = decision;
  if (isGuess(decision)) slowDown(options.throttle, ctx.state.address);
  if (refusal === undefined) return true;
  ctx.status = refusal.status;
  ctx.set(refusal.headers);
  ctx.body = JSON.stringify(refusal.body);
  return false;
}

/** The caller that the guard has let in. @throws where none has: a route that was meant to be guarded is not */
export function grantedCaller({ access }: AppState): Caller {
  if (access?.allowed === true) return access.token;
  throw new Error('the route is not guarded');
}

/** The token of a caller that came with one. @throws as {@link grantedCaller} */
export function grantedToken(state: AppState): GenuineToken {
  const { token } = grantedCaller(state);
  if (token === undefined) throw new Error('the route has other doors than the token');
  return token;
}

/** A key that is valid is always served: only wrong ones are counted, and answered so. */
function isGuess(decision: DoorDecision): boolean {
  return !decision.allowed && (decision.code === 'api_key_unknown' || decision.code === 'access_key_invalid');
}
