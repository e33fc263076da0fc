/** What an instance does all the time beside answering: it follows the store, and writes down what has come together. */
import { createAlarm } from './alarm.ts';
import type { KeyUsage } from './key-usage.ts';
import type { RevocationLog } from './revocation-log.ts';
import type { SigningKeys } from './signing-keys.ts';

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
