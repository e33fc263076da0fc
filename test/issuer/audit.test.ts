/** The audit's chain: what is written cannot be changed, moved or taken out unseen, and what cannot be written is not done. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Audit, type AuditEntry, createAudit, underAudit } from '../../src/issuer/audit.ts';
import { createRecords, type Records } from '../../src/issuer/records.ts';
import { createVault } from '../../src/issuer/vault.ts';
import { openStore } from '../../src/store/open-store.ts';
import { type Store, StoreUnavailable } from '../../src/store/store.ts';

const actor = { account: 'owner', clientId: 'c', address: '127.0.0.1', requestId: 'r' };
const vault = createVault({ peppers: ['a pepper for this test'], masterKey: 'a master key for this test' });
const clock = () => 1_700_000_000_000;

let directory: string;
let store: Store;
let records: Records;
let audit: Audit;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'keyturn-audit-'));
  store = await openStore({ dataDir: directory, clock, onWarning: () => undefined });
  records = createRecords(store, vault);
  audit = createAudit(records, clock, async () => undefined);
});

afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true, force: true });
});

async function write(count: number, by = audit): Promise<void> {
  for (let place = 1; place <= count; place += 1) {
    await by.record({ actor, action: `step.${place}`, target: 'key/k', outcome: 'done' });
  }
}

/** The places of the faults, and what each is. */
async function faults(): Promise<[number, string][]> {
  const { faults: found } = await audit.verify();
  return found.map(({ seq, fault }) => [seq, fault]);
}

const changed = 'the entry was changed, or belongs elsewhere';
const missing = 'the entry is missing';
const loose = 'the entry does not follow the one before it';
const notHead = 'the entry is not the one that the head names';

async function textOf(name: string): Promise<string> {
  const text = await store.get(name);
  if (text === undefined) throw new Error(`there is no ${name}`);
  return text;
}

async function overwrite(name: string, text: string): Promise<void> {
  expect(await store.replace(name, await textOf(name), text)).toBe(true);
}

async function take(name: string): Promise<void> {
  expect(await store.remove(name, await textOf(name))).toBe(true);
}

/** Writes an entry as only the holder of the master key can: with a code that is right. */
async function forge(seq: number, change: (entry: AuditEntry) => AuditEntry): Promise<void> {
  const name = `audit/${seq}`;
  const read = await records.get<AuditEntry>(name);
  expect(read).toBeDefined();
  expect(await records.replace(name, read!, change(read!.value))).toBeDefined();
}

function rehash({ hash: _, ...entry }: AuditEntry): AuditEntry {
  return { ...entry, hash: createHash('sha256').update(JSON.stringify(entry)).digest('hex') };
}

