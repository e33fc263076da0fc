/** What a node acknowledged and lost, notes that no instance can have written, and a log that nobody wrote to for long. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createRevocationLog, type RevocationLog } from '../../src/issuer/revocation-log.ts';
import { openEmbeddedStore } from '../../src/store/embedded.ts';
import { type Store, StoreUnavailable } from '../../src/store/store.ts';
import { createMovableClock } from '../store/movable-clock.ts';

const inADay = 4_000_000_000;
const clock = createMovableClock();
let directory: string;
let store: Store;

beforeEach(async () => {
  directory = await mkdtemp(joinPath(tmpdir(), 'keyturn-eras-'));
  store = await openEmbeddedStore({ directory, clock: clock.read });
});
afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true, force: true });
});

function join(own: Store = store, moment = createMovableClock()): RevocationLog {
  return createRevocationLog({
    store: own,
    clock: clock.read,
    monotonic: moment.read,
    maxStaleness: 5,
    confirm: async () => undefined,
    onRingChanged: async () => undefined,
    onMalformedEntry: () => undefined,
    onLogLost: () => undefined,
  });
}

function isDead(log: RevocationLog, jti: string): boolean {
  return log.revocations.isRevoked({ kid: 's', claims: { client_id: 'k', key_version: 1, jti } });
}

/** The store by way of a master that can be replaced by one that has none of its latest writes. */
function createMortalStore() {
  let [era, isDoomed] = [0, false];
  const mortal: Store = {
    ...store,
    era: () => era,
    addMember: (set, member) => (isDoomed ? Promise.resolve() : store.addMember(set, member)),
    append: (log, value, options) => (isDoomed ? Promise.resolve('9-0') : store.append(log, value, options)),
    settle: async (begun = era) => {
      if (isDoomed || begun !== era) throw new StoreUnavailable('unknown');
    },
  };
  return {
    mortal,
    doom: () => (isDoomed = true),
    failOver() {
      isDoomed = false;
      era += 1;
    },
  };
}

describe('a node that acknowledged a revocation and was replaced by one that never had it', () => {
  test('is not taken for one that has it, when the call is repeated', async () => {
    const { mortal, doom, failOver } = createMortalStore();
    const [x, y] = [join(mortal), join()];
    await Promise.all([x.catchUp(), y.catchUp()]);
    const begun = x.era();
    doom();
    await x.revokeToken('lost', inADay);
    failOver();
    await expect(x.settle(begun)).rejects.toThrow(StoreUnavailable);
    const again = x.settle();
    await vi.waitFor(async () => expect(await store.lastEntry('revocations')).toBeDefined());
    await Promise.all([x.catchUp(), y.catchUp()]);
    await again;
    expect(isDead(y, 'lost')).toBe(true);
  });

  test('is told again also where nobody asks', async () => {
    const { mortal, doom, failOver } = createMortalStore();
    const [x, y] = [join(mortal), join()];
    await x.catchUp();
    doom();
    await x.revokeToken('lost', inADay);
    failOver();
    await x.catchUp();
    await y.catchUp();
    expect(isDead(y, 'lost')).toBe(true);
    const late = join();
    await late.catchUp();
    expect(isDead(late, 'lost')).toBe(true);
  });

  test('is not told again of what has settled', async () => {
    const { mortal, failOver } = createMortalStore();
    const x = join(mortal);
    await x.revokeToken('kept', inADay);
    await x.settle();
    const last = await store.lastEntry('revocations');
    failOver();
    await x.catchUp();
    expect(await store.lastEntry('revocations')).toEqual(last);
  });
});

test('a note that no instance can have written holds nobody up for ever', async () => {
  const moment = createMovableClock();
  const x = join(store, moment);
  await x.revokeToken('token', inADay);
  await x.catchUp();
  const notes = ['', '{', 'null', '7', '{"at":7,"bound":"x"}', '{"at":"x","bound":-1}', '{"bound":1e9}'];
  for (const [place, note] of notes.entries()) {
    await store.readLog('revocations', { limit: 1, reader: { id: `stranger-${place}`, note } });
  }
  const settled = x.settle();
  // It may be an instance of another version: it is waited for as long as any may be slow to refuse.
  const tick = setInterval(() => (moment.now += 5000), 10);
  await settled.finally(() => clearInterval(tick));
  expect(await store.listReaders('revocations')).toHaveLength(1);
});

test('who has read everything goes on, however long ago that was', async () => {
  const [x, y] = [join(), join()];
  await x.revokeToken('first', inADay);
  await Promise.all([x.catchUp(), y.catchUp()]);
  const distrust = vi.spyOn(y.revocations, 'distrust');
  for (const jti of ['second', 'third']) {
    clock.now += 2 * 3_600_000;
    await x.revokeToken(jti, inADay);
    await y.catchUp();
    expect(isDead(y, jti)).toBe(true);
  }
  expect(distrust).not.toHaveBeenCalled();
});
