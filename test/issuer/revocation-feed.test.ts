/** The feed of revocations: who is told what, in what order, and what is shared by all. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { FeedReader } from '../../src/issuer/feed-reader.ts';
import { entryOf, eventIdOf, parseEventId, writeSnapshot } from '../../src/issuer/revocation-events.ts';
import { createRevocationFeed, type RevocationFeed } from '../../src/issuer/revocation-feed.ts';
import { createRevocationLog, type RevocationLog } from '../../src/issuer/revocation-log.ts';
import { createRounds } from '../../src/issuer/rounds.ts';
import { openEmbeddedStore } from '../../src/store/embedded.ts';
import type { Store } from '../../src/store/store.ts';
import { until } from '../support/until.ts';

/** A reader that takes what it is delivered when the test lets it. */
class HeldReader implements FeedReader {
  isClosed = false;
  readonly taken: Buffer[] = [];
  readonly #waiting: (() => void)[] = [];
  isHolding = false;

  deliver(bytes: Buffer): Promise<void> {
    this.taken.push(bytes);
    if (!this.isHolding) return Promise.resolve();
    return new Promise(resolve => {
      this.#waiting.push(resolve);
    });
  }

  release(): void {
    this.isHolding = false;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  push(bytes: Buffer): void {
    this.taken.push(bytes);
  }

  beat(): void {}

  check(): void {}

  end(): void {
    this.isClosed = true;
  }

  /** The names of the events, each with what it tells of. */
  get heard(): string[] {
    return [
      ...Buffer.concat(this.taken)
        .toString()
        .matchAll(/event: (\w+)\ndata: (.*)\n/g),
    ].map(([, event, data]) => `${event} ${(JSON.parse(data ?? '') as { jti?: string }).jti ?? ''}`.trim());
  }
}

const directories: string[] = [];
const opened: Store[] = [];
afterAll(async () => {
  await Promise.all(opened.map(store => store.close()));
  await Promise.all(directories.map(directory => rm(directory, { recursive: true, force: true })));
});

interface Instance {
  readonly log: RevocationLog;
  readonly feed: RevocationFeed;
}

async function createInstance(directory: string): Promise<Instance> {
  const store = await openEmbeddedStore({ directory, clock: Date.now });
  opened.push(store);
  const monotonic = () => performance.now();
  const feed: RevocationFeed = createRevocationFeed({
    store,
    revocations: () => log.revocations,
    monotonic,
    onFailure: error => {
      throw error;
    },
  });
  const log = createRevocationLog({
    store,
    clock: Date.now,
    monotonic,
    maxStaleness: 5,
    confirm: async () => undefined,
    onRingChanged: async () => undefined,
    listener: feed,
    onMalformedEntry: () => undefined,
    onLogLost: () => undefined,
  });
  return { log, feed };
}

describe('the feed of revocations', () => {
  let directory: string;
  let log: RevocationLog;
  let feed: RevocationFeed;
  const exp = Math.ceil(Date.now() / 1000) + 600;
  const revoke = async (...names: string[]) => {
    for (const name of names) await log.revokeToken(name, exp);
    await log.catchUp();
  };
  const heard = (reader: HeldReader, ...events: string[]) =>
    until(`it has heard ${events.join()}`, () => reader.heard.join() === events.join(), 5000);
  const listen = (from?: number, reader = new HeldReader()) => {
    feed.listen(reader, from);
    return reader;
  };

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'keyturn-feed-'));
    directories.push(directory);
    ({ log, feed } = await createInstance(directory));
    await log.catchUp();
    await revoke('first');
  });

  it('makes one snapshot for all who come at the same position', async () => {
    const readers = [listen(), listen(), listen()];
    for (const reader of readers) await heard(reader, 'snapshot');
    expect(readers[1]!.taken[0]).toBe(readers[0]!.taken[0]);
    expect(readers[2]!.taken[0]).toBe(readers[0]!.taken[0]);
    await revoke('second');
    const later = listen();
    await heard(later, 'snapshot');
    expect(later.taken[0]!.toString()).toContain('"second"');
  });

  it('tells what comes while a snapshot is being taken after it, in its order', async () => {
    const reader = new HeldReader();
    reader.isHolding = true;
    listen(undefined, reader);
    await heard(reader, 'snapshot');
    await revoke('a', 'b');
    await revoke('c');
    expect(reader.heard).toEqual(['snapshot']);
    reader.release();
    await heard(reader, 'snapshot', 'revocation a', 'revocation b', 'revocation c');
    await revoke('d');
    await heard(reader, 'snapshot', 'revocation a', 'revocation b', 'revocation c', 'revocation d');
  });

  it('shares what it tells those who have heard the same', async () => {
    const readers = [listen(), listen()];
    for (const reader of readers) await heard(reader, 'snapshot');
    await revoke('a');
    for (const reader of readers) await heard(reader, 'snapshot', 'revocation a');
    expect(readers[1]!.taken[1]).toBe(readers[0]!.taken[1]);
  });

  it('tells nobody twice who is ahead of this instance', async () => {
    const other = await createInstance(directory);
    await other.log.catchUp();
    for (const name of ['a', 'b']) await other.log.revokeToken(name, exp);
    await other.log.catchUp();
    const ahead = new HeldReader();
    other.feed.listen(ahead, undefined);
    await heard(ahead, 'snapshot');
    const id = /^id: (\d+)/.exec(ahead.taken[0]!.toString())![1];
    // This instance has not read that entry yet.
    const from = await feed.locate(id);
    expect(from).toBe(Number(id));
    const reader = listen(from);
    await log.catchUp();
    await revoke('c');
    await heard(reader, 'revocation c');
  });

  it('begins anew with everybody where the state was read anew', async () => {
    const reader = listen();
    await heard(reader, 'snapshot');
    await revoke('a');
    await heard(reader, 'snapshot', 'revocation a');
    feed.onSnapshot(`${Date.now() + 5000}-0`);
    await heard(reader, 'snapshot', 'revocation a', 'snapshot');
    expect(reader.taken.at(-1)!.toString()).toContain('"tokens":{"first"');
  });

  it('goes on from the beginning with those who came when there was nothing', async () => {
    const empty = await mkdtemp(path.join(tmpdir(), 'keyturn-feed-'));
    directories.push(empty);
    const fresh = await createInstance(empty);
    await fresh.log.catchUp();
    const reader = new HeldReader();
    fresh.feed.listen(reader, undefined);
    await heard(reader, 'snapshot');
    await fresh.log.revokeToken('a', exp);
    await fresh.log.catchUp();
    await heard(reader, 'snapshot', 'revocation a');
    expect(reader.taken[0]!.toString()).toMatch(/^id: 0\n/);
  });

  it('ends every stream when it is closed, and those that are opened later', async () => {
    const reader = listen();
    await heard(reader, 'snapshot');
    feed.close();
    expect(reader.isClosed).toBe(true);
    expect(listen().isClosed).toBe(true);
  });
});

