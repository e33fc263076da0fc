/**
 * When each secret was last used, and from where. Collected in memory and written in batches: an exchange writes nothing.
 * What the last moments before a crash held is lost; nothing is decided by it.
 */
import { StoreUnavailable } from '../store/store.ts';
import type { Records } from './records.ts';

export interface KeyUse {
  /** The `createdAt` of the secret: which of the key's it is; or {@link ofAssertions}. */
  readonly secret: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The caller's address. */
  readonly from: string;
}

/** In place of a secret: that the key signed for itself. */
export const ofAssertions = 0;

export interface KeyUsage {
  /** Notes a use; returns at once. */
  note(keyId: string, use: KeyUse): void;
  /** What is known of each key's secrets, this instance's own news included. */
  read(keyIds: readonly string[]): Promise<(readonly KeyUse[])[]>;
  /** Drops what is known of a key that is deleted. */
  forget(keyId: string): Promise<void>;
  /** Writes what has come together. @throws {StoreUnavailable} what was not written is kept for the next time */
  flush(): Promise<void>;
}

/** Keys whose uses one instance keeps in memory at most between two flushes. */
const mostWaiting = 100_000;
/** Keys whose uses are written side by side. */
const together = 500;

export function createKeyUsage(records: Records): KeyUsage {
  /** By key, and by secret: the latest use that is not written yet. */
  let waiting = new Map<string, Map<number, KeyUse>>();
  let underWay: typeof waiting = new Map();
  const usesOf = (keyId: string): readonly KeyUse[] => [
    ...(underWay.get(keyId)?.values() ?? []),
    ...(waiting.get(keyId)?.values() ?? []),
  ];
  const note = (keyId: string, use: KeyUse): void => {
    const uses = waiting.get(keyId);
    if (uses !== undefined) uses.set(use.secret, use);
    else if (waiting.size < mostWaiting) waiting.set(keyId, new Map([[use.secret, use]]));
  };
  return {
    note,
    async read(keyIds) {
      // Before the store is asked: what is written in the meantime may not be seen in either place otherwise.
      const news = keyIds.map(usesOf);
      const stored = await records.getMany<readonly KeyUse[]>(keyIds.map(recordName));
      return news.map((uses, place) => merge(stored[place]?.value ?? [], uses));
    },
    async forget(keyId) {
      waiting.delete(keyId);
      const stored = await records.get(recordName(keyId));
      if (stored !== undefined) await records.remove(recordName(keyId), stored);
    },
    async flush() {
      const batch = [...waiting].map(([id, uses]) => ({ id, uses: [...uses.values()] }));
      [waiting, underWay] = [new Map(), waiting];
      const failures: unknown[] = [];
      for (let first = 0; first < batch.length; first += together) {
        const writing = batch.slice(first, first + together).map(async ({ id, uses }) => {
          try {
            await write(records, id, uses);
          } catch (error) {
            keepUnlessNewer(id, uses);
            failures.push(error);
          }
        });
        await Promise.all(writing);
      }
      underWay = new Map();
      if (failures.length > 0)
        throw new StoreUnavailable('not every last use could be written', { cause: failures[0] });
    },
  };

  function keepUnlessNewer(id: string, uses: readonly KeyUse[]): void {
    for (const use of uses) if (!waiting.get(id)?.has(use.secret)) note(id, use);
  }
}

function recordName(keyId: string): string {
  return `key-use/${keyId}`;
}

/** Of two uses of a secret the later one counts; of the secrets that there ever were, the last used. */
function merge(one: readonly KeyUse[], other: readonly KeyUse[]): readonly KeyUse[] {
  const latest = new Map<number, KeyUse>();
  for (const use of [...one, ...other]) {
    const known = latest.get(use.secret);
    if (known === undefined || known.at < use.at) latest.set(use.secret, use);
  }
  return [...latest.values()].toSorted((a, b) => a.at - b.at).slice(-mostSecrets);
}

/** Two live at a time; the others were taken back, and may have been used after the one that stayed. */
const mostSecrets = 10;

async function write(records: Records, id: string, uses: readonly KeyUse[]): Promise<void> {
  const name = recordName(id);
  for (;;) {
    const stored = await records.get<readonly KeyUse[]>(name);
    if (stored === undefined) {
      if (await records.create(name, uses)) return;
    } else if (await records.replace(name, stored, merge(stored.value, uses))) return;
  }
}
