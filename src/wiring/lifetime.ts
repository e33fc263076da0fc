/** How long what was begun goes on: what tells it to end, what has to be waited for then, and what is closed after it. */
import type { Logger } from 'pino';

/** What an instance is given of it. */
export interface Lifetime {
  /** Says that answers which would never end are to end now. */
  readonly ending: AbortSignal;
  /** Says that loops are to end. */
  readonly stop: AbortSignal;
  /** Loops that end when `stop` says so. */
  readonly running: Promise<void>[];
}

/** That of a whole service. */
export interface ServiceLifetime extends Lifetime {
  /** Rejects where work that was watched over has failed. */
  readonly failure: Promise<never>;
  /** Work that goes on behind a service that is open: where it fails, that must not go unheard. */
  watchOver(work: Promise<void>): void;
  /** Closes it in the end, the last first. */
  closeLater(thing: { close(): Promise<void> }): void;
  /** Ends the answers that would never end. */
  endAnswers(): void;
  /** Ends everything else, and waits for it. */
  end(): Promise<void>;
}

export function createLifetime(logger: Pick<Logger, 'fatal'>): ServiceLifetime {
  const [ending, stop] = [new AbortController(), new AbortController()];
  const running: Promise<void>[] = [];
  const open: { close(): Promise<void> }[] = [];
  let fail: (reason: unknown) => void;
  const failure = new Promise<never>((_, reject) => (fail = reject));
  const giveUp = (error: unknown): void => {
    logger.fatal({ err: error }, 'there is no serving, and no waiting for it: this does not heal by itself');
    fail(error);
  };
  return {
    ending: ending.signal,
    stop: stop.signal,
    running,
    failure,
    watchOver: work => void running.push(work.catch(giveUp)),
    closeLater: thing => void open.unshift(thing),
    endAnswers: () => ending.abort(),
    async end() {
      stop.abort();
      await Promise.allSettled(running);
      for (const thing of open.splice(0)) await thing.close();
    },
  };
}

/** Where a try fails, what it has begun ends with it, before there can be another. */
export async function tryWithin<T>(whole: Lifetime, work: (own: Lifetime) => Promise<T>): Promise<T> {
  const failed = new AbortController();
  const running: Promise<void>[] = [];
  const until = (signal: AbortSignal) => AbortSignal.any([signal, failed.signal]);
  try {
    const done = await work({ ending: until(whole.ending), stop: until(whole.stop), running });
    whole.running.push(...running);
    return done;
  } catch (error) {
    failed.abort();
    await Promise.allSettled(running);
    throw error;
  }
}
