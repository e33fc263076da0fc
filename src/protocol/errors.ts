/**
 * Everything that can go wrong, as closed lists: the error codes of the OAuth endpoints (RFC 6749, 8693, 8707) and
 * the problem codes of every other route (RFC 9457). Each has one row that says what the caller sees (`title`, and
 * `detail` where the cause adds nothing) and what the log says.
 */

export type OAuthErrorCode =
  | 'invalid_request'
  | 'invalid_client'
  | 'unauthorized_client'
  | 'unsupported_grant_type'
  | 'invalid_scope'
  | 'invalid_target'
  | 'insufficient_scope'
  | 'temporarily_unavailable'
  | 'server_error';

/** Why a guard refused a call. */
export type DenialCode =
  | 'credential_missing'
  | 'several_credentials'
  | 'api_key_missing'
  | 'api_keys_differ'
  | 'api_key_unknown'
  | 'api_key_unpublished'
  | 'api_key_unusable'
  | 'access_key_invalid'
  | 'token_invalid'
  | 'token_expired'
  | 'token_revoked'
  | 'audience_mismatch'
  | 'controller_not_allowed'
  | 'origin_not_allowed'
  | 'insufficient_scope'
  | 'revocation_state_stale'
  | 'issuer_unreachable';

export type ProblemCode =
  | DenialCode
  | 'malformed_request'
  | 'malformed_json'
  | 'validation_failed'
  | 'not_found'
  | 'method_not_allowed'
  | 'conflict'
  | 'precondition_failed'
  | 'idempotency_key_reused'
  | 'idempotency_outcome_unknown'
  | 'role_not_allowed'
  | 'proxy_not_trusted'
  | 'key_invalid'
  | 'payload_too_large'
  | 'unsupported_media_type'
  | 'too_many_headers'
  | 'too_many_requests'
  | 'request_timeout'
  | 'upstream_unreachable'
  | 'upstream_timeout'
  | 'store_unavailable'
  | 'not_initialised'
  | 'internal_error';

interface ErrorRow {
  readonly status: number;
  /** For the caller: constant for the code (RFC 9457 section 3.1.3). */
  readonly title: string;
  /** For the caller, where the place that found it says nothing more exact: the cause and the cure. */
  readonly detail: string;
  /** For the log. */
  readonly log: string;
}

export const oauthErrors: Record<OAuthErrorCode, { readonly status: number; readonly log: string }> = {
  invalid_request: { status: 400, log: 'the token request is malformed' },
  invalid_client: { status: 401, log: 'client authentication failed' },
  unauthorized_client: { status: 400, log: 'the client may not use this grant' },
  unsupported_grant_type: { status: 400, log: 'the grant type is not offered' },
  invalid_scope: { status: 400, log: 'more scope was asked for than the key has' },
  invalid_target: { status: 400, log: 'an audience was asked for that the key may not have' },
  insufficient_scope: { status: 403, log: 'the client may not do this' },
  temporarily_unavailable: { status: 503, log: 'the store is away' },
  server_error: { status: 500, log: 'an unexpected fault' },
};

