/**
 * How many ask the service at a time, and whether anybody does while it gives no answers: callers are not to wait for it one
 * after the other, and it is not to meet all of them at once when it comes back.
 */
import { IssuerUnreachable } from './service-calls.ts';

/** Asks, now or when it is its turn. @throws {IssuerUnreachable} also where others have just found out for all, or too many wait */
export type Turnstile = <Answer>(ask: () => Promise<Answer>) => Promise<Answer>;

export interface TurnstileOptions {
  /** Milliseconds of a clock that no one sets. */
  readonly monotonic: () => number;
  /** Milliseconds that somebody waits for a turn at most. */
  readonly patience: number;
}

/** Those who ask at a time. */
const width = 64;
/** Those who wait for a turn: more would not have one before their patience ends. */
const longestQueue = 2000;
/** Milliseconds for which nobody asks after a failure; then one does, and the others hear of it. */
const rest = 1000;

export function createTurnstile({ monotonic, patience }: TurnstileOptions): Turnstile {
  const waiting: Turn[] = [];
  let asking = 0;
  let failure: { readonly error: IssuerUnreachable; readonly until: number } | undefined;

  const enter = async (): Promise<void> => {
    if (failure !== undefined && (asking > 0 || monotonic() < failure.until)) throw failure.error;
    if (asking < width) asking += 1;
    else if (waiting.length >= longestQueue) throw crowded();
    else await new Promise<void>((go, refuse) => waiting.push({ go, refuse, since: monotonic() }));
  };
  /** Who waits takes the place of whoever leaves. */
  const leave = (): void => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (monotonic() - next.since < patience) return next.go();
      next.refuse(crowded());
    }
    asking -= 1;
  };
  const fail = (error: IssuerUnreachable): void => {
    failure = { error, until: monotonic() + Math.max(rest, error.retryAfter * 1000) };
    for (const { refuse } of waiting.splice(0)) refuse(error);
  };

  return async ask => {
    await enter();
    try {
      const answer = await ask();
      failure = undefined;
      return answer;
    } catch (error) {
      if (isOfService(error)) fail(error);
      throw error;
    } finally {
      leave();
    }
  };
}

interface Turn {
  readonly go: () => void;
  readonly refuse: (error: IssuerUnreachable) => void;
  /** Monotonic milliseconds. */
  readonly since: number;
}

function crowded(): IssuerUnreachable {
  return new IssuerUnreachable('too many questions wait for an answer');
}

/** Rather than of the question: what one caller sent must not keep the others from being asked about. */
function isOfService(error: unknown): error is IssuerUnreachable {
  if (!(error instanceof IssuerUnreachable)) return false;
  const { status = 0 } = error;
  return !(status >= 400 && status < 500) || [401, 403, 404, 429].includes(status);
}
