/** The embedded store: the port's promises, and what may happen to its file, its disk and its process. */
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { open as openLmdb } from 'lmdb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openEmbeddedStore } from '../../src/store/embedded.ts';
import { StoreUnavailable, type Store } from '../../src/store/store.ts';
import { describeStoreContract } from './contract.ts';
import { createMovableClock } from './movable-clock.ts';

let home = '';
let count = 0;
const freshDirectory = () => path.join(home, String(count++));
const dataFile = (directory: string) => path.join(directory, 'keyturn.lmdb');

beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'keyturn-embedded-'));
});
afterAll(async () => {
  await rm(home, { recursive: true, force: true });
});

describeStoreContract('embedded', clock =>
  openEmbeddedStore({ directory: path.join(home, 'contract'), clock }),
);

describe('its files', () => {
  test('are for their owner alone, and nothing else is left behind', async () => {
    const directory = freshDirectory();
    const store = await openStore(directory);
    const modes = [directory, dataFile(directory), `${dataFile(directory)}-lock`].map(async file => {
      const { mode } = await stat(file);
      return (mode & 0o777).toString(8);
    });
    expect(await Promise.all(modes)).toEqual(['700', '600', '600']);
    const files = await readdir(directory);
    expect(files.sort()).toEqual(['keyturn.lmdb', 'keyturn.lmdb-lock']);
    await store.close();
  });

  test('hold what was written, for the next who opens them', async () => {
    const directory = freshDirectory();
    const before = await openStore(directory);
    await before.create('r', 'a');
    await before.addMember('s', 'm');
    const id = await before.append('l', 'e', { retention: 1000 });
    await before.close();
    const after = await openStore(directory);
    expect(await after.get('r')).toBe('a');
    expect(await after.listMembers('s', { limit: 2 })).toEqual(['m']);
    expect(await after.readLog('l', { limit: 2 })).toEqual([{ id, value: 'e' }]);
    await after.close();
  });

  test('may be made by several at once', async () => {
    const directory = freshDirectory();
    const stores = await Promise.all(Array.from({ length: 5 }, () => openStore(directory)));
    const won = await Promise.all(stores.map(store => store.create('r', 'a')));
    expect(won.filter(Boolean)).toHaveLength(1);
    await Promise.all(stores.map(store => store.close()));
  });

  test('are not grown by records that have long expired', async () => {
    const directory = freshDirectory();
    const clock = createMovableClock();
    const store = await openEmbeddedStore({ directory, clock: clock.read });
    const value = 'v'.repeat(1000);
    const size = async () => (await stat(dataFile(directory))).size;
    let early = 0;
    for (let round = 0; round < 20; round++) {
      const expiresAt = clock.now + 60_000;
      const names = Array.from({ length: 200 }, (_, i) => `r-${round}-${i}`);
      await Promise.all(names.map(name => store.create(name, value, { expiresAt })));
      clock.now += 2 * 3_600_000;
      if (round === 4) early = await size();
    }
    expect(await size()).toBeLessThan(early * 1.5);
    await store.close();
  });
});

describe('a data file that is damaged, or none of ours', () => {
  test.each([
    ['empty', (file: string) => truncate(file, 0)],
    ['cut within its first page', (file: string) => truncate(file, 100)],
    ['cut in half', async (file: string) => truncate(file, Math.floor((await stat(file)).size / 2))],
    ['text', (file: string) => writeFile(file, 'not a database\n'.repeat(5000))],
    ['zeros', async (file: string) => writeFile(file, Buffer.alloc((await stat(file)).size))],
    ['another database', makeForeign],
    ['of another format', makeOtherFormat],
  ])('is refused and left as it is: %s', async (_, damage) => {
    const directory = freshDirectory();
    await fill(directory);
    await damage(dataFile(directory));
    const before = await readFile(dataFile(directory));
    const opening = openStore(directory);
    await expect(opening).rejects.toThrow(StoreUnavailable);
    await expect(opening).rejects.toThrow(/cannot open the data file .*keyturn\.lmdb: it is damaged/);
    expect((await readFile(dataFile(directory))).equals(before)).toBe(true);
  });

  test('a directory that cannot be made is a StoreUnavailable', async () => {
    await writeFile(path.join(home, 'file'), '');
    await expect(openStore(path.join(home, 'file', 'data'))).rejects.toThrow(StoreUnavailable);
  });
});

