/** What an instance keeps in memory, and keeps true by following the store: revocations, signing keys, last uses. */
import { confirmDeployment } from '../issuer/deployment.ts';
import { follow } from '../issuer/follow.ts';
import type { Foundation } from '../issuer/foundation.ts';
import { createKeyUsage, type KeyUsage } from '../issuer/key-usage.ts';
import { createRevocationFeed, type RevocationFeed } from '../issuer/revocation-feed.ts';
import {
  createRevocationLog,
  type RevocationLog,
  type RevocationLogOptions,
} from '../issuer/revocation-log.ts';
import { openSigningKeys, type SigningKeys } from '../issuer/signing-keys.ts';
import type { Instance } from './instance.ts';

export interface Memory {
  readonly revocationLog: RevocationLog;
  readonly revocationFeed: RevocationFeed;
  readonly signingKeys: SigningKeys;
  readonly usage: KeyUsage;
}

/** Reads all of it, and follows from then on. @throws {StoreUnavailable} */
export async function openMemory(instance: Instance): Promise<Memory> {
  const { foundation, settings, logger } = instance;
  const revocationFeed = createRevocationFeed({
    store: foundation.store,
    revocations: () => revocationLog.revocations,
    monotonic,
    onFailure: error => logger.warn({ err: error }, 'a listener to revocations could not be served'),
  });
  instance.ending.addEventListener('abort', () => revocationFeed.close(), { once: true });
  const revocationLog: RevocationLog = createLog(foundation, {
    maxStaleness: settings.maxStaleness,
    onRingChanged: () => signingKeys.refresh(),
    listener: revocationFeed,
    onMalformedEntry: id => logger.error({ entry: id }, 'an entry of the revocation log cannot be read'),
    onLogLost: putBack =>
      logger.error({ putBack }, 'the store had lost revocations that are in force: they were put back'),
  });
  const signingKeys = await openRing(instance, revocationLog);
  await revocationLog.catchUp();
  await signingKeys.maintain();
  const usage = createKeyUsage(foundation.records);
  instance.running.push(follow({ revocationLog, signingKeys, usage, logger }, instance.stop));
  return { revocationLog, revocationFeed, signingKeys, usage };
}

type LogHooks = Pick<
  RevocationLogOptions,
  'maxStaleness' | 'onRingChanged' | 'listener' | 'onMalformedEntry' | 'onLogLost'
>;

export function createLog({ store, clock, epoch }: Foundation, hooks: LogHooks = writingOnly): RevocationLog {
  const confirm = async () => {
    if (epoch !== undefined) await confirmDeployment(store, epoch);
  };
  return createRevocationLog({ store, clock, confirm, monotonic, ...hooks });
}

const monotonic = () => performance.now();

/** For a log that is written to and not followed. */
const writingOnly: LogHooks = {
  maxStaleness: 0,
  onRingChanged: async () => {},
  onMalformedEntry: () => {},
  onLogLost: () => {},
};

function openRing(
  { foundation, settings, catalogue, logger }: Instance,
  revocationLog: RevocationLog,
): Promise<SigningKeys> {
  const asked = [...catalogue.audiences.values()].flatMap(({ alg }) => alg ?? []);
  return openSigningKeys({
    ...foundation,
    algs: [...new Set([settings.signingAlg, ...asked])],
    lead: settings.signingLead,
    period: settings.signingPeriod,
    revocationLog,
    onChange: facts => logger.info(facts, 'the ring of signing keys has changed'),
  });
}
