/** What an instance does all the time beside answering: it follows the store, and writes down what has come together. */
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

/** Milliseconds between two looks at the revocation log, where nothing calls for one sooner. */
const interval = 100;
/** Looks at the log for each look at the ring of signing keys, and for each batch of last uses. */
const looksPerRefresh = 50;

/** Until `stop`. What fails is tried again; meanwhile the guard counts how old its knowledge is. */
export async function follow(
  { revocationLog, signingKeys, usage, logger }: Followed,
  stop: AbortSignal,
): Promise<void> {
  let isAway = false;
  const alarm = createAlarm(stop);
  const ring = createUpkeep(signingKeys, logger);
  const unwatch = revocationLog.watch(alarm.ring);
  for (let look = 1; !stop.aborted; look += 1) {
    try {
      await revocationLog.catchUp();
      if (look % looksPerRefresh === 0) await Promise.all([signingKeys.refresh(), usage.flush()]);
      ring.attend();
      if (isAway) logger.info('the store is back');
      isAway = false;
    } catch (error) {
      if (!isAway) logger.error({ err: error }, 'the store cannot be followed');
      isAway = true;
    }
    await alarm.wait(interval);
  }
  unwatch();
  await ring.rest();
  await Promise.all([usage.flush(), revocationLog.leave()]).catch((error: unknown) =>
    logger.warn({ err: error }, 'the store could not be told of the end of this instance'),
  );
}

/** Looks after the ring of signing keys beside the log: a new key takes a while, and revocations must not wait for it. */
function createUpkeep(signingKeys: SigningKeys, logger: Log): { attend(): void; rest(): Promise<void> } {
  let working: Promise<void> | undefined;
  let isFailing = false;
  const work = async (): Promise<void> => {
    try {
      await signingKeys.maintain();
      isFailing = false;
    } catch (error) {
      if (!isFailing) logger.error({ err: error }, 'the signing keys could not be seen to');
      isFailing = true;
    }
  };
  return {
    attend() {
      if (working !== undefined || !signingKeys.isDue()) return;
      working = work().finally(() => {
        working = undefined;
      });
    },
    async rest() {
      await working;
    },
  };
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
  const alarm = createAlarm(stop);
  while (!stop.aborted) {
    try {
      const deployment = await readDeployment(records, vault);
      if (deployment !== undefined) return await serve(deployment.epoch);
    } catch (error) {
      logger.error({ err: error }, 'the deployment cannot be served yet');
    }
    await alarm.wait(interval);
  }
}

/** A pause that ends early when it is rung for, or at the end of all. A ring before the pause makes it none. */
function createAlarm(stop: AbortSignal): { ring(): void; wait(milliseconds: number): Promise<void> } {
  let isRung = false;
  let wake = (): void => {};
  const ring = (): void => {
    isRung = true;
    wake();
  };
  stop.addEventListener('abort', ring, { once: true });
  return {
    ring,
    async wait(milliseconds) {
      if (!isRung) {
        await new Promise<void>(resolve => {
          const timer = setTimeout(resolve, milliseconds);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      isRung = false;
    },
  };
}