describe('its disk', () => {
  test('when nearly full takes no writes, and reads go on', async () => {
    const directory = freshDirectory();
    const store = await openStore(directory);
    await store.create('r', 'a');
    const full = await openEmbeddedStore({ directory, clock: Date.now, minimumFreeBytes: 2 ** 60 });
    const writes = [
      () => full.create('q', 'a'),
      () => full.replace('r', 'a', 'b'),
      () => full.remove('r', 'a'),
      () => full.addMember('s', 'm'),
      () => full.removeMember('s', 'm'),
      () => full.append('l', 'e', { retention: 1 }),
      () => full.check(),
    ];
    for (const write of writes) {
      const written = write();
      await expect(written).rejects.toThrow(StoreUnavailable);
      await expect(written).rejects.toThrow('nearly full');
    }
    expect(await full.get('r')).toBe('a');
    expect(await full.listMembers('s', { limit: 1 })).toEqual([]);
    await Promise.all([store.close(), full.close()]);
  });

  test('when it refuses a commit, the store reads on, writes no more, and has lost nothing', async () => {
    const directory = freshDirectory();
    const { acknowledged, report, exit } = await runWriter(directory, 'ulimit -f 8000;');
    expect({ exit, report }).toEqual({
      exit: 0,
      report: { refused: true, refusedAgain: true, reads: true, unhandled: 0 },
    });
    expect(await missing(directory, acknowledged)).toEqual([]);
  }, 20_000);
});

test('a process that is killed loses nothing that was acknowledged', async () => {
  const directory = freshDirectory();
  const { acknowledged, exit } = await runWriter(directory, '', 500);
  expect(exit).toBeNull();
  expect(acknowledged.length).toBeGreaterThanOrEqual(500);
  expect(await missing(directory, acknowledged)).toEqual([]);
}, 20_000);

test('two processes write side by side, and nothing is lost', async () => {
  const directory = freshDirectory();
  const store = await openStore(directory);
  const writing = runWriter(directory, '', 300);
  const names = Array.from({ length: 300 }, (_, i) => `own-${i}`);
  for (const name of names) await store.create(name, 'x'.repeat(2000));
  const { acknowledged } = await writing;
  const values = await store.getMany([...acknowledged, ...names]);
  expect(values.filter(value => value === undefined)).toEqual([]);
  await store.close();
}, 20_000);

function openStore(directory: string): Promise<Store> {
  return openEmbeddedStore({ directory, clock: Date.now });
}

async function fill(directory: string): Promise<void> {
  const store = await openStore(directory);
  const names = Array.from({ length: 4000 }, (_, i) => `r${i}`);
  await Promise.all(names.map(name => store.create(name, 'v'.repeat(1000))));
  await store.close();
}

async function makeForeign(file: string): Promise<void> {
  await rm(path.dirname(file), { recursive: true });
  await mkdir(path.dirname(file));
  const foreign = openLmdb({ path: file, noSubdir: true });
  await foreign.put('a', 'b');
  await foreign.close();
}

async function makeOtherFormat(file: string): Promise<void> {
  const root = openLmdb({ path: file, noSubdir: true, maxDbs: 6 });
  const meta = root.openDB('meta', { keyEncoding: 'binary', encoding: 'string' });
  await meta.put(Buffer.from('format'), 'keyturn 2');
  await root.close();
}

/** Runs the writer until it ends, or kills it when so many writes have been acknowledged. */
async function runWriter(directory: string, before: string, killAfter = Infinity) {
  const script = path.join(import.meta.dirname, 'acknowledging-writer.ts');
  const command = `${before} exec "$0" --import tsx "$1" "$2"`;
  const child = spawn('sh', ['-c', command, process.execPath, script, directory]);
  const exited = new Promise(resolve => void child.once('exit', resolve));
  const acknowledged: string[] = [];
  let report: unknown;
  for await (const line of createInterface({ input: child.stdout })) {
    const message: unknown = parsedOrNothing(line);
    if (typeof message !== 'object' || message === null) continue;
    if ('acknowledged' in message) acknowledged.push(String(message.acknowledged));
    else report = message;
    if (acknowledged.length >= killAfter) child.kill('SIGKILL');
  }
  return { acknowledged, report, exit: await exited };
}

/** The last line of a process that was killed may be half a line. */
function parsedOrNothing(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

async function missing(directory: string, names: readonly string[]): Promise<string[]> {
  const store = await openStore(directory);
  const values = await store.getMany(names);
  await store.close();
  return names.filter((_, i) => values[i] === undefined);
}
