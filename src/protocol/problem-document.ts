/** How a problem is written: the body (RFC 9457) and, for a guard's refusals, the challenge (RFC 6750, 9728). */
import { type DenialCode, type InvalidValue, type ProblemCode, problems } from './errors.ts';

export const problemMediaType = 'application/problem+json';

export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ProblemCode;
  readonly errors?: readonly InvalidValue[];
}

export function problemDocument(
  code: ProblemCode,
  detail: string = problems[code].detail,
  errors?: readonly InvalidValue[],
): ProblemDocument {
  const { title, status } = problems[code];
  return { type: `urn:keyturn:problem:${code}`, title, status, detail, code, ...(errors && { errors }) };
}

export interface Challenge {
  /** The address of the protected-resource metadata. */
  readonly resourceMetadata: string;
  /** The scope that would have sufficed. */
  readonly scope?: string | undefined;
}

/** The `WWW-Authenticate` value of a denial; undefined where the status asks for none. */
export function bearerChallenge(
  code: DenialCode,
  { resourceMetadata, scope }: Challenge,
): string | undefined {
  const error = challengeErrors[code];
  if (error === undefined) return undefined;
  const parameters = [
    'realm="keyturn"',
    ...(error === null ? [] : [`error="${error}"`, `error_description="${problems[code].title}"`]),
    ...(scope === undefined || code !== 'insufficient_scope' ? [] : [`scope="${scope}"`]),
    `resource_metadata="${resourceMetadata}"`,
  ];
  return `Bearer ${parameters.join(', ')}`;
}

/** `null`: a challenge without an error (RFC 6750 section 3: no credential was sent). Undefined: no challenge. */
const challengeErrors: Record<DenialCode, string | null | undefined> = {
  credential_missing: null,
  several_credentials: 'invalid_request',
  api_key_missing: undefined,
  api_keys_differ: undefined,
  api_key_unknown: undefined,
  api_key_unpublished: undefined,
  api_key_unusable: undefined,
  access_key_invalid: null,
  token_invalid: 'invalid_token',
  token_expired: 'invalid_token',
  token_revoked: 'invalid_token',
  audience_mismatch: 'invalid_token',
  controller_not_allowed: 'insufficient_scope',
  origin_not_allowed: 'insufficient_scope',
  insufficient_scope: 'insufficient_scope',
  revocation_state_stale: undefined,
  issuer_unreachable: undefined,
};
