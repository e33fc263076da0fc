/** How a guard's refusal is answered: the same status, headers and body in every framework. */
import { type DenialCode, retryAfterSeconds } from '../protocol/errors.ts';
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

/** Why it was refused, and where it was found: what more there is to say. */
export interface Denial {
  readonly code: DenialCode;
  readonly detail?: string;
}

export function denialResponse(denial: Denial, context: DenialContext): DenialResponse {
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