describe('the chain', () => {
  it('is whole where nobody touched it', async () => {
    expect(await audit.verify()).toEqual({ entries: 0, head: '0'.repeat(64), faults: [] });
    await write(1);
    expect(await faults()).toEqual([]);
    await write(4);
    const { entries, head, faults: found } = await audit.verify();
    expect([entries, found]).toEqual([5, []]);
    expect(head).toBe((await records.get<AuditEntry>('audit/5'))?.value.hash);
  });

  it('carries in each entry the hash of the one before', async () => {
    await write(3);
    const { items } = await audit.list({ limit: 10 });
    expect(items.map(({ seq }) => seq)).toEqual([3, 2, 1]);
    expect(items.map(({ prev }) => prev)).toEqual([items[1]?.hash, items[2]?.hash, '0'.repeat(64)]);
    for (const item of items) expect(rehash(item)).toEqual(item);
  });

  it('is one, whoever writes: many at once, on several instances', async () => {
    const others = [
      audit,
      createAudit(records, clock, async () => undefined),
      createAudit(records, clock, async () => undefined),
    ];
    await Promise.all(others.map(other => Promise.all([1, 2, 3, 4, 5].map(() => write(1, other)))));
    expect(await audit.verify()).toMatchObject({ entries: 15, faults: [] });
  });

  it('goes on after a start, also where the head lags behind', async () => {
    await write(2);
    const old = await textOf('audit-head');
    await write(2);
    await overwrite('audit-head', old);
    await write(
      1,
      createAudit(records, clock, async () => undefined),
    );
    expect(await audit.verify()).toMatchObject({ entries: 5, faults: [] });
  });

  const cases: [string, () => Promise<void>, [number, string][]][] = [
    [
      'text that was changed',
      async () => overwrite('audit/3', (await textOf('audit/3')).replace('step.3', 'step.4')),
      [[3, changed]],
    ],
    [
      'a code that was changed',
      async () => overwrite('audit/3', `${await textOf('audit/3')}x`),
      [[3, changed]],
    ],
    ['an entry that is no entry', () => overwrite('audit/3', 'nonsense'), [[3, changed]]],
    [
      'an entry under another number',
      async () => overwrite('audit/3', await textOf('audit/2')),
      [[3, changed]],
    ],
    [
      'two that were swapped',
      async () => {
        const [two, three] = [await textOf('audit/2'), await textOf('audit/3')];
        await overwrite('audit/2', three);
        await overwrite('audit/3', two);
      },
      [
        [2, changed],
        [3, changed],
      ],
    ],
    ['one that was taken out', () => take('audit/3'), [[3, missing]]],
    ['the first, taken out', () => take('audit/1'), [[1, missing]]],
    ['the last, taken out', () => take('audit/5'), [[5, missing]]],
    [
      'a tail that was cut off',
      async () => {
        await take('audit/5');
        await take('audit/4');
      },
      [
        [4, missing],
        [5, missing],
      ],
    ],
    [
      'a tail that was cut off with the head',
      async () => {
        await take('audit/5');
        await take('audit-head');
      },
      [[0, 'the head is missing']],
    ],
    ['a head that was taken away', () => take('audit-head'), [[0, 'the head is missing']]],
    [
      'a head that was changed',
      async () => overwrite('audit-head', (await textOf('audit-head')).replace('5', '4')),
      [[0, 'the head was changed']],
    ],
    [
      'with the right code: another text',
      () => forge(3, entry => ({ ...entry, action: 'step.4' })),
      [[3, changed]],
    ],
    [
      'with the right code: another text and its hash',
      () => forge(3, entry => rehash({ ...entry, action: 'step.4' })),
      [[4, loose]],
    ],
    [
      'with the right code: the last, and its hash',
      () => forge(5, entry => rehash({ ...entry, action: 'step.4' })),
      [[5, notHead]],
    ],
    [
      'with the right code: an entry under another number',
      async () => {
        const two = await records.get<AuditEntry>('audit/2');
        await forge(3, () => two!.value);
      },
      [
        [3, changed],
        [4, loose],
      ],
    ],
  ];
  it.each(cases)('shows %s', async (_, tamper, expected) => {
    await write(5);
    await tamper();
    expect(await faults()).toEqual(expected);
  });

  it('shows what was changed also after more has been written', async () => {
    await write(5);
    await overwrite('audit/2', (await textOf('audit/2')).replace('step.2', 'step.9'));
    await take('audit/4');
    await write(3);
    expect(await faults()).toEqual([
      [2, changed],
      [4, missing],
    ]);
    expect((await audit.verify()).entries).toBe(8);
  });
});

