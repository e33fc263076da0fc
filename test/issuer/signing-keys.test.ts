/** The ring in its record: compare-and-set, what an instance keeps in memory, and what a token finds of its key. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify, type JSONWebKeySet } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRecords, type Records } from '../../src/issuer/records.ts';
import { createRevocationLog, type RevocationLog } from '../../src/issuer/revocation-log.ts';
import { signToken } from '../../src/issuer/sign-token.ts';
import { createSigningKeyChanges, type SigningKeyChanges } from '../../src/issuer/signing-key-changes.ts';
import { createSigningKeys, openSigningKeys, type SigningKeys } from '../../src/issuer/signing-keys.ts';
import { createVault } from '../../src/issuer/vault.ts';
import type { SigningAlgorithm } from '../../src/protocol/token-header.ts';
import { openStore } from '../../src/store/open-store.ts';
import type { Store } from '../../src/store/store.ts';
import { createMovableClock, type MovableClock } from '../store/movable-clock.ts';

interface Instance {
  readonly keys: SigningKeys;
  readonly changes: SigningKeyChanges;
  readonly log: RevocationLog;
  /** Ends its following of the log. */
  stop(): Promise<void>;
}

const vault = createVault({ peppers: ['a-pepper-of-the-test'], masterKey: 'a-master-key-of-the-test' });
const announced = async () => undefined;

let directory: string;
let store: Store;
let records: Records;
let clock: MovableClock;
let instances: Instance[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyturn-ring-'));
  clock = createMovableClock();
  store = await openStore({ dataDir: directory, clock: clock.read, onWarning: () => undefined });
  records = createRecords(store, vault);
  instances = [];
});

afterEach(async () => {
  await Promise.all(instances.map(instance => instance.stop()));
  await store.close();
  await rm(directory, { recursive: true, force: true });
});

async function open(algs: readonly SigningAlgorithm[] = ['ES256'], master = vault): Promise<Instance> {
  const log = createRevocationLog({
    store,
    clock: clock.read,
    monotonic: () => performance.now(),
    maxStaleness: 5,
    confirm: async () => undefined,
    onRingChanged: () => keys.refresh(),
    onMalformedEntry: () => undefined,
    onLogLost: () => undefined,
  });
  const keys = await openSigningKeys({
    records: createRecords(store, master),
    vault: master,
    clock: clock.read,
    algs,
    lead: 900,
    period: 30 * 86_400,
    revocationLog: log,
    onChange: () => undefined,
  });
  const follow = () => log.catchUp().catch(() => undefined);
  await log.announceRing();
  await log.catchUp();
  await keys.maintain();
  const timer = setInterval(() => void follow(), 5);
  const changes = createSigningKeyChanges({
    signingKeys: keys,
    vault: master,
    clock: clock.read,
    revocationLog: log,
  });
  const instance = {
    keys,
    changes,
    log,
    async stop() {
      clearInterval(timer);
      await follow();
      await log.leave();
    },
  };
  instances.push(instance);
  return instance;
}

const prepare = () => createSigningKeys({ records, vault, clock: clock.read, alg: 'ES256' });
const keySetOf = ({ keys }: Instance) => JSON.parse(keys.published().body) as JSONWebKeySet;