export const problems: Record<ProblemCode, ErrorRow> = {
  credential_missing: {
    status: 401,
    title: 'A credential is required',
    detail:
      'Send an access token as "Authorization: Bearer <token>"; POST /oauth/token issues one for an API key.',
    log: 'no credential was sent',
  },
  several_credentials: {
    status: 400,
    title: 'More than one credential',
    detail: 'Send one credential, in one place: the request carries several.',
    log: 'several credentials were sent in one request',
  },
  api_key_missing: {
    status: 400,
    title: 'An API key is required',
    detail: "SSC API key is required. Pass with 'sc_apikey' query string or HTTP header.",
    log: 'no sc_apikey was sent',
  },
  api_keys_differ: {
    status: 400,
    title: 'Two different API keys',
    detail:
      "The 'sc_apikey' of the query string and that of the HTTP header differ: send one, or the same twice.",
    log: 'several sc_apikey were sent that are not the same',
  },
  api_key_unknown: {
    status: 400,
    title: 'The API key is not valid',
    detail:
      "Provided SSC API keyData is not valid. Send the id of a key whose doors include 'sc_apikey', as a GUID.",
    log: 'there is no such sc_apikey',
  },
  api_key_unpublished: {
    status: 400,
    title: 'The API key is not published',
    detail: 'Provided SSC API keyData is not valid. The key is a draft: publish it.',
    log: 'the sc_apikey is a draft',
  },
  api_key_unusable: {
    status: 400,
    title: 'The API key may not be used now',
    detail: 'Provided SSC API keyData is not valid. The key was disabled or revoked, or it has expired.',
    log: 'the sc_apikey is not active',
  },
  access_key_invalid: {
    status: 401,
    title: 'The access key is not valid',
    detail: 'Send the access key of an account as X-SF-Access-Key.',
    log: 'the access key is not valid',
  },
  token_invalid: {
    status: 401,
    title: 'The access token is not valid',
    detail: 'The token is malformed, or was not issued here. Request a new one at POST /oauth/token.',
    log: 'the token is not genuine',
  },
  token_expired: {
    status: 401,
    title: 'The access token has expired',
    detail: 'Request a new token at POST /oauth/token.',
    log: 'the token has expired',
  },
  token_revoked: {
    status: 401,
    title: 'The access token has been revoked',
    detail:
      'The token, or the API key behind it, was revoked or changed. Request a new token at POST /oauth/token.',
    log: 'the token or its key was revoked',
  },
  audience_mismatch: {
    status: 401,
    title: 'The access token is for another audience',
    detail: 'Request a token with the audience of this resource.',
    log: 'the token is for another audience',
  },
  controller_not_allowed: {
    status: 403,
    title: 'The API key may not use this controller',
    detail: 'Ask the owner of the API key to allow the controller, or use a key of another feature.',
    log: 'the controller is not among those of the key',
  },
  origin_not_allowed: {
    status: 403,
    title: 'The API key may not be used from this origin',
    detail: "Ask the owner of the API key to add the page's origin to the key's CORS origins.",
    log: 'the origin is not among those of the key',
  },
  insufficient_scope: {
    status: 403,
    title: 'The access token lacks a scope',
    detail: 'Request a token with the scope, or use a key of a feature that has it.',
    log: 'the scope of the route is not granted',
  },
  revocation_state_stale: {
    status: 503,
    title: 'The service cannot tell whether the token is revoked',
    detail: 'Nothing is wrong with the token as far as is known: keep it, and try again.',
    log: 'the revocation state is too old to decide by',
  },
  issuer_unreachable: {
    status: 503,
    title: 'Whoever issued the credential cannot be asked about it',
    detail: 'Nothing is wrong with the credential as far as is known: keep it, and try again.',
    log: 'the issuer of the credential is not reachable',
  },
  malformed_request: {
    status: 400,
    title: 'The request is malformed',
    detail: 'Mend the request and send it again.',
    log: 'the request is malformed',
  },
  malformed_json: {
    status: 400,
    title: 'The body is not valid JSON',
    detail: 'Send one JSON document in UTF-8, without duplicate member names.',
    log: 'the body is not JSON',
  },
  validation_failed: {
    status: 422,
    title: 'The request was understood, but a value is not acceptable',
    detail: 'See errors for each value and what it may be.',
    log: 'a value is not acceptable',
  },
  not_found: {
    status: 404,
    title: 'Not found',
    detail: 'There is nothing at this address.',
    log: 'there is nothing at the address',
  },
  method_not_allowed: {
    status: 405,
    title: 'Method not allowed',
    detail: 'Use one of the methods of the Allow header.',
    log: 'the method is not offered there',
  },
  conflict: {
    status: 409,
    title: 'The state of the resource does not permit this',
    detail: 'Read the resource again and decide anew.',
    log: 'the state of the resource does not permit this',
  },
  precondition_failed: {
    status: 412,
    title: 'The resource has changed since it was read',
    detail: 'Read it again, and send the ETag of that answer as If-Match.',
    log: 'the resource has changed since the caller read it',
  },
  idempotency_outcome_unknown: {
    status: 409,
    title: 'A request with this Idempotency-Key is under way, or broke off',
    detail: 'Send it again, with the same key, in half a minute.',
    log: 'a request with this idempotency key is under way, or broke off',
  },
  idempotency_key_reused: {
    status: 422,
    title: 'The Idempotency-Key was used for another request',
    detail: 'Use a new key for each new request, and the same key only to repeat one.',
    log: 'an idempotency key was used for another request',
  },
  key_invalid: {
    status: 401,
    title: 'The API key is not valid',
    detail: 'Send the whole API key as the password of HTTP Basic, or a token of the key as Bearer.',
    log: 'the API key is not valid',
  },
  proxy_not_trusted: {
    status: 403,
    title: 'The proxy is not trusted',
    detail: 'Only the addresses in KEYTURN_TRUSTED_PROXIES may ask about the requests of others.',
    log: 'somebody who is no trusted proxy asked about a request',
  },
  role_not_allowed: {
    status: 403,
    title: 'The role of the account does not permit this',
    detail: 'Ask an account of a higher role.',
    log: 'the role of the account does not permit this',
  },
  payload_too_large: {
    status: 413,
    title: 'The body is too large',
    detail: 'Send a smaller body.',
    log: 'the body is too large',
  },
  unsupported_media_type: {
    status: 415,
    title: 'Unsupported media type',
    detail: 'Send application/json in UTF-8, without content encoding.',
    log: 'the media type or encoding of the body is not supported',
  },
  too_many_headers: {
    status: 431,
    title: 'Too many header fields',
    detail: 'Send fewer header fields.',
    log: 'too many header fields',
  },
  too_many_requests: {
    status: 429,
    title: 'Too many failed attempts',
    detail: 'Wait as long as Retry-After says.',
    log: 'an address has failed too often',
  },
  request_timeout: {
    status: 408,
    title: 'The body came too slowly',
    detail: 'Send the whole body without long pauses.',
    log: 'the caller sent nothing of its body for too long',
  },
  upstream_unreachable: {
    status: 502,
    title: 'The server behind this resource is not reachable',
    detail: 'Nothing is wrong with the credential: try again. Its operator has to see to the server.',
    log: 'the upstream is not reachable, or what it sent is no HTTP',
  },
  upstream_timeout: {
    status: 504,
    title: 'The server behind this resource does not answer',
    detail:
      'Nothing is wrong with the credential. Whether the call took effect is unknown: look before trying again.',
    log: 'the upstream did not answer in time',
  },
  store_unavailable: {
    status: 503,
    title: 'The store is not reachable',
    detail: 'Whether a change took effect is unknown: try again.',
    log: 'the store is away',
  },
  not_initialised: {
    status: 503,
    title: 'The deployment is not initialised',
    detail: 'Its operator has to run "keyturn init" once.',
    log: 'the store holds no deployment',
  },
  internal_error: {
    status: 500,
    title: 'Internal error',
    detail: 'The fault is on this side and has been logged.',
    log: 'an unexpected fault',
  },
};