describe('the list', () => {
  it('finds by key, account and action, also by who did it', async () => {
    const news = (action: string, target: string, by: object) =>
      audit.record({ actor: { ...actor, ...by }, action, target, outcome: 'done' });
    await news('key.create', 'key/a', { account: 'alice', clientId: 'x' });
    await news('key.create', 'key/b', { account: 'bob', clientId: 'a' });
    await news('account.update', 'account/alice', { account: 'bob', clientId: 'y' });
    const found = async (query: object) =>
      (await audit.list({ limit: 10, ...query })).items.map(({ seq }) => seq);
    expect(await found({ key: 'a' })).toEqual([2, 1]);
    expect(await found({ key: 'b' })).toEqual([2]);
    expect(await found({ account: 'alice' })).toEqual([3, 1]);
    expect(await found({ action: 'key.create' })).toEqual([2, 1]);
    expect(await found({ action: 'key.create', account: 'bob' })).toEqual([2]);
    expect(await found({ action: 'key' })).toEqual([]);
  });

  it('comes in pages that join, with a filter that passes few too', async () => {
    await write(120);
    const seqs: number[] = [];
    let cursor: number | undefined;
    do {
      const page = await audit.list({ limit: 7, ...(cursor !== undefined && { cursor }) });
      seqs.push(...page.items.map(({ seq }) => seq));
      cursor = page.next;
    } while (cursor !== undefined);
    expect(seqs).toEqual(Array.from({ length: 120 }, (_, place) => 120 - place));
    expect((await audit.list({ limit: 7, action: 'step.1' })).items.map(({ seq }) => seq)).toEqual([1]);
    expect((await audit.list({ limit: 7, cursor: 3 })).items.map(({ seq }) => seq)).toEqual([3, 2, 1]);
    expect((await audit.list({ limit: 7, cursor: 9999 })).items).toEqual([]);
  });
});

describe('a deed under audit', () => {
  const what = { actor, action: 'key.update', target: 'key/k' };
  const outcomes = async () => (await audit.list({ limit: 10 })).items.map(({ outcome }) => outcome);

  it('is announced before it is done', async () => {
    const done = await underAudit(audit, what, async announce => {
      await announce({ a: 1 }, { a: 2 });
      expect(await outcomes()).toEqual(['done']);
      return 'it';
    });
    expect(done).toBe('it');
    expect((await audit.list({ limit: 1 })).items).toMatchObject([
      { ...what, before: { a: 1 }, after: { a: 2 } },
    ]);
    expect(await outcomes()).toEqual(['done']);
  });

  it('that fails afterwards is said to have failed; one that fails before is not mentioned', async () => {
    const fail = async (
      announce: (before: unknown, after: unknown) => Promise<void>,
      isAnnounced: boolean,
    ) => {
      if (isAnnounced) await announce(1, 2);
      throw new Error('for a reason');
    };
    await expect(underAudit(audit, what, announce => fail(announce, false))).rejects.toThrow('for a reason');
    expect(await outcomes()).toEqual([]);
    await expect(underAudit(audit, what, announce => fail(announce, true))).rejects.toThrow('for a reason');
    expect(await outcomes()).toEqual(['failed', 'done']);
    expect((await audit.list({ limit: 1 })).items).toMatchObject([{ reason: 'for a reason' }]);
  });

  it('is not done where it cannot be announced', async () => {
    const refusing: Records = {
      ...records,
      create: (name, ...rest) =>
        name.startsWith('audit/')
          ? Promise.reject(new StoreUnavailable('full'))
          : records.create(name, ...rest),
    };
    let isDone = false;
    const deed = underAudit(
      createAudit(refusing, clock, async () => undefined),
      what,
      async announce => {
        await announce(1, 2);
        isDone = true;
      },
    );
    await expect(deed).rejects.toThrow(StoreUnavailable);
    expect(isDone).toBe(false);
    expect(await outcomes()).toEqual([]);
  });

  it('is not announced into a store that is another deployment by now', async () => {
    const refuse = () => Promise.reject(new StoreUnavailable('another store'));
    await expect(write(1, createAudit(records, clock, refuse))).rejects.toThrow('another store');
    expect(await outcomes()).toEqual([]);
  });

  it('goes on once the audit can be written again', async () => {
    let isFull = true;
    const moody: Records = {
      ...records,
      create: (name, ...rest) =>
        isFull ? Promise.reject(new StoreUnavailable('full')) : records.create(name, ...rest),
    };
    const own = createAudit(moody, clock, async () => undefined);
    const [first, second] = await Promise.allSettled([write(1, own), write(1, own)]);
    expect([first.status, second.status]).toEqual(['rejected', 'rejected']);
    isFull = false;
    await write(1, own);
    expect(await audit.verify()).toMatchObject({ entries: 1, faults: [] });
  });
});
