/**
 * How long a body may take to come. Node's own limit is one for all requests, and would cut an upload to an upstream
 * that is large and not slow: so the limit is here, and a route that passes bodies on lifts it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { hasBody } from '../protocol/http-request.ts';

/** Cuts a request whose body is not whole in time, with a 408 where nothing has been answered yet. */
export function limitBody(req: IncomingMessage, res: ServerResponse, milliseconds: number): void {
  if (!hasBody(req.headers)) return;
  const timer = setTimeout(() => cut(req, res), milliseconds);
  deadlines.set(req, timer);
  req.once('close', () => clearTimeout(timer));
}

/** For a route that sees to it itself. */
export function liftBodyLimit(req: IncomingMessage): void {
  clearTimeout(deadlines.get(req));
}

function cut(req: IncomingMessage, res: ServerResponse): void {
  if (req.complete) return;
  const { socket } = req;
  // Of several requests in a row, only the first one has the socket to answer on.
  if (res.socket === socket && !res.headersSent) {
    socket.write('HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  }
  socket.destroySoon();
}

const deadlines = new WeakMap<IncomingMessage, NodeJS.Timeout>();
