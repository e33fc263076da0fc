/** The union of origins: what a preflight costs the store, and how soon it knows of a change. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadSettings } from '../../src/config/load.ts';
import { createAccounts } from '../../src/issuer/accounts.ts';
import { createApiKeys, type NewApiKey } from '../../src/issuer/api-keys.ts';
import { createOriginUnion, type OriginUnion } from '../../src/issuer/origin-union.ts';
import { openStage, type Stage } from './stage.ts';

const { catalogue } = loadSettings({});
const origin = 'https://app.example.com';
const [templates, connections] = ['Personalize.Templates', 'Personalize.Connections'];
const announce = async () => undefined;

let now: number;
let stage: Stage;
let union: OriginUnion;
/** Reading commands that the store was given: a page counts as one, as Redis is asked for it at once. */
let readings: number;
/** What happens before the next page of records is read. */
let beforePage: (() => Promise<unknown>) | undefined;

beforeEach(async () => {
  now = 1_700_000_000_000;
  readings = 0;
  beforePage = undefined;
  const dress: Parameters<typeof openStage>[0] = opened => ({
    ...opened,
    async get(...call) {
      readings += 1;
      return opened.get(...call);
    },
    async getMany(...call) {
      readings += 1;
      const deed = beforePage;
      beforePage = undefined;
      await deed?.();
      return opened.getMany(...call);
    },
    async listMembers(...call) {
      readings += 1;
      return opened.listMembers(...call);
    },
  });
  stage = await openStage(dress, () => now);
  union = createOriginUnion({ ...stage, catalogue });
});

afterEach(() => stage.close());

/** What an answer costs, and is. */
async function ask(controller: string, from = origin): Promise<[allowed: boolean, readings: number]> {
  readings = 0;
  return [await union(from, controller), readings];
}

async function createKey(fields: Partial<NewApiKey> = {}) {
  const made = { name: 'A key', feature: 'developer-templates', status: 'active', ...fields } as const;
  return (await stage.apiKeys.create({ corsOrigins: [origin], ...made })).key;
}

/** Another instance: its own keys and accounts, on the same store. */
function createElsewhere() {
  const apiKeys = createApiKeys(stage);
  return { apiKeys, accounts: createAccounts({ ...stage, apiKeys }) };
}

describe('many keys under "*"', () => {
  const many = 1200;
  beforeEach(async () => {
    await Promise.all(Array.from({ length: many }, () => createKey({ corsOrigins: ['*'] })));
  });

  it('cost a preflight two questions for each 500 of them, and the next one nothing', async () => {
    const [allowed, cost] = await ask(connections);
    expect(allowed).toBe(false);
    expect(cost).toBeGreaterThan(2);
    expect(cost).toBeLessThanOrEqual(1 + 2 * Math.ceil(many / 500));
    expect(await ask(connections)).toEqual([false, 0]);
    expect(await ask('Personalize.Flows')).toEqual([false, 0]);
    expect(await ask(templates)).toEqual([true, 0]);
  });

  it('cost a preflight of yet another origin one question', async () => {
    await ask(connections);
    expect(await ask(connections, 'https://another.example')).toEqual([false, 1]);
  });

  it('are read once for all who ask at a time', async () => {
    await ask(connections);
    now += 1000;
    const [, alone] = await ask(connections);
    now += 1000;
    readings = 0;
    const answers = await Promise.all(Array.from({ length: 100 }, () => union(origin, connections)));
    expect(answers).not.toContain(true);
    expect(alone).toBeGreaterThan(0);
    expect(readings).toBe(alone);
  });
});

