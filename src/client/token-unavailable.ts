/** The error of a caller who has no token and cannot have one now, though nobody has refused it. */

export type UnavailableCode =
  /** The service says that it cannot tell now (429, 5xx). */
  | 'temporarily_unavailable'
  /** No answer came, or not the whole of it, or not in time. */
  | 'unreachable'
  /** The function that gives the API key failed, or gave none. */
  | 'key_unavailable';

export interface UnavailableDetails {
  /** Of the last answer; undefined where there was none. */
  readonly status?: number | undefined;
  /** Seconds until it makes sense to try again: at least 1. */
  readonly retryAfter: number;
  readonly cause?: unknown;
}

/** Try again later: `retryAfter` says when. Callers that hold a living token never see it. */
export class TokenUnavailable extends Error {
  override readonly name = 'TokenUnavailable';
  readonly code: UnavailableCode;
  readonly status: number | undefined;
  /** Seconds, a whole number. */
  readonly retryAfter: number;

  constructor(code: UnavailableCode, message: string, { status, retryAfter, cause }: UnavailableDetails) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}
