/** Keys and accounts over an embedded store of their own, whose operations a test may hold up or refuse. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createAccounts } from '../../src/issuer/accounts.ts';
import { createApiKeys } from '../../src/issuer/api-keys.ts';
import { createRecords } from '../../src/issuer/records.ts';
import { createRevocationLog } from '../../src/issuer/revocation-log.ts';
import { createVault } from '../../src/issuer/vault.ts';
import { openStore } from '../../src/store/open-store.ts';
import type { Store } from '../../src/store/store.ts';

export type Stage = Awaited<ReturnType<typeof openStage>>;

/** @param dress what the store is to be worked with as */
export async function openStage(dress: (store: Store) => Store = store => store, clock = () => moment) {
  const directory = await mkdtemp(path.join(tmpdir(), 'keyturn-issuer-'));
  const opened = await openStore({ dataDir: directory, clock, onWarning: () => undefined });
  const store = dress(opened);
  const vault = createVault({ peppers: ['a pepper for this test'], masterKey: 'a master key for this test' });
  const records = createRecords(store, vault);
  const revocationLog = createRevocationLog({
    store,
    clock,
    monotonic: () => performance.now(),
    confirm: async () => undefined,
    maxStaleness: 5,
    onRingChanged: async () => undefined,
    onMalformedEntry: () => undefined,
    onLogLost: () => undefined,
  });
  const apiKeys = createApiKeys({ store, records, vault, clock, revocationLog });
  const accounts = createAccounts({ store, records, clock, apiKeys });
  return {
    store,
    vault,
    clock,
    records,
    revocationLog,
    apiKeys,
    accounts,
    async close() {
      await opened.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

const moment = 1_700_000_000_000;
