/** `keyturn/fetch`: the guard for whatever takes a `Request` and gives a `Response`: Hono, Next, Bun, Deno, Workers. */
import type { Caller, DoorRequest } from '../access/doors.ts';
import { readCredentials } from '../protocol/credentials.ts';
import type { DoorDenialResponse } from './door-denial.ts';
import { type GuardOptions, readDemand, type RouteDemand } from './guard-options.ts';
import { judgeRequest } from './judge.ts';
import { openResourceServer, type ResourceServer } from './resource-server.ts';

export type { Caller, GuardOptions, RouteDemand };

/** Who is calling; or else the answer, which is to be given in place of the resource. */
export type Access =
  | { readonly caller: Caller; readonly response?: undefined }
  | { readonly caller?: undefined; readonly response: Response };

/** Rejects only on a fault, which is never to be answered with the resource. */
export interface FetchGuard extends Pick<ResourceServer, 'ready' | 'close'> {
  (request: Request, demand: RouteDemand): Promise<Access>;
}

/** Connects to the service. @throws {TypeError} where an option is wrong */
export function createGuard(options: GuardOptions): FetchGuard {
  const server = openResourceServer(options);
  const guard = async (request: Request, demand: RouteDemand): Promise<Access> => {
    const wanted = readDemand(demand, server.audience);
    const { decision, refusal } = await judgeRequest(readRequest(request), wanted, '', server);
    return refusal === undefined ? { caller: decision.token } : { response: responseOf(refusal) };
  };
  return Object.assign(guard, { ready: () => server.ready(), close: () => server.close() });
}

function readRequest({ headers, url }: Request): DoorRequest {
  const question = url.indexOf('?');
  const search = question === -1 ? '' : url.slice(question + 1).split('#', 1)[0]!;
  const fields = Object.fromEntries(headers);
  return { ...readCredentials(fields, search), origin: fields['origin'] };
}

function responseOf({ status, headers, body }: DoorDenialResponse): Response {
  return new Response(JSON.stringify(body), { status, headers });
}