/** Seconds after which a caller who met a 503 may try again. */
export const retryAfterSeconds = 1;

/** Characters; descriptions may repeat what a caller sent. */
const longestDescription = 400;

/** An error answer of an OAuth endpoint. The description is ASCII without `"` and `\` (RFC 6749 section 5.2). */
export class OAuthError extends Error {
  override readonly name = 'OAuthError';
  readonly code: OAuthErrorCode;
  readonly description: string;
  /** Where the code's own status does not apply, as a bad `subject_token` (RFC 8693 section 2.2.2). */
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: OAuthErrorCode, description: string, options: OAuthErrorOptions = {}) {
    super(`${code}: ${description}`, { cause: options.cause });
    this.code = code;
    this.description = description
      .slice(0, longestDescription)
      .replaceAll('"', "'")
      .replaceAll(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, '?');
    this.status = options.status ?? oauthErrors[code].status;
    this.headers = options.headers ?? {};
  }
}

interface OAuthErrorOptions {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** The credential was not a valid API key: what a throttle counts, whichever code the door answers. */
export class BadCredential extends OAuthError {}

/** A value that is not acceptable, by JSON pointer (RFC 6901) into the body. */
export interface InvalidValue {
  readonly pointer: string;
  readonly detail: string;
}

/** A problem answer (RFC 9457) of any route that is not an OAuth endpoint. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: ProblemCode;
  readonly detail: string;
  readonly errors: readonly InvalidValue[] | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ProblemCode, detail?: string, options: ProblemOptions = {}) {
    super(`${code}: ${detail ?? problems[code].log}`, { cause: options.cause });
    this.code = code;
    this.detail = detail ?? problems[code].detail;
    this.errors = options.errors;
    this.headers = options.headers ?? {};
  }

  get status(): number {
    return problems[this.code].status;
  }
}

/** Values that are not acceptable: the detail names each of them by where it stands. */
export function invalidValues(
  errors: readonly InvalidValue[],
  code: 'validation_failed' | 'malformed_request' = 'validation_failed',
): Problem {
  const parts = errors.map(({ pointer, detail }) => (pointer === '' ? detail : `${pointer}: ${detail}`));
  // Most details are sentences already.
  return new Problem(code, parts.join('; ').replaceAll('.; ', '. '), { errors });
}

interface ProblemOptions {
  readonly errors?: readonly InvalidValue[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}
