/** `keyturn/express`: the guard for Express, Connect, and whatever else calls `(req, res, next)`. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Caller } from '../access/doors.ts';
import type { DoorDenialResponse } from './door-denial.ts';
import { type GuardOptions, readDemand, type RouteDemand } from './guard-options.ts';
import { type JudgeOptions, type Judgement, judgeRequest, type ResourceDemand } from './judge.ts';
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
  readonly next: (error?: unknown) => void;
}

async function admit(
  { req, res, next }: Exchange,
  demand: ResourceDemand,
  options: JudgeOptions,
): Promise<void> {
  const request = readNodeRequest(req, req.originalUrl);
  let judgement: Judgement;
  try {
    judgement = await judgeRequest(request, demand, req.socket.remoteAddress ?? '', options);
  } catch (error) {
    next(error);
    return;
  }
  if (judgement.refusal !== undefined) return refuse(res, judgement.refusal);
  req.keyturn = judgement.decision.token;
  next();
}

function refuse(res: ServerResponse, { status, headers, body }: DoorDenialResponse): void {
  const text = JSON.stringify(body);
  res.statusCode = status;
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
  res.setHeader('Content-Length', new TextEncoder().encode(text).length);
  res.end(text);
}
