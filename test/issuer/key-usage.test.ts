/** When a secret was last used: collected in memory, written in batches, and nothing lost on the way. */
import { describe, expect, it } from 'vitest';
import { createKeyUsage, type KeyUse } from '../../src/issuer/key-usage.ts';
import type { Records, Stored } from '../../src/issuer/records.ts';
import { StoreUnavailable } from '../../src/store/store.ts';

/** Records in a map; `halt` holds every writer back, `fail` refuses them. */
function createMemory() {
  const kept = new Map<string, Stored<unknown>>();
  const memory = { writes: 0, halt: Promise.resolve(), fail: false };
  let texts = 0;
  const write = async (name: string, value: unknown): Promise<Stored<unknown>> => {
    await memory.halt;
    if (memory.fail) throw new StoreUnavailable('away');
    memory.writes += 1;
    const stored = { value, text: String(texts++) };
    kept.set(name, stored);
    return stored;
  };
  const records = {
    get: async (name: string) => kept.get(name),
    getMany: async (names: readonly string[]) => names.map(name => kept.get(name)),
    create: async (name: string, value: unknown) =>
      !kept.has(name) && (await write(name, value)) !== undefined,
    replace: async (name: string, read: Stored<unknown>, value: unknown) =>
      kept.get(name)?.text === read.text ? write(name, value) : undefined,
    remove: async (name: string) => kept.delete(name),
  } as Records;
  return { memory, records };
}

const use = (secret: number, at: number, from = '10.0.0.1'): KeyUse => ({ secret, at, from });

describe('the uses of a key', () => {
  it('are known before they are written, while they are, and afterwards', async () => {
    const { memory, records } = createMemory();
    const usage = createKeyUsage(records);
    let resume: () => void = () => undefined;
    memory.halt = new Promise(resolve => (resume = resolve));
    usage.note('a', use(1, 10));
    expect(await usage.read(['a', 'b'])).toEqual([[use(1, 10)], []]);
    const flushed = usage.flush();
    expect(await usage.read(['a'])).toEqual([[use(1, 10)]]);
    resume();
    await flushed;
    expect(await usage.read(['a'])).toEqual([[use(1, 10)]]);
    expect(await createKeyUsage(records).read(['a'])).toEqual([[use(1, 10)]]);
  });

  it('are written once a batch and key, and not at all where there is nothing new', async () => {
    const { memory, records } = createMemory();
    const usage = createKeyUsage(records);
    for (let at = 0; at < 100; at += 1) usage.note(at % 2 === 0 ? 'a' : 'b', use(1, at));
    await usage.flush();
    expect(memory.writes).toBe(2);
    await usage.flush();
    expect(memory.writes).toBe(2);
  });

  it('that could not be written are written the next time', async () => {
    const { memory, records } = createMemory();
    const usage = createKeyUsage(records);
    usage.note('a', use(1, 10));
    memory.fail = true;
    await expect(usage.flush()).rejects.toThrow(StoreUnavailable);
    expect(await usage.read(['a'])).toEqual([[use(1, 10)]]);
    memory.fail = false;
    await usage.flush();
    expect(await createKeyUsage(records).read(['a'])).toEqual([[use(1, 10)]]);
  });

  it('of two instances count by their time, in whichever order they are written', async () => {
    const { records } = createMemory();
    const [one, other] = [createKeyUsage(records), createKeyUsage(records)];
    one.note('a', use(1, 20, '10.0.0.1'));
    other.note('a', use(1, 10, '10.0.0.2'));
    await one.flush();
    await other.flush();
    expect(await one.read(['a'])).toEqual([[use(1, 20, '10.0.0.1')]]);
  });

  it('of a secret that stays are not pushed out by those of secrets that were taken back', async () => {
    const { records } = createMemory();
    const usage = createKeyUsage(records);
    for (const [place, secret] of [1, 2, 3, 4].entries()) usage.note('a', use(secret, place));
    await usage.flush();
    const [uses] = await usage.read(['a']);
    expect(uses?.find(({ secret }) => secret === 1)).toEqual(use(1, 0));
  });

  it('do not grow with the number of rotations', async () => {
    const { records } = createMemory();
    const usage = createKeyUsage(records);
    for (let secret = 0; secret < 1000; secret += 1) usage.note('a', use(secret, secret));
    const [uses] = await usage.read(['a']);
    expect(uses?.length).toBeLessThanOrEqual(10);
    expect(uses).toContainEqual(use(999, 999));
  });
});
