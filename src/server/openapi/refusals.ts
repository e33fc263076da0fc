/** The refusals that many operations share: of the front door, of a guard, of a body. */
import { type DenialCode, type ProblemCode, problems } from '../../protocol/errors.ts';
import type { Answer } from './answers.ts';

/** Of any request at all. */
export const refusedAnywhere: readonly ProblemCode[] = [
  'malformed_request',
  'too_many_headers',
  'internal_error',
  'store_unavailable',
  'not_initialised',
];

/** Of a caller who is known, by whatever credential. */
export const refusedCaller = [
  'audience_mismatch',
  'controller_not_allowed',
  'origin_not_allowed',
  'insufficient_scope',
  'revocation_state_stale',
] as const satisfies readonly DenialCode[];

/** Of a caller with a token, or without one. */
export const refusedToken = [
  'several_credentials',
  'credential_missing',
  'token_invalid',
  'token_expired',
  'token_revoked',
  ...refusedCaller,
] as const satisfies readonly DenialCode[];

/** Of a body, before anybody looks at what it says. */
export const refusedBody: readonly ProblemCode[] = [
  'malformed_json',
  'payload_too_large',
  'unsupported_media_type',
];

/** Said on the bare connection, without a body. */
export const tooSlow: Answer = { status: 408, description: problems.request_timeout.title };
