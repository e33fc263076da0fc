/** Waiting for a store, and for a deployment in it: what is waited out, and what is not. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { awaitDeployment, awaitFoundation } from '../../src/issuer/await-deployment.ts';
import { WrongSecrets } from '../../src/issuer/deployment.ts';
import type { Foundation } from '../../src/issuer/foundation.ts';
import { prepareDeployment } from '../../src/issuer/initialise.ts';
import { createRecords } from '../../src/issuer/records.ts';
import { createVault } from '../../src/issuer/vault.ts';
import { StoreUnavailable, StoreUnfit } from '../../src/store/store.ts';
import { openStage, type Stage } from './stage.ts';

const minute = 60_000;
const foundation = { epoch: 'one' } as Foundation;

let said: string[];
let stop: AbortController;
const logger = {
  info: () => undefined,
  warn: () => undefined,
  error: ({ err }: { err?: unknown }) => void said.push(String(err)),
};

beforeEach(() => {
  said = [];
  stop = new AbortController();
});

afterEach(() => {
  stop.abort();
  vi.useRealTimers();
});

/** Opens with what is next: an error is thrown, and the last one again and again. */
function createOpening(...outcomes: readonly (Error | Foundation)[]) {
  let tries = 0;
  const open = async (): Promise<Foundation> => {
    const outcome = outcomes[Math.min(tries, outcomes.length - 1)]!;
    tries += 1;
    if (outcome instanceof Error) throw outcome;
    return outcome;
  };
  return { open, tries: () => tries };
}

/** What becomes of it within that time. */
async function within(time: number, waiting: Promise<unknown>): Promise<unknown> {
  const outcome = waiting.catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(time);
  return Promise.race([outcome, Promise.resolve('waiting')]);
}

describe('a store', () => {
  beforeEach(() => void vi.useFakeTimers());

  const away = new StoreUnavailable('away');
  const replica = new StoreUnfit('a replica');

  it('that is away is waited for, however long, and each reason is told once', async () => {
    const { open, tries } = createOpening(...Array.from({ length: 600 }, () => away), foundation);
    const waiting = awaitFoundation(open, logger, stop.signal);
    expect(await within(9 * minute, waiting)).toBe('waiting');
    expect(await within(2 * minute, waiting)).toBe(foundation);
    expect([tries(), said]).toEqual([601, [String(away)]]);
  });

  it('that is unfit for a moment, as in a failover, is waited for', async () => {
    const phases = [away, ...Array.from({ length: 50 }, () => replica), away];
    const { open } = createOpening(...phases, ...phases, foundation);
    expect(await within(2 * minute, awaitFoundation(open, logger, stop.signal))).toBe(foundation);
    expect(said).toEqual([away, replica, away, replica, away].map(String));
  });

  it('that stays unfit is given up after a minute', async () => {
    const waiting = awaitFoundation(createOpening(replica).open, logger, stop.signal);
    expect(await within(minute - 2000, waiting)).toBe('waiting');
    expect(await within(2000, waiting)).toBe(replica);
  });

  it.each([new WrongSecrets('another master key'), new TypeError('a fault of our own')])(
    'is given up at once where it says: %s',
    async fault => {
      const { open, tries } = createOpening(away, fault, foundation);
      expect(await within(minute, awaitFoundation(open, logger, stop.signal))).toBe(fault);
      expect(tries()).toBe(2);
    },
  );

  it('is waited for no more once that is to end', async () => {
    const waiting = awaitFoundation(createOpening(away).open, logger, stop.signal);
    expect(await within(minute, waiting)).toBe('waiting');
    stop.abort();
    expect(await within(0, waiting)).toBeUndefined();
  });
});

describe('a deployment', () => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await openStage();
  });
  afterEach(() => stage.close());

  const prepare = () => prepareDeployment({ ...stage, alg: 'ES256' });

  it('is served as soon as it is made, and again where that failed for a moment', async () => {
    const epochs: string[] = [];
    const serve = async (epoch: string) => {
      epochs.push(epoch);
      if (epochs.length < 3) throw new StoreUnavailable('away');
    };
    const waiting = awaitDeployment({ ...stage, logger }, serve, stop.signal);
    await prepare();
    await waiting;
    expect(epochs).toHaveLength(3);
    expect(new Set(epochs).size).toBe(1);
  });

  it.each([
    ['another master key', { masterKey: 'another master key', peppers: ['a pepper for this test'] }],
    ['another pepper', { masterKey: 'a master key for this test', peppers: ['another pepper'] }],
  ])('that is made with %s is not waited for', async (_, secrets) => {
    const vault = createVault(secrets);
    const records = createRecords(stage.store, vault);
    const waiting = awaitDeployment({ records, vault, logger }, async () => undefined, stop.signal);
    await prepare();
    await expect(waiting).rejects.toThrow(WrongSecrets);
    expect(said).toEqual([]);
  });

  it('that cannot be served by a fault of our own is not tried again', async () => {
    await prepare();
    let tries = 0;
    const serve = async () => {
      tries += 1;
      throw new TypeError('a fault of our own');
    };
    await expect(awaitDeployment({ ...stage, logger }, serve, stop.signal)).rejects.toThrow(TypeError);
    expect(tries).toBe(1);
  });
});