describe('a fresh store', () => {
  it('gets one key, however many start on it at once, and nobody signs with another', async () => {
    for (let round = 0; round < 30; round += 1) {
      const stored = await records.get('signing-keys');
      if (stored !== undefined) await records.remove('signing-keys', stored);
      const started = await Promise.all(
        [1, 2, 3].map(async () => {
          await prepare();
          return open();
        }),
      );
      const kids = started.map(({ keys }) => keys.signer('ES256').kid);
      expect(new Set(kids).size).toBe(1);
      expect(keySetOf(started[0]!).keys.map(({ kid }) => kid)).toEqual([kids[0]]);
      await Promise.all(started.map(instance => instance.stop()));
    }
  });

  it('gets one key of each algorithm that an instance asks for', async () => {
    await prepare();
    const algs = ['ES256', 'EdDSA', 'RS256'] as const;
    const started = await Promise.all([open(algs), open(algs), open(algs)]);
    await Promise.all(started.map(({ keys }) => keys.refresh()));
    for (const alg of algs) expect(new Set(started.map(({ keys }) => keys.signer(alg).kid)).size).toBe(1);
    expect(keySetOf(started[0]).keys.length).toBe(3);
  });

  it('is not opened by another master key, and stays as it is', async () => {
    await prepare();
    const before = await store.get('signing-keys');
    const other = createVault({ peppers: ['a-pepper-of-the-test'], masterKey: 'another-master-key-of-it' });
    await expect(open(['ES256'], other)).rejects.toThrow('authentication');
    expect(await store.get('signing-keys')).toBe(before);
  });
});

describe('a ring of an earlier version', () => {
  it('opens: its keys signed from their making on', async () => {
    await prepare();
    const stored = await records.get<{ keys: Record<string, unknown>[] }>('signing-keys');
    const [key] = stored!.value.keys;
    const { activeAt: _, ...old } = { ...key, state: 'active' } as Record<string, unknown>;
    await records.replace('signing-keys', stored!, { keys: [old] });
    const { keys, changes } = await open();
    clock.now += 1000;
    expect(keys.signer('ES256').kid).toBe(key?.['kid']);
    await changes.rotate({ now: true }, announced);
    expect(keys.ring().keys.map(({ activeAt }) => activeAt)).toEqual([key?.['createdAt'], clock.now]);
  });
});

describe('rotations at once', () => {
  it('by two instances, now, make one new key', async () => {
    await prepare();
    const [one, other] = [await open(), await open()];
    for (let round = 0; round < 10; round += 1) {
      const before = one.keys.ring().keys.length;
      const views = await Promise.all(
        [one, other, one, other].map(({ changes }) => changes.rotate({ now: true }, announced)),
      );
      await Promise.all([one.log.settle(), other.log.settle()]);
      expect(new Set(views.map(({ kid }) => kid)).size).toBe(1);
      expect(one.keys.ring().keys.length).toBe(before + 1);
      for (const { keys } of [one, other]) expect(keys.signer('ES256').kid).toBe(views[0]?.kid);
      clock.now += 1000;
    }
  });

  it('when they are due make one new key', async () => {
    await prepare();
    const all = [await open(), await open(), await open()];
    clock.now += 30 * 86_400_000;
    expect(all.map(({ keys }) => keys.isDue())).toEqual([true, true, true]);
    await Promise.all(all.map(({ keys }) => keys.maintain()));
    expect(all.map(({ keys }) => keys.isDue())).toEqual([false, false, false]);
    expect(all[0]!.keys.ring().keys.length).toBe(2);
  });
});

describe('a key that was revoked by one who died before the ring was mended', () => {
  it('neither signs nor verifies nor stands in the set, and is taken out by the next who looks', async () => {
    await prepare();
    const { keys, log } = await open();
    const { kid } = keys.signer('ES256');
    await log.revokeSigningKey(kid);
    expect(keys.find(kid)).toBeUndefined();
    expect(keys.canSign()).toBe(false);
    expect(() => keys.signer('ES256')).toThrow('no signing key');
    expect(() => keys.published()).toThrow('no signing key');
    expect(keys.isDue()).toBe(true);
    await keys.maintain();
    expect(keys.signer('ES256').kid).not.toBe(kid);
    expect(keys.ring().former).toMatchObject([{ kid, end: 'revoked' }]);
    expect(keys.isDue()).toBe(false);
    const late = await open();
    expect(late.keys.signer('ES256').kid).toBe(keys.signer('ES256').kid);
  });

  it('is found so by an instance that starts then', async () => {
    await prepare();
    const first = await open();
    const { kid } = first.keys.signer('ES256');
    await first.log.revokeSigningKey(kid);
    const second = await open();
    expect(second.keys.signer('ES256').kid).not.toBe(kid);
    expect(second.keys.find(kid)).toBeUndefined();
  });
});

