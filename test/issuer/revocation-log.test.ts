/** The revocation log among several instances on one store: what each knows, and when a revoking call may return. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { DeploymentLost } from '../../src/issuer/deployment.ts';
import {
  createRevocationLog,
  type RevocationListener,
  type RevocationLog,
  type RevocationLogOptions,
} from '../../src/issuer/revocation-log.ts';
import { openEmbeddedStore } from '../../src/store/embedded.ts';
import { openRedisStore } from '../../src/store/redis.ts';
import { type Store, StoreUnavailable } from '../../src/store/store.ts';
import { createMovableClock, type MovableClock } from '../store/movable-clock.ts';
import { type RedisServer, startRedis } from '../support/redis-servers.ts';

describe.each(['embedded', 'redis'] as const)('the revocation log (%s store)', kind => {
  let redis: RedisServer;
  let databases = 0;
  let directory: string;
  const opened: Store[] = [];

  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'keyturn-log-'));
    if (kind === 'redis') redis = await startRedis();
  }, 60_000);
  afterAll(async () => {
    await Promise.all(opened.map(store => store.close()));
    if (kind === 'redis') await redis.stop();
    await rm(directory, { recursive: true, force: true });
  });

  /** Makes instances on one new store. */
  function deploy(clock: MovableClock = createMovableClock()) {
    const place = databases++;
    return async (overrides: Partial<RevocationLogOptions> = {}): Promise<Instance> => {
      const store =
        kind === 'embedded'
          ? await openEmbeddedStore({ directory: path.join(directory, String(place)), clock: clock.read })
          : await openRedisStore({ url: `${redis.url}/${place}`, clock: clock.read });
      opened.push(store);
      return createInstance(store, clock, overrides);
    };
  }

  it('tells every instance what one of them revokes', async () => {
    const join = deploy();
    const [x, y] = [await join(), await join()];
    await Promise.all([x.log.catchUp(), y.log.catchUp()]);
    await x.log.revokeKey('key', 3, 'disabled');
    await x.log.revokeToken('token', x.inAnHour());
    await x.log.revokeSigningKey('signer');
    await y.log.catchUp();
    for (const { log } of [x, y]) {
      expect(log.revocations.ofKey('key')).toMatchObject({ min_key_version: 3, status: 'disabled' });
      expect(isDead(log, { jti: 'token' })).toBe(true);
      expect(isDead(log, { kid: 'signer' })).toBe(true);
      expect(isDead(log, {})).toBe(false);
    }
  });

  it('tells it to those that start later, and again to those that start anew', async () => {
    const join = deploy();
    const x = await join();
    await x.log.revokeToken('token', x.inAnHour());
    for (let start = 0; start < 2; start += 1) {
      const { log } = await join();
      expect(log.revocations.age()).toBe(Infinity);
      await log.catchUp();
      expect(isDead(log, { jti: 'token' })).toBe(true);
      expect(log.revocations.age()).toBeLessThan(5000);
    }
  });

  it('keeps in the set what the log has long forgotten, until it forbids nothing any more', async () => {
    const clock = createMovableClock();
    const join = deploy(clock);
    const x = await join();
    await x.log.revokeToken('short', clock.now / 1000 + 600);
    await x.log.revokeKey('key', 2);
    clock.now += 20 * 3_600_000;
    for (let entry = 0; entry < 300; entry += 1) await x.log.revokeToken(`t${entry}`, x.inAnHour());
    const y = await join();
    await y.log.catchUp();
    expect(y.log.revocations.ofKey('key')?.min_key_version).toBe(2);
    clock.now += 10 * 3_600_000;
    x.moment.now += 61_000;
    await x.log.catchUp();
    expect(await x.store.listMembers('revocations', { limit: 10 })).toEqual([]);
    expect(x.log.revocations.size).toBe(0);
  });

  it('holds against every token of the key, also where who revoked it was an hour behind', async () => {
    const clock = createMovableClock();
    const join = deploy(clock);
    const x = await join();
    const y = await join({ clock: () => clock.now - 3_600_000 });
    await x.log.catchUp();
    await y.log.revokeKey('key', 2);
    await x.log.catchUp();
    clock.now += 86_400_000;
    x.moment.now += 61_000;
    await x.log.catchUp();
    expect(x.log.revocations.ofKey('key')?.min_key_version).toBe(2);
  });

  it('reads everything again where the log was trimmed past it', async () => {
    const join = deploy();
    const [x, y] = [await join(), await join()];
    await x.log.revokeToken('before', x.inAnHour());
    await y.log.catchUp();
    await x.log.revokeToken('missed', x.inAnHour());
    await trimLog(x);
    await y.log.catchUp();
    expect(isDead(y.log, { jti: 'missed' })).toBe(true);
    expect(y.snapshots).toHaveLength(2);
  });

  it('passes over an entry that cannot be read, says so, and goes on', async () => {
    const join = deploy();
    const [x, y] = [await join(), await join()];
    await x.log.revokeToken('first', x.inAnHour());
    await y.log.catchUp();
    const texts = [
      '',
      '{',
      'null',
      '[]',
      '{"jti":"a"}',
      '{"client_id":"a","until":1}',
      '{"kid":7,"until":1}',
    ];
    for (const text of texts) await x.store.append('revocations', text, { retention: 3_600_000 });
    await x.store.addMember('revocations', '999999999999/{"no":"revocation"}');
    await x.log.revokeToken('behind', x.inAnHour());
    await y.log.catchUp();
    expect(isDead(y.log, { jti: 'behind' })).toBe(true);
    expect(y.malformed.length).toBeGreaterThan(0);
    expect(y.log.revocations.age()).toBeLessThan(5000);
  });

  it('has the ring of signing keys read again before it says that it has read the news', async () => {
    const join = deploy();
    const x = await join();
    const noted: (string | undefined)[] = [];
    const y = await join({
      onRingChanged: async () => {
        noted.push(...(await x.store.listReaders('revocations')).map(({ note }) => note));
      },
    });
    await x.log.revokeToken('first', x.inAnHour());
    await y.log.catchUp();
    const before = (await x.store.listReaders('revocations')).map(({ note }) => note);
    await x.log.announceRing();
    await y.log.catchUp();
    expect(noted).toEqual(before);
  });

  it('is not fresh where the ring cannot be read', async () => {
    const join = deploy();
    const x = await join();
    let isAway = false;
    const y = await join({
      onRingChanged: async () => {
        if (isAway) throw new StoreUnavailable('away');
      },
    });
    await y.log.catchUp();
    await x.log.revokeToken('first', x.inAnHour());
    await y.log.catchUp();
    const age = y.log.revocations.age();
    isAway = true;
    await x.log.announceRing();
    await expect(y.log.catchUp()).rejects.toThrow('away');
    expect(y.log.revocations.age()).toBeGreaterThanOrEqual(age);
  });

  it('trusts nothing while the store is another, and everything again when it is back', async () => {
    const join = deploy();
    let isLost = false;
    const x = await join({
      confirm: async () => {
        if (isLost) throw new DeploymentLost('another store');
      },
    });
    await x.log.revokeToken('token', x.inAnHour());
    await x.log.catchUp();
    isLost = true;
    await expect(x.log.catchUp()).rejects.toThrow(DeploymentLost);
    expect(x.log.revocations.age()).toBe(Infinity);
    expect(isDead(x.log, { jti: 'token' })).toBe(true);
    isLost = false;
    await x.log.catchUp();
    expect(x.log.revocations.age()).toBeLessThan(5000);
  });

  describe('where the store has lost what it acknowledged', () => {
    it('puts back what it knows, and tells those who start later', async () => {
      const join = deploy();
      const [x, y] = [await join(), await join()];
      await x.log.revokeToken('kept', x.inAnHour());
      await Promise.all([x.log.catchUp(), y.log.catchUp()]);
      await x.log.revokeToken('lost', x.inAnHour());
      await x.log.revokeKey('key', 4, 'revoked');
      await Promise.all([x.log.catchUp(), y.log.catchUp()]);
      await forget(x.store, ['lost', 'key']);
      await trimLog(x);
      await y.log.catchUp();
      expect(y.putBack).toEqual([2]);
      const late = await join();
      await late.log.catchUp();
      expect(isDead(late.log, { jti: 'kept' })).toBe(true);
      expect(isDead(late.log, { jti: 'lost' })).toBe(true);
      expect(late.log.revocations.ofKey('key')?.status).toBe('revoked');
    });

    if (kind === 'embedded') return;
    it('takes an entry in the place of the one it knew for another', async () => {
      const join = deploy();
      const [x, y] = [await join(), await join()];
      await x.log.revokeToken('lost', x.inAnHour());
      await y.log.catchUp();
      const known = await x.store.lastEntry('revocations');
      await forget(x.store, ['lost']);
      await callRedis('del', 'keyturn:l:{revocations}');
      await x.store.append('revocations', '{"nonce":"another","jti":"other","exp":9999999999}', {
        retention: 1,
      });
      expect((await x.store.lastEntry('revocations'))?.id).toBe(known?.id);
      await y.log.catchUp();
      expect(y.putBack).toEqual([1]);
    });
  });

  describe('a revoking call', () => {
    it('returns at once where nobody follows, or nothing was ever revoked', async () => {
      const join = deploy();
      const x = await join();
      await x.log.settle();
      expect(x.pauses).toEqual([]);
      await x.log.revokeToken('token', x.inAnHour());
      await x.log.settle();
      expect(x.pauses).toHaveLength(1);
    });

    it('returns when everybody has read it, and not before', async () => {
      const join = deploy();
      const [x, y] = [await join(), await join()];
      await Promise.all([x.log.catchUp(), y.log.catchUp()]);
      await x.log.revokeToken('token', x.inAnHour());
      await x.log.catchUp();
      let isSettled = false;
      const settled = x.log.settle().then(() => (isSettled = true));
      await vi.waitFor(async () => expect(await x.store.listReaders('revocations')).toHaveLength(2));
      expect(isSettled).toBe(false);
      await y.log.catchUp();
      await settled;
      expect(isDead(y.log, { jti: 'token' })).toBe(true);
    });

    it('waits for one that is silent no longer than its bound, and not for it again', async () => {
      const join = deploy();
      const [x, y] = [await join(), await join({ maxStaleness: 1 })];
      await Promise.all([x.log.catchUp(), y.log.catchUp()]);
      const revoke = async (jti: string) => {
        await x.log.revokeToken(jti, x.inAnHour());
        await x.log.catchUp();
        return { settled: x.log.settle() };
      };
      const { settled } = await revoke('first');
      await vi.waitFor(() => expect(x.pauses.length).toBeGreaterThan(0));
      x.moment.now += 2000;
      await settled;
      await (
        await revoke('second')
      ).settled;
      expect(y.log.revocations.age()).toBeGreaterThanOrEqual(0);
      await y.log.catchUp();
      expect(await x.store.listReaders('revocations')).toHaveLength(2);
      expect(isDead(y.log, { jti: 'second' })).toBe(true);
    });

    it('does not wait for one that has left', async () => {
      const join = deploy();
      const [x, y] = [await join(), await join()];
      await Promise.all([x.log.catchUp(), y.log.catchUp()]);
      await y.log.leave();
      await x.log.revokeToken('token', x.inAnHour());
      await x.log.catchUp();
      await x.log.settle();
      expect(isDead(y.log, { jti: 'token' })).toBe(false);
    });

    it('waits for this instance too, whoever wrote it', async () => {
      const join = deploy();
      const [x, y] = [await join(), await join()];
      await Promise.all([x.log.catchUp(), y.log.catchUp()]);
      await x.log.revokeToken('token', x.inAnHour());
      await x.log.catchUp();
      const settled = y.log.settle();
      await y.log.catchUp();
      await settled;
      expect(isDead(y.log, { jti: 'token' })).toBe(true);
    });
  });

  /** Takes members out of the set, as a node does that never had them. */
  async function forget(store: Store, names: readonly string[]): Promise<void> {
    for (const member of await store.listMembers('revocations', { limit: 1000 })) {
      if (names.some(name => member.includes(`"${name}"`))) await store.removeMember('revocations', member);
    }
  }

  /** Adds an entry that says nothing of revocation, and takes all others out of the log. */
  async function trimLog({ store, clock }: Instance): Promise<void> {
    // Twice: the one that was the newest before stays.
    for (let time = 0; time < 2; time += 1) {
      clock.now += 1000;
      await store.append('revocations', '{"nonce":"","ring":true}', { retention: 0 });
    }
    if (kind === 'redis') await callRedis('xtrim', 'keyturn:l:{revocations}', 'MAXLEN', 1);
  }

  /** On the database of the store that was made last. */
  async function callRedis(...[name, ...args]: [string, ...(string | number)[]]): Promise<void> {
    const client = new Redis(`${redis.url}/${databases - 1}`);
    await client.call(name, ...args);
    await client.quit();
  }
});

