/** A request of `node:http`, as the guard reads it: the same whether Koa, Express or nobody stands before it. */
import type { IncomingMessage } from 'node:http';
import type { DoorRequest } from '../access/doors.ts';
import { readCredentials } from '../protocol/credentials.ts';

/**
 * Node keeps the first of two `Authorization` fields and says nothing of the other: here they are both seen, joined, and so
 * are no credential.
 *
 * @param url as it was requested: a router may have cut its own part from `req.url`
 */
export function readNodeRequest(req: IncomingMessage, url: string = req.url ?? ''): DoorRequest {
  const headers = req.headersDistinct;
  const question = url.indexOf('?');
  const search = question === -1 ? '' : url.slice(question + 1);
  return { ...readCredentials(headers, search), origin: headers['origin']?.join(', ') };
}
