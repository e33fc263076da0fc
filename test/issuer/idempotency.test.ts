/** What is remembered of a deed: its answer, sealed; and that its outcome is unknown where it broke off. */
import { describe, expect, it } from 'vitest';
import { type Answer, createIdempotency, type Prepare } from '../../src/issuer/idempotency.ts';
import type { Records, Stored } from '../../src/issuer/records.ts';
import { createVault } from '../../src/issuer/vault.ts';
import { Problem } from '../../src/protocol/errors.ts';
import { StoreUnavailable } from '../../src/store/store.ts';

const answer: Answer = { status: 201, body: '{"apiKey":"a secret"}', headers: { Location: '/here' } };

function createSubject() {
  const kept = new Map<string, { stored: Stored<unknown>; expiresAt: number }>();
  let now = 1_700_000_000_000;
  let texts = 0;
  const living = (name: string) => {
    const found = kept.get(name);
    return found !== undefined && found.expiresAt > now ? found.stored : undefined;
  };
  const write = (name: string, value: unknown, expiresAt = Infinity) => {
    const stored = { value, text: `${JSON.stringify(value)} ${texts++}` };
    kept.set(name, { stored, expiresAt });
    return stored;
  };
  const records = {
    get: async (name: string) => living(name),
    create: async (name: string, value: unknown, options?: { expiresAt?: number }) =>
      living(name) === undefined && write(name, value, options?.expiresAt) !== undefined,
    replace: async (name: string, read: Stored<unknown>, value: unknown, options?: { expiresAt?: number }) =>
      living(name)?.text === read.text ? write(name, value, options?.expiresAt) : undefined,
    remove: async (name: string, read: Stored<unknown>) =>
      living(name)?.text === read.text && kept.delete(name),
  } as Records;
  const vault = createVault({ peppers: ['a pepper for this test'], masterKey: 'a master key for this test' });
  const idempotency = createIdempotency(records, vault, () => now);
  let deeds = 0;
  return {
    kept,
    write,
    advance: (seconds: number) => void (now += seconds * 1000),
    deeds: () => deeds,
    once: (
      deed: (prepare: Prepare) => Promise<Answer> = async () => answer,
      { caller = 'c', key = 'k', request = 'r' } = {},
    ) =>
      idempotency.once(caller, key, request, prepare => {
        deeds += 1;
        return deed(prepare);
      }),
  };
}

const breakOff = () => Promise.reject<Answer>(new StoreUnavailable('away'));

const codeOf = (attempt: Promise<unknown>): Promise<string> =>
  attempt.then(
    () => 'done',
    (error: unknown) => (error instanceof Problem ? error.code : String(error)),
  );

describe('a deed under an idempotency key', () => {
  it('is done once, and answered the same each time, sealed in between', async () => {
    const { once, deeds, kept } = createSubject();
    for (let time = 0; time < 3; time += 1) expect(await once()).toEqual(answer);
    expect(deeds()).toBe(1);
    const text = JSON.stringify([...kept]);
    for (const word of ['a secret', 'apiKey', 'Location']) expect(text).not.toContain(word);
  });

  it.each([
    [{ request: 'other' }, 'idempotency_key_reused'],
    [{ caller: 'other' }, 'done'],
    [{ key: 'other' }, 'done'],
  ])('%j: %s', async (call, outcome) => {
    const { once } = createSubject();
    await once();
    expect(await codeOf(once(undefined, call))).toBe(outcome);
  });

  it('that was refused leaves the key free', async () => {
    const { once, deeds } = createSubject();
    expect(await codeOf(once(() => Promise.reject(new Problem('conflict'))))).toBe('conflict');
    const other = once(() => Promise.reject(new Problem('not_found')), { request: 'other' });
    expect(await codeOf(other)).toBe('not_found');
    expect(await once()).toEqual(answer);
    expect(deeds()).toBe(3);
  });

  it('that broke off leaves it taken for half a minute', async () => {
    const { once, deeds, advance } = createSubject();
    await expect(once(breakOff)).rejects.toThrow(StoreUnavailable);
    expect(await codeOf(once())).toBe('idempotency_outcome_unknown');
    expect(await codeOf(once(undefined, { request: 'other' }))).toBe('idempotency_key_reused');
    advance(29);
    expect(await codeOf(once())).toBe('idempotency_outcome_unknown');
    advance(2);
    expect(await codeOf(once(undefined, { request: 'other' }))).toBe('idempotency_key_reused');
    expect(await once()).toEqual(answer);
    expect(deeds()).toBe(2);
  });

  it('that broke off after it was done is answered as it was prepared, and not done again', async () => {
    const { once, deeds, kept, write, advance } = createSubject();
    const attempt = once(async prepare => {
      await prepare(answer, { record: 'key/k', holds: 'its hash' });
      expect(JSON.stringify([...kept])).not.toContain('a secret');
      write('key/k', 'what has its hash');
      return breakOff();
    });
    await expect(attempt).rejects.toThrow(StoreUnavailable);
    expect(await once()).toEqual(answer);
    advance(31);
    expect(await once()).toEqual(answer);
    expect(deeds()).toBe(1);
  });

  it.each([
    ['the record is not there', undefined],
    ['the record holds something else', 'what has another hash'],
  ])('that was prepared but not done, for %s, is not answered so', async (_, value) => {
    const { once, deeds, write, advance } = createSubject();
    const attempt = once(async prepare => {
      await prepare(answer, { record: 'key/k', holds: 'its hash' });
      if (value !== undefined) write('key/k', value);
      return breakOff();
    });
    await expect(attempt).rejects.toThrow(StoreUnavailable);
    expect(await codeOf(once())).toBe('idempotency_outcome_unknown');
    advance(31);
    const other = { ...answer, body: 'another' };
    expect(await once(async () => other)).toEqual(other);
    expect(await once()).toEqual(other);
    expect(deeds()).toBe(2);
  });

  it('that was done needs its evidence no longer', async () => {
    const { once, kept, write } = createSubject();
    await once(async prepare => {
      await prepare(answer, { record: 'key/k', holds: 'its hash' });
      write('key/k', 'what has its hash');
      return answer;
    });
    kept.delete('key/k');
    expect(await once()).toEqual(answer);
  });

  it('that broke off is begun again by one of many', async () => {
    const { once, deeds, advance } = createSubject();
    await expect(once(breakOff)).rejects.toThrow(StoreUnavailable);
    advance(31);
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => codeOf(once())));
    expect(outcomes.filter(outcome => outcome === 'done').length).toBeGreaterThanOrEqual(1);
    expect(deeds()).toBe(2);
  });

  it('that is under way is not begun again', async () => {
    const { once, deeds } = createSubject();
    let finish: (answer: Answer) => void = () => undefined;
    const first = once(() => new Promise(resolve => (finish = resolve)));
    expect(await codeOf(once())).toBe('idempotency_outcome_unknown');
    finish(answer);
    expect(await first).toEqual(answer);
    expect(await once()).toEqual(answer);
    expect(deeds()).toBe(1);
  });

  it('is forgotten after a day, whatever became of it', async () => {
    const { once, deeds, advance } = createSubject();
    await once();
    advance(86_399);
    await once();
    expect(deeds()).toBe(1);
    advance(2);
    await codeOf(once(breakOff));
    expect(deeds()).toBe(2);
    advance(86_401);
    expect(await once()).toEqual(answer);
    expect(deeds()).toBe(3);
  });
});
