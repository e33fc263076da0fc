/** How long to leave the service alone, in milliseconds: after refusals, failures, and tokens that were not accepted. */

/** A refused key does not get better by asking often. */
export function refusalPause(refusals: number): number {
  return growing(1000, refusals);
}

/** Exponential, with full jitter: many clients that failed together are not to come back together. */
export function failurePause(failures: number, random: () => number): number {
  return growing(500, failures) * random();
}

/** A server that answers 401 to every token is not to make a token request of each call. */
export function renewalPause(renewals: number): number {
  return growing(1000, renewals);
}

/** Within which nobody looks whether a refused key has been replaced. */
export const lookPause = 1000;

function growing(first: number, count: number): number {
  return Math.min(first * 2 ** (count - 1), 30_000);
}

export interface SharedPause {
  /** Milliseconds that are left. */
  left(): number;
  /** Keeps everybody waiting for so long, at least. */
  extend(length: number): void;
}

/** What the service asks of one token's requests it asks of all. @param monotonic milliseconds */
export function createSharedPause(monotonic: () => number): SharedPause {
  let end = -Infinity;
  return {
    left: () => end - monotonic(),
    extend(length) {
      end = Math.max(end, monotonic() + length);
    },
  };
}
