/** The lists that keys and accounts are found by: whoever changes one at the same moment as another, none is lost to its list. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../../src/store/store.ts';
import { openStage, type Stage } from './stage.ts';

const origin = 'https://app.example.com';
const announce = async () => undefined;

let stage: Stage;
/** What happens once, just before the store does the next thing of that name. */
let meanwhile: { removeMember?: () => Promise<unknown>; replace?: () => Promise<unknown> };

beforeEach(async () => {
  meanwhile = {};
  const happen = async (what: keyof typeof meanwhile) => {
    const { [what]: deed, ...others } = meanwhile;
    meanwhile = others;
    await deed?.();
  };
  const dress = (opened: Store): Store => ({
    ...opened,
    async removeMember(...call) {
      await happen('removeMember');
      return opened.removeMember(...call);
    },
    async replace(...call) {
      await happen('replace');
      return opened.replace(...call);
    },
  });
  stage = await openStage(dress);
});

afterEach(() => stage.close());

interface Subject {
  setOrigins(corsOrigins: string[]): Promise<unknown>;
  isListed(): Promise<boolean>;
}

async function createKey(): Promise<Subject> {
  const { apiKeys } = stage;
  const fields = { name: 'A key', feature: 'connections', status: 'active', corsOrigins: [origin] } as const;
  const { key } = await apiKeys.create(fields);
  return {
    setOrigins: corsOrigins => apiKeys.change(key.id, current => ({ ...current, corsOrigins })),
    isListed: () => isIn(apiKeys.withOrigin(origin), key.id),
  };
}

async function createAccount(): Promise<Subject> {
  const { accounts } = stage;
  await accounts.create('alice', { corsOrigins: [origin] }, announce);
  return {
    setOrigins: corsOrigins => accounts.change('alice', { corsOrigins }, announce),
    isListed: () => isIn(accounts.withOrigin(origin), 'alice'),
  };
}

async function isIn(list: AsyncIterable<{ readonly id: string }>, id: string): Promise<boolean> {
  for await (const entry of list) if (entry.id === id) return true;
  return false;
}

function createGate() {
  let open: () => void = () => undefined;
  const passed = new Promise<void>(resolve => (open = resolve));
  return { passed, open };
}

describe.each([
  ['a key', createKey],
  ['an account', createAccount],
])('an origin of %s that one takes away and another gives back', (_, create) => {
  it('stays listed where it was given back before the first has unlisted it', async () => {
    const subject = await create();
    meanwhile.removeMember = () => subject.setOrigins([origin]);
    await subject.setOrigins([]);
    expect(await subject.isListed()).toBe(true);
  });

  it('stays listed where the first has unlisted it just before the second writes', async () => {
    const subject = await create();
    const [written, unlisted] = [createGate(), createGate()];
    let giving: Promise<unknown> | undefined;
    meanwhile.removeMember = async () => {
      meanwhile.replace = async () => {
        written.open();
        await unlisted.passed;
      };
      giving = subject.setOrigins([origin]);
      await written.passed;
    };
    await subject.setOrigins([]);
    expect(await subject.isListed()).toBe(false);
    unlisted.open();
    await giving;
    expect(await subject.isListed()).toBe(true);
  });

  it('is listed no more where nobody gives it back', async () => {
    const subject = await create();
    await subject.setOrigins([]);
    expect(await subject.isListed()).toBe(false);
    await subject.setOrigins([origin]);
    expect(await subject.isListed()).toBe(true);
  });

  it("is nobody's where it could not be unlisted", async () => {
    const subject = await create();
    meanwhile.removeMember = () => Promise.reject(new Error('away'));
    await expect(subject.setOrigins([])).rejects.toThrow('away');
    expect(await subject.isListed()).toBe(false);
  });
});

it('an account that is made anew while another removes it is listed', async () => {
  const { accounts } = stage;
  await accounts.create('alice', {}, announce);
  meanwhile.removeMember = () => accounts.create('alice', {}, announce);
  await accounts.remove('alice', announce);
  expect((await accounts.list({ limit: 10 })).items.map(({ id }) => id)).toEqual(['alice']);
});
