/** Rotation as a machine: what each step makes of a key, and what no sequence of steps can. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ApiKey, type KeySecret, livingSecrets, statusOf } from '../../src/issuer/api-key.ts';
import {
  cancelRotation,
  noteFirstUse,
  type RotationRequest,
  startRotation,
} from '../../src/issuer/rotation.ts';
import { Problem } from '../../src/protocol/errors.ts';

const start = 1_700_000_000_000;

function secretOf(createdAt: number): KeySecret {
  return { hash: `hash ${createdAt}`, pepper: 'pepper', last4: 'last', createdAt };
}

function keyOf(fields: Partial<ApiKey> = {}): ApiKey {
  return {
    id: '4b8cda7a-1b0f-4b1f-9f0e-0d1b3a5c7e9f',
    name: 'A key',
    feature: 'connections',
    status: 'active',
    version: 7,
    secrets: [secretOf(start)],
    createdAt: start,
    updatedAt: start,
    ...fields,
  };
}

function codeOf(deed: () => unknown): string {
  try {
    deed();
    return 'done';
  } catch (error) {
    if (error instanceof Problem) return error.code;
    throw error;
  }
}

describe('a rotation', () => {
  const fresh = secretOf(start + 1);

  it.each<[string, RotationRequest, Partial<KeySecret>[], number]>([
    ['overlap', { mode: 'overlap', grace: 5 }, [{ retiresAt: start + 5000 }, {}], 7],
    ['overlap with the standard grace', { mode: 'overlap' }, [{ retiresAt: start + 86_400_000 }, {}], 7],
    ['first-use', { mode: 'first-use', grace: 5 }, [{}, { firstUseGrace: 5000 }], 7],
    ['first-use with the standard grace', { mode: 'first-use' }, [{}, { firstUseGrace: 86_400_000 }], 7],
    ['now', { mode: 'now' }, [{}], 8],
  ])('%s: the secrets and the version that follow', (_, request, secrets, version) => {
    const after = startRotation(keyOf(), request, fresh, start);
    const [first, second] = secrets;
    expect(after.secrets).toEqual(
      second === undefined
        ? [fresh]
        : [
            { ...secretOf(start), ...first },
            { ...fresh, ...second },
          ],
    );
    expect(after.version).toBe(version);
  });

  it.each<[Partial<ApiKey>, string]>([
    [{ status: 'active' }, 'done'],
    [{ status: 'draft' }, 'done'],
    [{ status: 'disabled' }, 'conflict'],
    [{ status: 'revoked' }, 'conflict'],
    [{ expiresAt: start }, 'conflict'],
    [{ expiresAt: start + 1 }, 'done'],
    [{ secrets: [secretOf(start), secretOf(start + 1)] }, 'conflict'],
    [{ secrets: [{ ...secretOf(start), retiresAt: start }, secretOf(start + 1)] }, 'done'],
    [{ secrets: [{ ...secretOf(start), retiresAt: start + 1 }, secretOf(start + 1)] }, 'conflict'],
    [{ secrets: [secretOf(start), { ...secretOf(start + 1), firstUseGrace: 0 }] }, 'conflict'],
  ])('of a key with %j: %s, whatever the mode', (fields, outcome) => {
    for (const mode of ['overlap', 'first-use', 'now'] as const) {
      expect(codeOf(() => startRotation(keyOf(fields), { mode }, fresh, start))).toBe(outcome);
    }
  });

  it('ends no later than the key', () => {
    const key = keyOf({ expiresAt: start + 2000 });
    const overlapping = startRotation(key, { mode: 'overlap', grace: 5 }, fresh, start);
    expect(overlapping.secrets[0]?.retiresAt).toBe(start + 2000);
    const waiting = startRotation(key, { mode: 'first-use', grace: 5 }, fresh, start);
    const used = noteFirstUse(waiting, waiting.secrets[1]!, start + 1000);
    expect(used.secrets[0]?.retiresAt).toBe(start + 2000);
  });

  it('that waits for a first use begins with it, once', () => {
    const waiting = startRotation(keyOf(), { mode: 'first-use', grace: 5 }, fresh, start);
    const used = noteFirstUse(waiting, waiting.secrets[1]!, start + 60_000);
    expect(used.secrets).toEqual([{ ...secretOf(start), retiresAt: start + 65_000 }, fresh]);
    expect(noteFirstUse(used, used.secrets[1]!, start + 61_000)).toBe(used);
    expect(noteFirstUse(waiting, waiting.secrets[0]!, start)).toBe(waiting);
  });

  it('that is cancelled leaves the old secret as it was, and ends tokens only of a secret that was in use', () => {
    const waiting = startRotation(keyOf(), { mode: 'first-use', grace: 5 }, fresh, start);
    expect(cancelRotation(waiting, start)).toEqual(keyOf());
    const overlapping = startRotation(keyOf(), { mode: 'overlap', grace: 5 }, fresh, start);
    expect(cancelRotation(overlapping, start)).toEqual(keyOf({ version: 8 }));
    expect(codeOf(() => cancelRotation(overlapping, start + 5000))).toBe('conflict');
    expect(codeOf(() => cancelRotation(keyOf(), start))).toBe('conflict');
  });
});

/** What a rotation has to be, said a second time: each secret by itself, with a deadline of its own. */
interface ModelSecret {
  readonly createdAt: number;
  deadline: number;
  waitsWith?: number | undefined;
}

class Model {
  now = start;
  expiresAt = Infinity;
  version = 7;
  secrets: ModelSecret[] = [{ createdAt: start, deadline: Infinity }];

