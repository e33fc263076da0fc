/** The guard of resource routes as Koa middleware: it reads every door of the route, and slows down whoever guesses. */
import type { DoorDecision, DoorDemand, DoorGuard } from '../access/doors.ts';
import type { Throttle } from '../issuer/throttle.ts';
import { doorDenialResponse } from '../middleware/door-denial.ts';
import { readCredentials } from '../protocol/credentials.ts';
import { Problem } from '../protocol/errors.ts';
import type { AppContext, AppMiddleware, AppState } from './context.ts';

/** What a route asks, and how its clients read a refusal. */
export interface ResourceDemand extends DoorDemand {
  readonly isGraphql: boolean;
}

export interface DoorGuardMiddlewareOptions {
  readonly doorGuard: DoorGuard;
  readonly throttle: Throttle;
  /** The address of the protected-resource metadata (RFC 9728). */
  readonly resourceMetadata: string;
}

/** Makes a middleware for each demand; one that depends on the path that is called is a function of it. */
export function createDoorGuardMiddleware(options: DoorGuardMiddlewareOptions) {
  return (demand: ResourceDemand | ((request: { path: string }) => ResourceDemand)): AppMiddleware =>
    async (ctx, next) => {
      const wanted = typeof demand === 'function' ? demand(ctx) : demand;
      if (await isLetIn(ctx, ctx.querystring, wanted, options)) await next();
    };
}

/**
 * Decides on the caller, and answers one that is refused.
 *
 * @param search the query that the credential may stand in: of the call itself, or of one that is asked about
 */
export async function isLetIn(
  ctx: AppContext,
  search: string,
  wanted: ResourceDemand,
  options: DoorGuardMiddlewareOptions,
): Promise<boolean> {
  const { headers } = ctx.req;
  const request = { ...readCredentials(headers, search), origin: headers.origin };
  const decision = await options.doorGuard.authorize(request, wanted, ctx.state.address);
  ctx.state.access = decision;
  if (!decision.allowed) refuse(ctx, decision, wanted, options);
  return decision.allowed;
}

/** The caller that the guard has let in. @throws where none has: a route that was meant to be guarded is not */
export function callerOf({ access }: AppState) {
  if (access?.allowed === true) return access.token;
  throw new Error('the route is not guarded');
}

function refuse(
  ctx: AppContext,
  denial: DoorDecision & { allowed: false },
  { scope, isGraphql }: ResourceDemand,
  { throttle, resourceMetadata }: DoorGuardMiddlewareOptions,
): void {
  if (denial.code === 'api_key_unknown' || denial.code === 'access_key_invalid')
    slowDown(throttle, ctx.state.address);
  const { status, headers, body } = doorDenialResponse(denial, { resourceMetadata, scope, isGraphql });
  ctx.status = status;
  ctx.set(headers);
  ctx.body = JSON.stringify(body);
}

/** A key that is valid is always served: only wrong ones are counted, and answered so. @throws {Problem} */
function slowDown(throttle: Throttle, address: string): void {
  const seconds = throttle.wait(address);
  throttle.fail(address);
  if (seconds > 0)
    throw new Problem('too_many_requests', undefined, { headers: { 'Retry-After': String(seconds) } });
}
