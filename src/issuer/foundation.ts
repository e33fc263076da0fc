/** What a deployment stands on: an open store, and secrets that are known to be the right ones for it. */
import { ConfigurationError, showValue } from '../config/problems.ts';
import type { Settings } from '../config/settings.ts';
import { openDataDirectory } from '../store/data-directory.ts';
import { openStore, type OpenStoreOptions } from '../store/open-store.ts';
import type { Clock, Store } from '../store/store.ts';
import { readDeployment, WrongSecrets } from './deployment.ts';
import { prepareDeployment } from './initialise.ts';
import { markInService, openLocalSecrets, wasInService } from './local-secrets.ts';
import { createRecords, type Records } from './records.ts';
import { createVault, type Vault } from './vault.ts';

export interface Foundation {
  readonly store: Store;
  readonly vault: Vault;
  readonly records: Records;
  readonly clock: Clock;
  /** Undefined where the store holds no deployment. */
  readonly epoch: string | undefined;
}

/**
 * Opens the store. The embedded one is taken into service where it is new; Redis is only by `keyturn init`.
 *
 * @throws {ConfigurationError} where there can be no data directory
 * @throws {StoreUnavailable} where it cannot be opened
 * @throws {WrongSecrets} where it is not the store of these secrets, or was lost
 */
export async function openDeployment(
  settings: Settings,
  options: Pick<OpenStoreOptions, 'clock' | 'onWarning' | 'signal'>,
): Promise<Foundation> {
  const { redisUrl, dataDir } = settings;
  const { clock } = options;
  if (redisUrl === undefined) await requireDirectory(dataDir);
  const store = await openStore({ redisUrl, dataDir, ...options });
  try {
    const open = redisUrl === undefined ? openEmbedded : openShared;
    return await open(store, settings, clock);
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** @throws {ConfigurationError} where there is none, and none can be made */
async function requireDirectory(dataDir: string): Promise<void> {
  try {
    await openDataDirectory(dataDir);
  } catch (error) {
    const { code = 'no reason is known' } = error as NodeJS.ErrnoException;
    const expected = `a directory, or where one can be made (${code})`;
    throw new ConfigurationError([{ where: 'KEYTURN_DATA_DIR', was: showValue(dataDir), expected }]);
  }
}

async function openEmbedded(store: Store, settings: Settings, clock: Clock): Promise<Foundation> {
  const { dataDir, signingAlg } = settings;
  const isNew = (await store.get('deployment')) === undefined;
  if (isNew && (await wasInService(dataDir))) {
    throw new WrongSecrets(
      `the store in ${dataDir} was in service and is empty now: restore it, or begin anew in another directory`,
    );
  }
  const vault = createVault(await openLocalSecrets(dataDir, settings, isNew));
  const records = createRecords(store, vault);
  if (isNew) await prepareDeployment({ records, vault, clock, alg: signingAlg });
  const deployment = await readDeployment(records, vault);
  if (deployment !== undefined) await markInService(dataDir, deployment.epoch);
  return { store, vault, records, clock, epoch: deployment?.epoch };
}

async function openShared(store: Store, { peppers, masterKey }: Settings, clock: Clock): Promise<Foundation> {
  if (peppers === undefined || masterKey === undefined) {
    throw new WrongSecrets('KEYTURN_PEPPER and KEYTURN_MASTER_KEY are needed');
  }
  const vault = createVault({ peppers, masterKey });
  const records = createRecords(store, vault);
  const deployment = await readDeployment(records, vault);
  return { store, vault, records, clock, epoch: deployment?.epoch };
}
