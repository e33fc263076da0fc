/** The parameters of an OAuth request (RFC 6749 section 3.2), from a form or from JSON. */
import type { IncomingMessage } from 'node:http';
import { OAuthError, Problem } from '../protocol/errors.ts';
import { isUtf8, mediaType, parseJsonObject, readText } from './read-body.ts';

/** Values by name. Empty ones are absent; only `resource` and `audience` may have several. */
export interface Parameters {
  get(name: string): string | undefined;
  all(name: 'resource' | 'audience'): readonly string[];
}

/** Those of a request without a body. */
export const noParameters: Parameters = { get: () => undefined, all: () => [] };

/** Bytes. */
const longestBody = 65_536;
const mostParameters = 100;

/**
 * Reads the body of an OAuth request.
 *
 * @throws {OAuthError} `invalid_request`, with status 413 where the body is too large
 */
export async function readParameters(req: IncomingMessage, querystring: string): Promise<Parameters> {
  refuseQuery(querystring);
  const type = mediaType(req);
  const isForm = type === 'application/x-www-form-urlencoded';
  if ((!isForm && type !== 'application/json') || !isUtf8(req)) {
    throw new OAuthError(
      'invalid_request',
      'Send the parameters as application/x-www-form-urlencoded or as application/json, in UTF-8.',
    );
  }
  try {
    const text = await readText(req, longestBody);
    return collect(isForm ? formEntries(text) : jsonEntries(text));
  } catch (error) {
    throw asOAuthError(error);
  }
}

/**
 * RFC 6749 section 2.3.1: credentials never in the URI, where logs and histories keep them. What narrows a token is not
 * passed over there either: the token would be wider than it was meant to be.
 */
function refuseQuery(querystring: string): void {
  if (inBodyAlone.test(querystring)) {
    throw new OAuthError('invalid_request', 'Send the parameters in the body, never in the query.');
  }
}

const inBodyAlone =
  /(?:^|&)(?:client_|subject_token|grant_type|(?:token|scope|audience|resource|controllers|origins)=)/;

function asOAuthError(error: unknown): unknown {
  if (!(error instanceof Problem)) return error;
  const status = error.code === 'payload_too_large' ? 413 : 400;
  return new OAuthError('invalid_request', error.detail, { status, headers: error.headers, cause: error });
}

function formEntries(text: string): Iterable<[string, string]> {
  let separators = 0;
  for (let at = text.indexOf('&'); at !== -1; at = text.indexOf('&', at + 1)) separators += 1;
  if (separators >= mostParameters) throw tooMany();
  return new URLSearchParams(text);
}

function jsonEntries(text: string): [string, string][] {
  const members = Object.entries(parseJsonObject(text));
  if (members.length > mostParameters) throw tooMany();
  return members.flatMap(([name, value]) =>
    valuesOf(name, value).map((item): [string, string] => [name, item]),
  );
}

/** Members of other names may be anything: they are ignored. */
function valuesOf(name: string, value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (several.has(name) && Array.isArray(value) && value.every(item => typeof item === 'string'))
    return value;
  if (!known.has(name)) return [];
  throw new OAuthError('invalid_request', `The member ${name} has to be a string.`);
}

function collect(entries: Iterable<[string, string]>): Parameters {
  const values = new Map<string, string[]>();
  for (const [name, value] of entries) {
    const list = values.get(name);
    if (list === undefined) values.set(name, [value]);
    else if (several.has(name)) list.push(value);
    else throw new OAuthError('invalid_request', `The parameter ${name} stands twice: send it once.`);
    if (list !== undefined && list.length > 10) throw tooMany();
  }
  return {
    get: name => values.get(name)?.[0] || undefined,
    all: name => (values.get(name) ?? []).filter(value => value !== ''),
  };
}

function tooMany(): OAuthError {
  return new OAuthError('invalid_request', 'The request has too many parameters.');
}

const several: ReadonlySet<string> = new Set(['resource', 'audience']);

/** Every parameter that an endpoint reads. */
const parameterNames = [
  'grant_type',
  'client_id',
  'client_secret',
  'scope',
  'audience',
  'resource',
  'controllers',
  'origins',
  'subject_token',
  'subject_token_type',
  'requested_token_type',
  'actor_token',
  'client_assertion',
  'client_assertion_type',
  'token',
  'token_type_hint',
] as const;

export type ParameterName = (typeof parameterNames)[number];

const known: ReadonlySet<string> = new Set(parameterNames);
