/** What an instance does all the time beside answering: it follows the store, and writes down what has come together. */
import { setTimeout as delay } from 'node:timers/promises';
import { readDeployment } from './deployment.ts';
import type { KeyUsage } from './key-usage.ts';
import type { Records } from './records.ts';
import type { RevocationLog } from './revocation-log.ts';
import type { SigningKeys } from './signing-keys.ts';
import type { Vault } from './vault.ts';

export interface Followed {
  readonly revocationLog: RevocationLog;
  readonly signingKeys: SigningKeys;
  readonly usage: KeyUsage;
  readonly logger: Log;
}

/** As much of a logger as this needs. */
export interface Log {
  info(message: string): void;
  warn(message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/** Milliseconds between two looks at the revocation log. */
const interval = 100;
/** Looks at the log for each look at the ring of signing keys, and for each batch of last uses. */
const looksPerRefresh = 50;

/** Until `stop`. What fails is tried again; meanwhile the guard counts how old its knowledge is. */
export async function follow(
  { revocationLog, signingKeys, usage, logger }: Followed,
  stop: AbortSignal,
): Promise<void> {
  let isAway = false;
  for (let look = 1; !stop.aborted; look += 1) {
    try {
      await revocationLog.catchUp();
      if (look % looksPerRefresh === 0) await Promise.all([signingKeys.refresh(), usage.flush()]);
      if (isAway) logger.info('the store is back');
      isAway = false;
    } catch (error) {
      if (!isAway) logger.error({ err: error }, 'the store cannot be followed');
      isAway = true;
    }
    await pause(stop);
  }
  await usage
    .flush()
    .catch((error: unknown) => logger.warn({ err: error }, 'the last uses of keys could not be written'));
}

/** Waits for a deployment to be made on a store that has none, as `keyturn init` does, and then serves it. */
export async function awaitDeployment(
  { records, vault, logger }: { records: Records; vault: Vault; logger: Log },
  serve: (epoch: string) => Promise<void>,
  stop: AbortSignal,
): Promise<void> {
  logger.warn(
    'the store holds no deployment: run "keyturn init" once; until then everything is answered with 503',
  );
  while (!stop.aborted) {
    try {
      const deployment = await readDeployment(records, vault);
      if (deployment !== undefined) return await serve(deployment.epoch);
    } catch (error) {
      logger.error({ err: error }, 'the deployment cannot be served yet');
    }
    await pause(stop);
  }
}

async function pause(stop: AbortSignal): Promise<void> {
  try {
    await delay(interval, undefined, { signal: stop });
  } catch (error) {
    if (!stop.aborted) throw error;
  }
}
