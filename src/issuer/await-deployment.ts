/** What an instance does while there is nothing to serve from: it waits for the store, and for a deployment in it. */
import { StoreUnavailable, StoreUnfit } from '../store/store.ts';
import { createAlarm } from './alarm.ts';
import { readDeployment } from './deployment.ts';
import type { Log } from './follow.ts';
import type { Foundation } from './foundation.ts';

/** Milliseconds between two tries. */
const [betweenStores, betweenDeployments] = [1000, 100];

/** Whether waiting may heal it: the store is away, and not another, or one that does not let us in. */
export function isPassing(error: unknown): boolean {
  return error instanceof StoreUnavailable && !(error instanceof StoreUnfit);
}

/** Opens the foundation as soon as that can be done. Undefined where `stop` came first. */
export async function awaitFoundation(
  open: () => Promise<Foundation>,
  logger: Log,
  stop: AbortSignal,
): Promise<Foundation | undefined> {
  const tell = createTeller(logger, 'the store cannot be used yet');
  const alarm = createAlarm(stop);
  while (!stop.aborted) {
    try {
      return await open();
    } catch (error) {
      tell(error);
    }
    await alarm.wait(betweenStores);
  }
  return undefined;
}

/** Waits for a deployment to be made on a store that has none, as `keyturn init` does, and then serves it. */
export async function awaitDeployment(
  { records, vault, logger }: Pick<Foundation, 'records' | 'vault'> & { readonly logger: Log },
  serve: (epoch: string) => Promise<void>,
  stop: AbortSignal,
): Promise<void> {
  const tell = createTeller(logger, 'the deployment cannot be served yet');
  const alarm = createAlarm(stop);
  while (!stop.aborted) {
    try {
      const deployment = await readDeployment(records, vault);
      if (deployment !== undefined) return await serve(deployment.epoch);
    } catch (error) {
      tell(error);
    }
    await alarm.wait(betweenDeployments);
  }
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
