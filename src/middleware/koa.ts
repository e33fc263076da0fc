/** `keyturn/koa`: the guard for anyone's Koa application. */
import type { Context, Middleware } from 'koa';
import type { Caller } from '../access/doors.ts';
import type { DoorDenialResponse } from './door-denial.ts';
import { type GuardOptions, readDemand, type RouteDemand } from './guard-options.ts';
import { type JudgeOptions, judgeRequest, type ResourceDemand } from './judge.ts';
import { readNodeRequest } from './node-request.ts';
import { openResourceServer, type ResourceServer } from './resource-server.ts';

export type { Caller, GuardOptions, RouteDemand };

export interface GuardState {
  /** Who is calling, behind a guard. */
  keyturn?: Caller;
}

/** Makes a middleware for each demand, to stand before what it guards. */
export interface KoaGuard extends Pick<ResourceServer, 'ready' | 'close'> {
  (demand: RouteDemand): Middleware<GuardState>;
}

/** Connects to the service. @throws {TypeError} where an option is wrong */
export function createGuard(options: GuardOptions): KoaGuard {
  const server = openResourceServer(options);
  const guard = (demand: RouteDemand) => guardKoa(readDemand(demand, server.audience), server);
  return Object.assign(guard, { ready: () => server.ready(), close: () => server.close() });
}

/** Who is calling. @throws {Error} where no guard has let the caller in: a route that was meant to be guarded is not */
export function grantedCaller({ state }: { readonly state: GuardState }): Caller {
  if (state.keyturn !== undefined) return state.keyturn;
  throw new Error('the route is not guarded');
}

function guardKoa(demand: ResourceDemand, options: JudgeOptions): Middleware<GuardState> {
  return async (ctx, next) => {
    const request = readNodeRequest(ctx.req, ctx.originalUrl);
    const { decision, refusal } = await judgeRequest(request, demand, ctx.ip, options);
    if (refusal !== undefined) return refuse(ctx, refusal);
    ctx.state.keyturn = decision.token;
    return next();
  };
}

function refuse(ctx: Pick<Context, 'status' | 'set' | 'body'>, refusal: DoorDenialResponse): void {
  ctx.status = refusal.status;
  ctx.set(refusal.headers);
  ctx.body = JSON.stringify(refusal.body);
}