  living(): ModelSecret[] {
    return this.secrets.filter(({ deadline }) => deadline > this.now);
  }

  get isOver(): boolean {
    return this.expiresAt <= this.now;
  }

  rotate({ mode, grace = 86_400 }: { mode: string; grace?: number }, createdAt: number): boolean {
    const [old, second] = this.living();
    if (this.isOver || old === undefined || second !== undefined) return false;
    const fresh: ModelSecret = { createdAt, deadline: Infinity };
    if (mode === 'now') [old.deadline, this.version] = [this.now, this.version + 1];
    if (mode === 'overlap') old.deadline = Math.min(this.now + grace * 1000, this.expiresAt);
    if (mode === 'first-use') fresh.waitsWith = grace * 1000;
    this.secrets.push(fresh);
    return true;
  }

  use(place: number): void {
    const used = this.living()[place];
    if (used?.waitsWith === undefined) return;
    for (const other of this.living()) {
      if (other !== used)
        other.deadline = Math.min(this.now + used.waitsWith, this.expiresAt, other.deadline);
    }
    used.waitsWith = undefined;
  }

  cancel(): boolean {
    const [old, fresh] = this.living();
    if (old === undefined || fresh === undefined) return false;
    if (fresh.waitsWith === undefined) this.version += 1;
    [old.deadline, fresh.deadline] = [Infinity, this.now];
    return true;
  }
}

type Step =
  | { do: 'rotate'; mode: 'overlap' | 'first-use' | 'now'; grace: number }
  | { do: 'use'; place: number }
  | { do: 'cancel' }
  | { do: 'wait'; seconds: number }
  | { do: 'expire'; seconds: number };

const rotating: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('rotate'),
  mode: fc.constantFrom('overlap', 'first-use', 'now'),
  grace: fc.integer({ min: 0, max: 20 }),
});
const using: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('use'),
  place: fc.integer({ min: 0, max: 1 }),
});
const cancelling: fc.Arbitrary<Step> = fc.record({ do: fc.constant('cancel') });
const waiting: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('wait'),
  seconds: fc.integer({ min: 1, max: 25 }),
});
const expiring: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('expire'),
  seconds: fc.integer({ min: 0, max: 60 }),
});
const sequences = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: rotating },
    { weight: 4, arbitrary: using },
    { weight: 1, arbitrary: cancelling },
    { weight: 3, arbitrary: waiting },
    { weight: 1, arbitrary: expiring },
  ),
  { maxLength: 30 },
);

/** Takes a step in the model and with the real key, and says whether both agreed that it may be taken. */
function take(step: Step, model: Model, key: ApiKey): ApiKey {
  const { now } = model;
  const attempt = (deed: () => ApiKey, isAllowed: boolean): ApiKey => {
    let after = key;
    const outcome = codeOf(() => (after = deed()));
    expect(outcome).toBe(isAllowed ? 'done' : 'conflict');
    return after;
  };
  switch (step.do) {
    case 'rotate': {
      const createdAt = Math.max(now, ...key.secrets.map(secret => secret.createdAt + 1));
      const { mode, grace } = step;
      const request: RotationRequest = mode === 'now' ? { mode } : { mode, grace };
      const isAllowed = model.rotate(step, createdAt);
      return attempt(() => startRotation(key, request, secretOf(createdAt), now), isAllowed);
    }
    case 'use': {
      const used = livingSecrets(key, now)[step.place];
      if (used === undefined || model.isOver) return key;
      model.use(step.place);
      return noteFirstUse(key, used, now);
    }
    case 'cancel':
      return attempt(() => cancelRotation(key, now), model.cancel());
    case 'wait':
      model.now += step.seconds * 1000;
      return key;
    case 'expire':
      // An expiry is set once: what moves it otherwise is a change of the key, not a rotation.
      if (model.expiresAt !== Infinity) return key;
      model.expiresAt = now + step.seconds * 1000;
      return { ...key, expiresAt: model.expiresAt };
  }
}

describe('whatever the steps and their times', () => {
  it('the secrets that live are those of the model: two at most, each until its deadline', () => {
    fc.assert(
      fc.property(sequences, sequence => {
        const model = new Model();
        let key = keyOf();
        for (const step of sequence) {
          key = take(step, model, key);
          const living = livingSecrets(key, model.now);
          expect(living.map(({ createdAt }) => createdAt)).toEqual(
            model.living().map(({ createdAt }) => createdAt),
          );
          expect(living.map(({ retiresAt }) => retiresAt ?? Infinity)).toEqual(
            model.living().map(({ deadline }) => deadline),
          );
          expect(living.length).toBeGreaterThan(0);
          expect(living.length).toBeLessThanOrEqual(2);
          expect(key.secrets.length).toBeLessThanOrEqual(2);
          expect(key.version).toBe(model.version);
          expect(statusOf(key, model.now) === 'expired').toBe(model.isOver);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('a deadline is judged by the clock alone: nothing has to happen for a secret to end', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 31_536_000 }), grace => {
        const key = startRotation(keyOf(), { mode: 'overlap', grace }, secretOf(start + 1), start);
        const end = start + grace * 1000;
        expect(livingSecrets(key, end - 1)).toHaveLength(2);
        expect(livingSecrets(key, end)).toEqual([secretOf(start + 1)]);
        expect(livingSecrets(key, Number.MAX_SAFE_INTEGER)).toEqual([secretOf(start + 1)]);
      }),
    );
  });
});