describe('the events', () => {
  it.each([
    ['0-0', 0],
    ['0-1', 1],
    ['1763733600000-0', 1_763_733_600_000_000],
    ['1763733600000-999', 1_763_733_600_000_999],
  ])('have for the entry %s the id %d', (entry, id) => {
    expect(eventIdOf(entry)).toBe(id);
    expect(entryOf(id)).toBe(entry);
    expect(Number.isSafeInteger(id)).toBe(true);
  });

  it('have ids that are read back, and nothing else is', () => {
    expect(parseEventId('1763733600000999')).toBe(1_763_733_600_000_999);
    for (const text of ['', '0', '01', '-1', '+1', '1.0', '1e3', ' 1', '9007199254740992', 'x', '1-0'])
      expect(parseEventId(text)).toBeUndefined();
  });

  it('say a hundred thousand revocations, and let others have their turn', async () => {
    const all = function* () {
      for (let i = 0; i < 100_000; i += 1) yield { jti: `token-${i}`, exp: i };
      yield { client_id: 'key "1"\n', min_key_version: 3, until: 9, status: 'revoked' } as const;
      yield { kid: 'signer', until: 9 };
    };
    let turns = 0;
    const count = setInterval(() => {
      turns += 1;
    }, 0);
    const text = (await writeSnapshot(7, all())).toString();
    clearInterval(count);
    expect(turns).toBeGreaterThan(1);
    const [, data] = /^id: 7\nevent: snapshot\ndata: (.*)\n\n$/.exec(text)!;
    const { id, keys, tokens, signing_keys } = JSON.parse(data!) as Record<string, object>;
    expect({ id, keys, signing_keys }).toEqual({
      id: '7',
      keys: { 'key "1"\n': 3 },
      signing_keys: ['signer'],
    });
    expect(Object.keys(tokens!)).toHaveLength(100_000);
    expect(tokens).toMatchObject({ 'token-0': 0, 'token-99999': 99_999 });
  });
});

describe('the rounds', () => {
  it('visit everybody once in a period, spread over it, and nobody who has gone', () => {
    vi.useFakeTimers();
    try {
      const visits: number[] = [];
      const start = performance.now();
      const rounds = createRounds<number>({
        period: 1000,
        slices: 100,
        monotonic: () => performance.now(),
        visit: item => void visits.push(item),
      });
      const leave = Array.from({ length: 1000 }, (_, i) => rounds.add(i));
      vi.advanceTimersByTime(500);
      expect(performance.now() - start).toBe(500);
      expect(visits.length).toBeGreaterThan(400);
      expect(visits.length).toBeLessThan(600);
      vi.advanceTimersByTime(500);
      expect(new Set(visits).size).toBe(1000);
      expect(visits).toHaveLength(1000);
      leave[7]!();
      vi.advanceTimersByTime(1000);
      expect(visits).toHaveLength(1999);
      for (const go of leave) go();
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});
