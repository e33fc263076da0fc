/** How a guard's refusal is answered: the same status, headers and body in every framework. */
import type { Decision } from '../access/decide.ts';
import { retryAfterSeconds } from '../protocol/errors.ts';
import {
  bearerChallenge,
  type ProblemDocument,
  problemDocument,
  problemMediaType,
} from '../protocol/problem-document.ts';

export interface DenialResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: ProblemDocument;
}

export interface DenialContext {
  /** The address of the protected-resource metadata (RFC 9728). */
  readonly resourceMetadata: string;
  /** The scope that the route asks for. */
  readonly scope: string | undefined;
}

export function denialResponse(
  denial: Decision & { allowed: false },
  context: DenialContext,
): DenialResponse {
  const body = problemDocument(denial.code, denial.detail);
  const challenge = bearerChallenge(denial.code, context);
  return {
    status: body.status,
    headers: {
      'Content-Type': problemMediaType,
      'Cache-Control': 'no-store',
      ...(challenge !== undefined && { 'WWW-Authenticate': challenge }),
      ...(body.status === 503 && { 'Retry-After': String(retryAfterSeconds) }),
    },
    body,
  };
}