describe('what an instance has in memory', () => {
  it('goes on where the ring is gone from the store, and is never set back', async () => {
    await prepare();
    const { keys } = await open();
    const before = keys.published();
    await records.remove('signing-keys', (await records.get('signing-keys'))!);
    await keys.refresh();
    expect(keys.published()).toBe(before);
    expect(keys.signer('ES256').kid).toBe(keySetOf(instances[0]!).keys[0]?.kid);
    await expect(keys.edit(ring => ring)).rejects.toThrow('no signing keys');
  });

  it('has the same text and tag at every instance, for as long as the keys are the same', async () => {
    await prepare();
    const [one, other] = [await open(), await open()];
    expect(one.keys.published()).toEqual(other.keys.published());
    const { etag } = one.keys.published();
    await one.keys.refresh();
    expect(one.keys.published().etag).toBe(etag);
    await one.changes.rotate({}, announced);
    await other.log.settle();
    expect(other.keys.published()).toEqual(one.keys.published());
    expect(one.keys.published().etag).not.toBe(etag);
  });

  it('is read again for an unknown key once in half a minute, whatever is asked', async () => {
    await prepare();
    const { keys } = await open();
    const read = records.get('signing-keys');
    expect(await read).toBeDefined();
    let reads = 0;
    const get = store.get.bind(store);
    store.get = name => {
      if (name === 'signing-keys') reads += 1;
      return get(name);
    };
    await keys.refreshFor(keys.signer('ES256').kid);
    expect(reads).toBe(0);
    for (let attempt = 0; attempt < 50; attempt += 1) await keys.refreshFor(`unknown-${attempt}`);
    expect(reads).toBe(1);
    clock.now += 30_000;
    await keys.refreshFor('unknown');
    expect(reads).toBe(2);
  });
});

describe('tokens signed all along while keys rotate', () => {
  it.each<[SigningAlgorithm, number, number]>([
    ['ES256', 50, 200],
    ['EdDSA', 20, 100],
    ['RS256', 4, 50],
  ])(
    '%s: each verifies by the key that its header names',
    async (alg, rotations, eachTime) => {
      await prepare();
      const algs: readonly SigningAlgorithm[] = alg === 'ES256' ? ['ES256'] : ['ES256', alg];
      const both = [await open(algs), await open(algs)] as const;
      const tokens: string[] = [];
      const sign = async (): Promise<void> => {
        for (let count = 0; count < eachTime; count += 1) {
          const signers = both.map(({ keys }) => keys.signer(alg));
          tokens.push(...(await Promise.all(signers.map(signer => signToken(signer, { sub: 'x' })))));
          await new Promise(setImmediate);
        }
      };
      for (let round = 0; round < rotations; round += 1) {
        const rotation = both[round % 2]!.changes.rotate({ alg, now: true }, announced);
        const [{ kid }] = await Promise.all([rotation, sign()]);
        expect(both.map(({ keys }) => keys.find(kid)?.kid)).toEqual([kid, kid]);
        clock.now += 10;
      }
      await Promise.all(both.map(({ keys }) => keys.refresh()));
      const keySet = createLocalJWKSet(keySetOf(both[0]));
      expect(keySetOf(both[1])).toEqual(keySetOf(both[0]));
      const checked = await Promise.allSettled(
        tokens.map(token => jwtVerify(token, keySet, { algorithms: [alg] })),
      );
      expect(checked.filter(({ status }) => status === 'rejected')).toEqual([]);
      expect(tokens.length).toBe(2 * rotations * eachTime);
      const kids = new Set(tokens.map(token => decodeProtectedHeader(token).kid));
      expect(kids.size).toBeGreaterThanOrEqual(rotations);
    },
    60_000,
  );
});
