/**
 * When each secret was last used, and from where. Collected in memory and written in batches: an exchange writes nothing.
 * What the last moments before a crash held is lost; nothing is decided by it.
 */
import { StoreUnavailable } from '../store/store.ts';
import type { Records } from './records.ts';

export interface KeyUse {
  /** The `createdAt` of the secret: which of the key's it is. */
  readonly secret: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The caller's address. */
  readonly from: string;
}

export interface KeyUsage {
  /** Notes a use; returns at once. */
  note(keyId: string, use: KeyUse): void;
  /** What is known of each key's secrets, this instance's own news included. */
  read(keyIds: readonly string[]): Promise<(readonly KeyUse[])[]>;
  /** Writes what has come together. @throws {StoreUnavailable} what was not written is kept for the next time */
  flush(): Promise<void>;
}

/** Keys whose uses one instance keeps in memory at most between two flushes. */
const mostWaiting = 100_000;

export function createKeyUsage(records: Records): KeyUsage {
  let waiting = new Map<string, readonly KeyUse[]>();
  return {
    note(keyId, use) {
      if (waiting.size < mostWaiting || waiting.has(keyId))
        waiting.set(keyId, merge(waiting.get(keyId) ?? [], [use]));
    },
    async read(keyIds) {
      const stored = await records.getMany<readonly KeyUse[]>(keyIds.map(recordName));
      return keyIds.map((id, place) => merge(stored[place]?.value ?? [], waiting.get(id) ?? []));
    },
    async flush() {
      const batch = waiting;
      waiting = new Map();
      const results = await Promise.allSettled([...batch].map(([id, uses]) => write(records, id, uses)));
      for (const [place, [id, uses]] of [...batch].entries()) {
        if (results[place]!.status === 'rejected') waiting.set(id, merge(waiting.get(id) ?? [], uses));
      }
      const failed = results.find(result => result.status === 'rejected');
      if (failed !== undefined)
        throw new StoreUnavailable('not every last use could be written', { cause: failed.reason });
    },
  };
}

function recordName(keyId: string): string {
  return `key-use/${keyId}`;
}

/** Of two uses of a secret the later one counts; of the secrets that there ever were, the two latest. */
function merge(one: readonly KeyUse[], other: readonly KeyUse[]): readonly KeyUse[] {
  const latest = new Map<number, KeyUse>();
  for (const use of [...one, ...other]) {
    const known = latest.get(use.secret);
    if (known === undefined || known.at < use.at) latest.set(use.secret, use);
  }
  return [...latest.values()].toSorted((a, b) => a.secret - b.secret).slice(-2);
}

async function write(records: Records, id: string, uses: readonly KeyUse[]): Promise<void> {
  const name = recordName(id);
  for (;;) {
    const stored = await records.get<readonly KeyUse[]>(name);
    if (stored === undefined) {
      if (await records.create(name, uses)) return;
    } else if (await records.replace(name, stored, merge(stored.value, uses))) return;
  }
}
