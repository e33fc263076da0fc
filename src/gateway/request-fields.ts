/**
 * Decides which header fields an upstream gets: the caller's, without credentials and without what only we may say;
 * then who calls, and from where.
 */
import type { IncomingMessage } from 'node:http';
import { Problem } from '../protocol/errors.ts';
import { connectionFieldsOf, eachField, foldName } from './header-fields.ts';
import { identityFields } from './identity-fields.ts';
import type { UpstreamCall } from './upstream-call.ts';

/**
 * Names and values in turn. Framing is written anew, from what was parsed.
 *
 * @throws {Problem} `malformed_request` where the request says that it means another method
 */
export function forwardedFields(req: IncomingMessage, authority: string, call: UpstreamCall): string[] {
  const fields = ['Host', authority];
  const endsHere = connectionFieldsOf(req.rawHeaders);
  for (const { name, lowerName, value } of eachField(req.rawHeaders)) {
    if (endsHere(lowerName) || isReplaced(lowerName, call)) continue;
    const folded = foldName(lowerName);
    if (methodFields.has(folded)) checkMethod(value, req);
    else if (lowerName === 'cookie') fields.push(...field(name, foreignCookies(value)));
    else if (!isWithheld(folded, call)) fields.push(name, value);
  }
  fields.push(
    ...framing(req),
    ...way(req, call),
    ...Object.entries(identityFields(call.controller, call.caller)).flat(),
  );
  if (typeof call.authorization === 'object') {
    fields.push('Authorization', `Bearer ${call.authorization.bearer}`);
  }
  return fields;
}

/** Written by us, whatever the caller wrote; the answer to an expectation has been given by then. */
function isReplaced(name: string, { authorization }: UpstreamCall): boolean {
  if (name === 'authorization') return authorization !== 'pass';
  return name === 'host' || name === 'content-length' || name === 'expect';
}

function isWithheld(folded: string, { client }: UpstreamCall): boolean {
  if (folded.startsWith('x-keyturn-') || credentials.has(folded) || pathFields.has(folded)) return true;
  if (folded === 'x-forwarded-for') return true;
  return !client.isProxyTrusted && (folded.startsWith('x-forwarded-') || wayFields.has(folded));
}

const credentials: ReadonlySet<string> = new Set(['sc-apikey', 'x-sf-access-key']);

/** Some servers let them stand for the path: the guard has decided on the path itself. */
const pathFields: ReadonlySet<string> = new Set(['x-original-url', 'x-original-uri', 'x-rewrite-url']);

const methodFields: ReadonlySet<string> = new Set([
  'x-http-method-override',
  'x-http-method',
  'x-method-override',
  'x-original-method',
]);

/** What proxies say of the caller; of anybody else it is hearsay. */
const wayFields: ReadonlySet<string> = new Set([
  'forwarded',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'true-client-ip',
  'cf-connecting-ip',
  'fastly-client-ip',
]);

/** A POST that an upstream takes for a DELETE would have been asked for the wrong scope. */
function checkMethod(value: string, { method = '' }: IncomingMessage): void {
  if (value.trim().toUpperCase() === method) return;
  throw new Problem(
    'malformed_request',
    'Send the method itself: a header field that overrides it is refused.',
  );
}

/** The service's own cookies are nobody else's. */
function foreignCookies(value: string): string {
  return value
    .split(';')
    .filter(pair => !isOwnCookie(pair))
    .join(';')
    .trim();
}

export function isOwnCookie(pair: string): boolean {
  return /^\s*(?:__(?:Host|Secure)-)?keyturn/i.test(pair);
}

function field(name: string, value: string): string[] {
  return value === '' ? [] : [name, value];
}

function framing({ method = '', headers }: IncomingMessage): string[] {
  if (headers['transfer-encoding'] !== undefined) return ['Transfer-Encoding', 'chunked'];
  const length = headers['content-length'];
  if (length !== undefined) return ['Content-Length', length];
  return method === 'POST' || method === 'PUT' || method === 'PATCH' ? ['Content-Length', '0'] : [];
}

function way({ headers }: IncomingMessage, { client }: UpstreamCall): string[] {
  const fields = ['X-Forwarded-For', client.address, 'Via', '1.1 keyturn'];
  const isTold = (name: string) => client.isProxyTrusted && headers[name] !== undefined;
  if (!isTold('x-forwarded-host')) fields.push(...field('X-Forwarded-Host', headers.host ?? ''));
  if (!isTold('x-forwarded-proto')) fields.push('X-Forwarded-Proto', 'http');
  return fields;
}
