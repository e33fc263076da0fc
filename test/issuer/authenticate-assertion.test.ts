/** What an instance does with an assertion in the moments that no caller can bring about: changes, and a store that is away. */
import { describe, expect, it } from 'vitest';
import type { KeyRevocation, Revocations } from '../../src/access/revocations.ts';
import type { ApiKey } from '../../src/issuer/api-key.ts';
import type { ApiKeys } from '../../src/issuer/api-keys.ts';
import { createAssertionAuthenticator } from '../../src/issuer/authenticate-assertion.ts';
import { type KeyUse, ofAssertions } from '../../src/issuer/key-usage.ts';
import { BadCredential } from '../../src/protocol/errors.ts';
import { type Store, StoreUnavailable } from '../../src/store/store.ts';
import { assertionClaims, makeKeyPair, signAssertion } from '../support/key-pairs.ts';

const issuer = 'https://keys.example.com';
const id = '4b8cda7a-1b0f-4b1f-9f0e-0d1b3a5c7e9f';
const now = 1_800_000_000_000;
const [pair, other] = [await makeKeyPair(), await makeKeyPair()];

interface Scene {
  /** The key's record; what `change` makes of it stays. */
  key: ApiKey;
  /** Whether it is gone when it is to be changed. */
  isRemoved?: boolean;
  news?: KeyRevocation;
  isConfirmed?: boolean;
  confirm?: () => Promise<void>;
  create?: Store['create'];
}

function keyOf(fields: Partial<ApiKey> = {}): ApiKey {
  const { publicJwk } = pair;
  const times = { createdAt: now, updatedAt: now };
  return {
    id,
    name: 'A key',
    feature: 'connections',
    status: 'active',
    version: 3,
    secrets: [],
    publicJwk: { ...publicJwk, kty: 'EC' },
    ...times,
    ...fields,
  };
}

function newsOf(version: number): KeyRevocation {
  return { client_id: id, min_key_version: version, until: now + 86_400_000 };
}

function open(scene: Scene) {
  const uses: KeyUse[] = [];
  const used = new Map<string, number | undefined>();
  const apiKeys: Pick<ApiKeys, 'find' | 'changeIfThere'> = {
    find: async keyId => (keyId === scene.key.id ? { value: scene.key, text: '' } : undefined),
    async changeIfThere(_id, change) {
      if (scene.isRemoved === true) return undefined;
      scene.key = change(scene.key);
      return { value: scene.key, text: '' };
    },
  };
  const store: Pick<Store, 'create'> = {
    create: async (name, _value, options) => {
      if (used.has(name)) return false;
      used.set(name, options?.expiresAt);
      return true;
    },
    ...(scene.create && { create: scene.create }),
  };
  const revocations: Pick<Revocations, 'ofKey'> = { ofKey: () => scene.news };
  const assertions = createAssertionAuthenticator({
    issuer,
    apiKeys: apiKeys as ApiKeys,
    store: store as Store,
    revocations: revocations as Revocations,
    usage: {
      note: (_id, use) => void uses.push(use),
      read: async () => [],
      forget: async () => {},
      flush: async () => {},
    },
    clock: () => now,
    confirm: scene.confirm ?? (async () => {}),
    isConfirmed: () => scene.isConfirmed ?? true,
  });
  return { assertions, uses, used };
}

const sign = (changes: Record<string, unknown> = {}, signer = pair) =>
  signAssertion(signer, { ...assertionClaims(id, issuer, now), ...changes });

describe('an assertion', () => {
  it('is remembered beyond its own end, by what stands in no other name', async () => {
    const { assertions, used } = open({ key: keyOf() });
    const exp = now / 1000 + 60.5;
    await assertions.authenticate(await sign({ exp, jti: 'a jti' }), undefined);
    const [name = ''] = used.keys();
    const expiresAt = used.get(name) ?? 0;
    expect(name).toMatch(/^assertion\/[\w-]{43}$/);
    expect(Number.isSafeInteger(expiresAt)).toBe(true);
    expect(expiresAt / 1000 - exp).toBeGreaterThan(10);
  });

  it('is neither good nor bad where the store cannot remember it', async () => {
    const away = async () => {
      throw new StoreUnavailable('away');
    };
    const { assertions } = open({ key: keyOf(), create: away });
    await expect(assertions.authenticate(await sign(), undefined)).rejects.toThrow(StoreUnavailable);
  });

  it('is neither good nor bad where this may be another store', async () => {
    const confirm = async () => {
      throw new StoreUnavailable('another deployment');
    };
    for (const signer of [pair, other]) {
      const { assertions, used } = open({ key: keyOf(), confirm, isConfirmed: false });
      await expect(assertions.authenticate(await sign({}, signer), undefined)).rejects.toThrow(
        StoreUnavailable,
      );
      expect(used.size).toBe(0);
    }
  });

  it('is not remembered where it does not hold', async () => {
    const { assertions, used } = open({ key: keyOf() });
    for (const text of [await sign({}, other), await sign({ aud: 'x' }), await sign({ exp: 1 })])
      await expect(assertions.authenticate(text, undefined)).rejects.toThrow(BadCredential);
    expect(used.size).toBe(0);
  });
});

describe('the use of an assertion', () => {
  it('is noted', async () => {
    const { assertions, uses } = open({ key: keyOf() });
    const key = keyOf();
    expect(await assertions.settle(key, '192.0.2.1')).toBe(key);
    expect(uses).toEqual([{ secret: ofAssertions, at: now, from: '192.0.2.1' }]);
  });

  it('takes the key to the version that the revocation log has, and to its end', async () => {
    const key = keyOf();
    const { assertions } = open({ key, news: { ...newsOf(5), status: 'disabled' } });
    expect(await assertions.settle(key, '')).toMatchObject({ version: 5, status: 'disabled' });
  });

  it('is none where the key was removed meanwhile', async () => {
    const { assertions, uses } = open({ key: keyOf(), news: newsOf(4), isRemoved: true });
    expect(await assertions.settle(keyOf(), '')).toBeUndefined();
    expect(uses).toEqual([]);
  });

  it('is none where the public key was changed meanwhile', async () => {
    const key = keyOf();
    const changed = keyOf({ publicJwk: { kty: 'EC', kid: 'another' }, version: 4 });
    const { assertions, uses } = open({ key: changed, news: newsOf(4) });
    expect(await assertions.settle(key, '')).toBeUndefined();
    expect(uses).toEqual([]);
  });
});