interface Instance {
  readonly store: Store;
  readonly log: RevocationLog;
  readonly clock: MovableClock;
  /** The monotonic clock, in milliseconds. */
  readonly moment: MovableClock;
  readonly snapshots: string[];
  readonly revocations: string[];
  readonly malformed: string[];
  readonly putBack: number[];
  /** One for each look at the readers. */
  readonly pauses: number[];
  /** Seconds since the epoch. */
  inAnHour(): number;
}

function createInstance(
  opened: Store,
  clock: MovableClock,
  overrides: Partial<RevocationLogOptions>,
): Instance {
  const moment = createMovableClock();
  const [snapshots, revocations, malformed]: string[][] = [[], [], []];
  const [putBack, pauses]: number[][] = [[], []];
  const store: Store = {
    ...opened,
    listReaders(log) {
      pauses!.push(moment.now);
      return opened.listReaders(log);
    },
  };
  const listener: RevocationListener = {
    onSnapshot: id => snapshots!.push(id),
    onRevocation: id => revocations!.push(id),
  };
  const log = createRevocationLog({
    store,
    clock: clock.read,
    monotonic: moment.read,
    maxStaleness: 5,
    confirm: async () => undefined,
    onRingChanged: async () => undefined,
    listener,
    onMalformedEntry: id => malformed!.push(id),
    onLogLost: count => putBack!.push(count),
    ...overrides,
  });
  return {
    store,
    log,
    clock,
    moment,
    snapshots: snapshots!,
    revocations: revocations!,
    malformed: malformed!,
    putBack: putBack!,
    pauses: pauses!,
    inAnHour: () => Math.ceil(clock.now / 1000) + 3600,
  };
}

function isDead(log: RevocationLog, { kid = 'a signer', jti = 'a token', key = 'a key' }): boolean {
  return log.revocations.isRevoked({ kid, claims: { client_id: key, key_version: 1, jti } });
}