describe('a change at this instance shows at once', () => {
  it('of a key: made, changed, disabled, enabled, and gone', async () => {
    const { apiKeys } = stage;
    const seen = [(await ask(templates))[0]];
    const see = async (deed: Promise<unknown>) => {
      await deed;
      seen.push((await ask(templates))[0]);
    };
    const { id } = await createKey();
    await see(Promise.resolve());
    await see(apiKeys.change(id, key => ({ ...key, corsOrigins: [] })));
    await see(apiKeys.change(id, key => ({ ...key, corsOrigins: [origin] })));
    await see(apiKeys.change(id, key => ({ ...key, status: 'disabled' })));
    await see(apiKeys.change(id, key => ({ ...key, status: 'active' })));
    await see(apiKeys.change(id, key => ({ ...key, allowedControllers: [] })));
    await see(apiKeys.change(id, ({ allowedControllers: _, ...key }) => key));
    await see(apiKeys.remove(id));
    expect(seen).toEqual([false, true, false, true, false, true, false, true, false]);
  });

  it('of an account: made, given a key and robbed of it, changed, and gone', async () => {
    const { accounts } = stage;
    const seen: boolean[] = [];
    const see = async (deed: Promise<unknown>) => {
      await deed;
      seen.push((await ask('Sitefinity.Default'))[0]);
    };
    await see(accounts.create('alice', { corsOrigins: [origin] }, announce));
    await see(accounts.createAccessKey('alice', announce));
    await see(accounts.change('alice', { corsOrigins: [] }, announce));
    await see(accounts.change('alice', { corsOrigins: ['*'] }, announce));
    await see(accounts.removeAccessKey('alice', announce));
    await see(accounts.createAccessKey('alice', announce));
    await see(accounts.remove('alice', announce));
    expect(seen).toEqual([false, true, false, true, false, true, false]);
  });

  it('of an account: each that makes a difference to its pages is counted', async () => {
    const { accounts } = stage;
    await accounts.create('alice', { corsOrigins: [origin] }, announce);
    expect(accounts.originChanges()).toBe(0);
    await accounts.createAccessKey('alice', announce);
    await accounts.change('alice', { permissions: ['a:read'] }, announce);
    expect(accounts.originChanges()).toBe(1);
    await accounts.change('alice', { corsOrigins: [] }, announce);
    expect(accounts.originChanges()).toBe(2);
  });

  it('also to whoever asks while an earlier state is being read', async () => {
    await createKey({ feature: 'connections' });
    let asked: Promise<boolean> | undefined;
    beforePage = async () => {
      await createKey();
      asked = union(origin, templates);
    };
    await union(origin, templates);
    expect(await asked).toBe(true);
  });

  it('and one that has nothing to do with origins lets nobody read again', async () => {
    await ask(templates);
    const { id } = await createKey({ corsOrigins: [] });
    await stage.apiKeys.change(id, key => ({ ...key, name: 'Another name' }));
    const listed = await createKey();
    await ask(templates);
    await stage.apiKeys.change(listed.id, key => ({ ...key, name: 'Another name', version: 2 }));
    await stage.apiKeys.change(listed.id, key => ({ ...key, secrets: [...key.secrets] }));
    expect(await ask(templates)).toEqual([true, 0]);
    await stage.accounts.create('alice', {}, announce);
    expect(await ask(templates)).toEqual([true, 0]);
  });
});

describe('a change at another instance', () => {
  it('shows a second later', async () => {
    await ask(templates);
    const { apiKeys } = createElsewhere();
    const fields = { name: 'A key', feature: 'developer-templates', status: 'active' } as const;
    const { key } = await apiKeys.create({ ...fields, corsOrigins: [origin] });
    now += 1000;
    expect((await ask(templates))[0]).toBe(true);
    await apiKeys.remove(key.id);
    now += 1000;
    expect((await ask(templates))[0]).toBe(false);
  });

  it.each([
    ['ten times as long as the reading took', 2000, 20_000],
    ['a minute later at most', 20_000, 60_000],
  ])('shows %s', async (_, took, life) => {
    const key = await createKey();
    beforePage = async () => (now += took);
    expect((await ask(templates))[0]).toBe(true);
    await createElsewhere().apiKeys.remove(key.id);
    now += life - 1;
    expect(await ask(templates)).toEqual([true, 0]);
    now += 1;
    expect((await ask(templates))[0]).toBe(false);
  });

  it('shows at once where the clock was put back', async () => {
    const key = await createKey();
    await ask(templates);
    await createElsewhere().apiKeys.remove(key.id);
    now -= 3_600_000;
    expect((await ask(templates))[0]).toBe(false);
  });
});

it('what is remembered begins and ends with its key', async () => {
  await createKey({ notBefore: now + 300, expiresAt: now + 600 });
  const seen = [];
  for (let step = 0; step < 3; step += 1) {
    seen.push((await ask(templates))[0]);
    now += 300;
  }
  expect(seen).toEqual([false, true, false]);
});

it('what could not be read is not remembered', async () => {
  await createKey();
  beforePage = () => Promise.reject(new Error('away'));
  await expect(union(origin, templates)).rejects.toThrow('away');
  expect((await ask(templates))[0]).toBe(true);
});
