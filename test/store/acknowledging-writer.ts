/**
 * A process that writes to an embedded store and says on its output what has been acknowledged. It goes on
 * until it is killed, or until the disk takes no more; then it says how it fared.
 */
import { openEmbeddedStore } from '../../src/store/embedded.ts';
import { StoreUnavailable, type Store } from '../../src/store/store.ts';

const [directory = ''] = process.argv.slice(2);
let unhandled = 0;
process.on('unhandledRejection', () => unhandled++);

const store = await openEmbeddedStore({ directory, clock: Date.now, minimumFreeBytes: 0 });
const failure = await writeUntilRefused(store);
const again = await store.create('afterwards', 'x').catch((error: unknown) => error);
const read = await store.get('record-0-0');
await store.close().catch(() => undefined);
say({
  refused: failure instanceof StoreUnavailable,
  refusedAgain: again instanceof StoreUnavailable,
  reads: read !== undefined,
  unhandled,
});

async function writeUntilRefused(store: Store): Promise<unknown> {
  const value = 'v'.repeat(1000);
  for (let batch = 0; ; batch++) {
    const names = Array.from({ length: 10 }, (_, i) => `record-${batch}-${i}`);
    const outcomes = await Promise.allSettled(names.map(name => createAndSay(store, name, value)));
    const refused = outcomes.find(outcome => outcome.status === 'rejected');
    if (refused) return refused.reason;
  }
}

async function createAndSay(store: Store, name: string, value: string): Promise<void> {
  await store.create(name, value);
  say({ acknowledged: name });
}

function say(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
