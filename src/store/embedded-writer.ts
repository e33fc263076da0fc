/**
 * The embedded store's way to disk: one write transaction after another, none while the disk is nearly full,
 * and none at all after a commit has failed, until the store is opened anew.
 */
import { statfs } from 'node:fs/promises';
import type { RootDatabase } from 'lmdb';
import { StoreUnavailable } from './store.ts';

export interface EmbeddedWriter {
  /**
   * Runs `change` in a write transaction, alone among all processes, and resolves when it is on disk.
   * @throws StoreUnavailable
   */
  write<T>(change: () => T): Promise<T>;
}

export interface EmbeddedWriterOptions {
  readonly root: RootDatabase<string, Buffer>;
  readonly directory: string;
  /** Bytes of free space below which nothing is written. */
  readonly minimumFreeBytes: number;
}

export function createEmbeddedWriter({
  root,
  directory,
  minimumFreeBytes,
}: EmbeddedWriterOptions): EmbeddedWriter {
  let failure: unknown;
  const freeBytes = createFreeSpaceGauge(directory);

  return {
    async write(change) {
      if ((await freeBytes()) < minimumFreeBytes) throw new StoreUnavailable(full);
      // Going on after a failed commit has been seen to corrupt the process's memory.
      if (failure !== undefined) throw new StoreUnavailable(readOnly, { cause: failure });
      try {
        return await root.transaction(change);
      } catch (error) {
        if (error instanceof StoreUnavailable) throw error;
        failure ??= error;
        quieten(error);
        throw new StoreUnavailable('the data file could not be written', { cause: error });
      }
    },
  };
}

const full = 'the disk with the data file is nearly full, so nothing is written';
const readOnly = 'writing the data file has failed, so nothing is written until the service is restarted';

/** Free space changes slowly against the reserve: asking once a second is enough. */
function createFreeSpaceGauge(directory: string): () => Promise<number> {
  let asked = -Infinity;
  let answer: Promise<number> = Promise.resolve(0);
  return () => {
    if (performance.now() - asked > 1000) {
      asked = performance.now();
      answer = askFreeSpace(directory);
    }
    return answer;
  };
}

async function askFreeSpace(directory: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize;
  } catch (error) {
    throw new StoreUnavailable('the free space of the data directory cannot be told', { cause: error });
  }
}

/** LMDB rejects a second promise with the reason of a failed commit. Unheard, it would end the process. */
function quieten(failure: unknown): void {
  if (typeof failure !== 'object' || failure === null || !('commitError' in failure)) return;
  Promise.resolve(failure.commitError).catch(() => undefined);
}
