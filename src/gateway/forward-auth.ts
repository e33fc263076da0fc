/**
 * The request that a proxy asks about, as its headers describe it (nginx `auth_request`, Traefik, Caddy, Envoy). What is
 * missing, contradicts itself or could be read in two ways is refused: the proxy might read it in the other.
 */
import type { Caller } from '../access/doors.ts';
import { Problem } from '../protocol/errors.ts';
import { isWellEncoded } from '../protocol/http-request.ts';
import { describeCaller, identityFields } from './identity-fields.ts';

export interface ForwardedRequest {
  /** Upper case; `HEAD` stays `HEAD`. */
  readonly method: string;
  /** Path and query, as the proxy received them. */
  readonly url: string;
  readonly path: string;
  /** Without its question mark. */
  readonly search: string;
}

/** What a doorway for proxies has to know of them. */
export interface ForwardAuth {
  /** From the headers. @throws {Problem} `malformed_request` */
  read(headers: Headers): ForwardedRequest;
  /** From a method and an address that were told otherwise. @throws {Problem} `malformed_request` */
  describe(method: string, url: string): ForwardedRequest;
  /** What the proxy is told of a caller who may pass, as header fields. */
  identify(caller: Caller, controller: string): Readonly<Record<string, string>>;
}

export function createForwardAuth(): ForwardAuth {
  return {
    read: readForwardedRequest,
    describe: describeForwarded,
    identify: (caller, controller) => identityFields(controller, describeCaller(caller)),
  };
}

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/**
 * From `X-Original-Method`/`-URI` or `X-Forwarded-Method`/`-Uri`.
 *
 * @param headers by lower-case name
 * @throws {Problem} `malformed_request`
 */
export function readForwardedRequest(headers: Headers): ForwardedRequest {
  const method = agreed(headers, ['x-original-method', 'x-forwarded-method'], 'method');
  const url = agreed(headers, ['x-original-uri', 'x-original-url', 'x-forwarded-uri'], 'URI');
  return describeForwarded(method, url);
}

function describeForwarded(method: string, url: string): ForwardedRequest {
  if (!/^[A-Z]{3,7}$/.test(method)) throw refuse('The forwarded method is none.');
  const [path = '', ...query] = url.split('?');
  if (!url.startsWith('/') || url.length > longestUrl || !isWellEncoded(url))
    throw refuse('The forwarded URI is not a well percent-encoded path and query.');
  if (ambiguousPath.test(path))
    throw refuse('The path of the forwarded URI can be read in two ways: send it normalised.');
  return { method, url, path, search: query.join('?') };
}

const longestUrl = 16_384;

/** Empty and dot segments, and encoded slashes, backslashes, dots, semicolons, percent signs and control characters. */
const ambiguousPath = /\/\/|\\|\/\.{1,2}(?:\/|$)|%(?:2f|5c|2e|25|3b|0[0-9a-f]|1[0-9a-f]|7f)|;/i;

/** All that are sent, and at least one is, say the same. */
function agreed(headers: Headers, names: readonly string[], what: string): string {
  const [value, ...others] = new Set(names.map(name => headers[name]).filter(sent => sent !== undefined));
  if (value === undefined)
    throw refuse(`The proxy does not say the ${what} of the request that it asks about.`);
  if (others.length > 0 || typeof value !== 'string')
    throw refuse(`The headers differ on the ${what} of the request that is asked about.`);
  return value;
}

function refuse(detail: string): Problem {
  return new Problem('malformed_request', detail);
}
