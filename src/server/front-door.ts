/**
 * What no request may be, whatever its address: ambiguous. Node keeps the first of two `Host` or `Authorization` fields,
 * joins others, and drops fields beyond a limit, all in silence; a proxy before us may have read the other one.
 */
import type { IncomingMessage } from 'node:http';
import type { Middleware } from 'koa';
import { Problem } from '../protocol/errors.ts';
import { isWellEncoded } from '../protocol/http-request.ts';

/** Header fields that a request may have. */
const mostHeaders = 100;

export function createFrontDoor(): Middleware {
  return (ctx, next) => {
    checkTarget(ctx.req);
    checkHeaders(ctx.req);
    return next();
  };
}

/** Origin-form alone (RFC 9112 section 3.2.1): absolute-form and `*` are a proxy's business, and we are none. */
function checkTarget({ url = '' }: IncomingMessage): void {
  if (!url.startsWith('/'))
    throw new Problem('malformed_request', 'Send the path alone as the request target.');
  if (!isWellEncoded(url)) {
    throw new Problem(
      'malformed_request',
      'The request target is not a well percent-encoded path and query.',
    );
  }
}

function checkHeaders({ rawHeaders }: IncomingMessage): void {
  if (rawHeaders.length > mostHeaders * 2) {
    throw new Problem('too_many_headers', `Send at most ${mostHeaders} header fields.`, {
      headers: { Connection: 'close' },
    });
  }
  const seen = new Set<string>();
  for (let place = 0; place < rawHeaders.length; place += 2) {
    const name = rawHeaders[place]!.toLowerCase();
    if (!singular.has(name)) continue;
    if (seen.has(name))
      throw new Problem('malformed_request', `The header field ${name} stands twice: send it once.`);
    if (name === 'host' && rawHeaders[place + 1] === '')
      throw new Problem('malformed_request', 'The Host field is empty.');
    seen.add(name);
  }
}

/** Fields that decide something, and that must therefore say one thing. */
const singular: ReadonlySet<string> = new Set([
  'host',
  'authorization',
  'origin',
  'content-length',
  'content-type',
  'content-encoding',
  'transfer-encoding',
  'sc_apikey',
  'x-sf-access-key',
  'dpop',
  'access-control-request-method',
  'access-control-request-headers',
  'forwarded',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-method',
  'x-forwarded-uri',
  'x-original-method',
  'x-original-uri',
  'x-original-url',
  'idempotency-key',
  'if-match',
]);
