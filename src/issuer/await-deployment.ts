/**
 * What an instance does while there is nothing to serve from: it waits for the store, and for a deployment in it. What no
 * waiting heals ends the wait, as it would have ended the start.
 */
import { StoreUnavailable, StoreUnfit } from '../store/store.ts';
import { createAlarm } from './alarm.ts';
import { readDeployment } from './deployment.ts';
import type { Log } from './follow.ts';
import type { Foundation } from './foundation.ts';

/** Milliseconds between two tries. */
const [betweenStores, betweenDeployments] = [1000, 100];

/** Milliseconds for which a store may be unfit: in a failover a node may be found that is a replica, and promoted then. */
const longestUnfit = 60_000;

/** Whether waiting may heal it: the store is away, and not another, or one that does not let us in. */
export function isPassing(error: unknown): boolean {
  return error instanceof StoreUnavailable && !(error instanceof StoreUnfit);
}

/**
 * Opens the foundation as soon as that can be done.
 *
 * @returns undefined where `stop` came first
 * @throws what `open` ends with where no waiting heals it, as {@link WrongSecrets}, and a store that stays unfit
 */
export function awaitFoundation(
  open: () => Promise<Foundation>,
  logger: Log,
  stop: AbortSignal,
): Promise<Foundation | undefined> {
  return persist(open, { pause: betweenStores, message: 'the store cannot be used yet', logger, stop });
}

/**
 * Waits for a deployment to be made on a store that has none, as `keyturn init` does, and then serves it.
 *
 * @throws {WrongSecrets} where it is made with others, and what `serve` ends with where no waiting heals it
 */
export async function awaitDeployment(
  { records, vault, logger }: Pick<Foundation, 'records' | 'vault'> & { readonly logger: Log },
  serve: (epoch: string) => Promise<void>,
  stop: AbortSignal,
): Promise<void> {
  const attempt = async (): Promise<true | undefined> => {
    const deployment = await readDeployment(records, vault);
    if (deployment === undefined) return undefined;
    await serve(deployment.epoch);
    return true;
  };
  const message = 'the deployment cannot be served yet';
  await persist(attempt, { pause: betweenDeployments, message, logger, stop });
}

interface Persistence {
  /** Milliseconds. */
  readonly pause: number;
  readonly message: string;
  readonly logger: Log;
  readonly stop: AbortSignal;
}

/** Tries until there is a result. @throws what is not passing */
async function persist<T>(
  attempt: () => Promise<T | undefined>,
  { pause, message, logger, stop }: Persistence,
): Promise<T | undefined> {
  const tell = createTeller(logger, message);
  const alarm = createAlarm(stop);
  let unfitFor = 0;
  while (!stop.aborted) {
    try {
      const result = await attempt();
      if (result !== undefined) return result;
      unfitFor = 0;
    } catch (error) {
      if (stop.aborted) return undefined;
      unfitFor = error instanceof StoreUnfit ? unfitFor + pause : 0;
      const isUnfitYet = unfitFor > 0 && unfitFor < longestUnfit;
      if (!isPassing(error) && !isUnfitYet) throw error;
      tell(error);
    }
    await alarm.wait(pause);
  }
  return undefined;
}

/** Says each reason once, until there is another. */
function createTeller(logger: Log, message: string): (error: unknown) => void {
  let told = '';
  return error => {
    const reason = String(error);
    if (reason !== told) logger.error({ err: error }, message);
    told = reason;
  };
}
