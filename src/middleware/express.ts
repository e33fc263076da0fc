/** `keyturn/express`: the guard for Express, Connect, and whatever else calls `(req, res, next)`. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Caller } from '../access/doors.ts';
import type { DoorDenialResponse } from './door-denial.ts';
import { type GuardOptions, readDemand, type RouteDemand } from './guard-options.ts';
import { type JudgeOptions, judgeRequest, type ResourceDemand } from './judge.ts';
import { readNodeRequest } from './node-request.ts';
import { openResourceServer, type ResourceServer } from './resource-server.ts';

export type { Caller, GuardOptions, RouteDemand };

declare global {
  // oxlint-disable-next-line typescript/no-namespace -- it is how Express lets its request be extended
  namespace Express {
    interface Request {
      /** Who is calling, behind a guard of Keyturn. */
      keyturn?: Caller;
    }
  }
}

/** As much of Express's request as the guard reads. */
export interface GuardedRequest extends IncomingMessage {
  /** The whole URL, where a router has cut its own part from `url`. */
  originalUrl?: string;
  /** Who is calling, behind a guard. */
  keyturn?: Caller;
}

export type ExpressMiddleware = (
  req: GuardedRequest,
  res: ServerResponse,
  next: (error?: unknown) => void,
) => void;

/** Makes a middleware for each demand, to stand before what it guards. */
export interface ExpressGuard extends Pick<ResourceServer, 'ready' | 'close'> {
  (demand: RouteDemand): ExpressMiddleware;
}

/** Connects to the service. @throws {TypeError} where an option is wrong */
export function createGuard(options: GuardOptions): ExpressGuard {
  const server = openResourceServer(options);
  const guard = (demand: RouteDemand) => guardExpress(readDemand(demand, server.audience), server);
  return Object.assign(guard, { ready: () => server.ready(), close: () => server.close() });
}

/** Who is calling. @throws {Error} where no guard has let the caller in: a route that was meant to be guarded is not */
export function grantedCaller({ keyturn }: Pick<GuardedRequest, 'keyturn'>): Caller {
  if (keyturn !== undefined) return keyturn;
  throw new Error('the route is not guarded');
}

function guardExpress(demand: ResourceDemand, options: JudgeOptions): ExpressMiddleware {
  return (req, res, next) => void admit({ req, res, next }, demand, options);
}

interface Exchange {
  readonly req: GuardedRequest;
  readonly res: ServerResponse;
  /** Some routers give a promise. */
  readonly next: (error?: unknown) => unknown;
}

/** Never rejects, for nobody would hear of it; and goes on once at most, whatever comes of that. */
async function admit(exchange: Exchange, demand: ResourceDemand, options: JudgeOptions): Promise<void> {
  const { res, next } = exchange;
  const outcome = await judge(exchange, demand, options).catch(faultOf);
  try {
    if (outcome === 'let in') await next();
    else if (outcome !== 'refused') await next(outcome);
  } catch (error) {
    answerFault(res, error);
  }
}

/** Answers a refusal itself. */
async function judge(
  { req, res }: Exchange,
  demand: ResourceDemand,
  options: JudgeOptions,
): Promise<'let in' | 'refused'> {
  const request = readNodeRequest(req, req.originalUrl);
  const { decision, refusal } = await judgeRequest(request, demand, req.socket.remoteAddress ?? '', options);
  if (refusal !== undefined) {
    refuse(res, refusal);
    return 'refused';
  }
  req.keyturn = decision.token;
  return 'let in';
}

/** Express takes no error, and the word `route`, for leave to go on. */
function faultOf(error: unknown): Error {
  return error instanceof Error ? error : new Error('the guard has failed', { cause: error });
}

function refuse(res: ServerResponse, { status, headers, body }: DoorDenialResponse): void {
  // Somebody has answered meanwhile, as what looks after timeouts does, or nobody waits any more.
  if (res.headersSent || res.writableEnded || res.destroyed) return;
  const text = JSON.stringify(body);
  res.statusCode = status;
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
  res.setHeader('Content-Length', new TextEncoder().encode(text).length);
  res.end(text);
}

/**
 * What a route throws is caught by Express. Under a router that leaves it to whoever called `next`, it is no fault of the
 * guard's, which must not go on a second time, and one request is not to end the process.
 */
function answerFault(res: ServerResponse, error: unknown): void {
  // oxlint-disable-next-line no-console
  console.error('keyturn: a route behind the guard has thrown', error);
  if (res.writableEnded) return;
  if (res.headersSent) {
    res.destroy();
    return;
  }
  // What the route had said of its answer is not true of this one.
  for (const name of res.getHeaderNames()) res.removeHeader(name);
  res.setHeader('Cache-Control', 'no-store');
  res.statusCode = 500;
  res.end();
}
