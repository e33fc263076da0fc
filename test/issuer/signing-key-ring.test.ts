/** The ring as a value: which key is in what state when, and that no token is ever left without its key. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addKey,
  bringForward,
  endOf,
  instanceLead,
  isKnown,
  keepUp,
  retention,
  type Ring,
  revokeKey,
  type RingRules,
  type SigningKeyRecord,
  signingKeyOf,
  stateOf,
  waitingKeyOf,
  wantingAlgs,
} from '../../src/issuer/signing-key-ring.ts';
import type { SigningAlgorithm } from '../../src/protocol/token-header.ts';

const hour = 3_600_000;
const day = 24 * hour;
const start = 1_700_000_000_000;
const rules: RingRules = { algs: ['ES256'], lead: 900_000, period: 30 * day, isRevoked: () => false };

function makeKey(kid: string, alg: SigningAlgorithm = 'ES256', activeAt = start): SigningKeyRecord {
  return { kid, alg, createdAt: activeAt, activeAt, publicJwk: { kty: 'EC' }, sealed: '' };
}

const alone: Ring = { keys: [makeKey('one')], former: [] };
const shortly = addKey(alone, makeKey('two'), start + day);

/** `kid state` of each key. */
function show(ring: Ring, now: number): string[] {
  return ring.keys.map(key => `${key.kid} ${stateOf(ring, key, now)}`);
}

describe('a key', () => {
  it('is next, active, retired and removed as time goes by, and by nothing else', () => {
    const end = start + day + retention;
    expect(show(shortly, start + day - 1)).toEqual(['one active', 'two next']);
    expect(show(shortly, start + day)).toEqual(['one retired', 'two active']);
    expect(show(keepUp(shortly, end - 1, rules), end - 1)).toEqual(['one retired', 'two active']);
    const after = keepUp(shortly, end, rules);
    expect(show(after, end)).toEqual(['two active']);
    expect(after.former).toEqual([
      { kid: 'one', alg: 'ES256', createdAt: start, activeAt: start, end: 'removed', at: end },
    ]);
  });

  it('signs on, however old, until another is there to sign', () => {
    const late = start + 10 * 365 * day;
    expect(signingKeyOf(alone, 'ES256', late, rules.isRevoked)?.kid).toBe('one');
    expect(keepUp(alone, late, rules)).toBe(alone);
  });

  it('signs although its time has not come, where there is no other: a clock may be behind', () => {
    expect(signingKeyOf(alone, 'ES256', start - 5 * 60_000, rules.isRevoked)?.kid).toBe('one');
    expect(show(alone, start - 5 * 60_000)).toEqual(['one active']);
  });

  it('is known for ever by its id and by its material', () => {
    const brought = { ...makeKey('mine'), thumbprint: 'print' };
    const ring = revokeKey(addKey(alone, brought, start + day), 'mine', start);
    for (const known of [addKey(alone, brought, start + day), ring]) {
      expect(isKnown(known, 'mine', 'another')).toBe(true);
      expect(isKnown(known, 'another', 'print')).toBe(true);
      expect(isKnown(known, 'another', 'one')).toBe(true);
      expect(isKnown(known, 'another', 'another')).toBe(false);
    }
    expect(JSON.stringify(ring.former)).not.toContain('sealed');
  });
});

describe('the next key', () => {
  const made = new Map<SigningAlgorithm, SigningKeyRecord>([['ES256', makeKey('two')]]);
  const due = start + rules.period;

  it('is wanted as long before its turn as it is to be published', () => {
    expect(wantingAlgs(alone, due - rules.lead - 1, rules)).toEqual([]);
    expect(wantingAlgs(alone, due - rules.lead, rules)).toEqual(['ES256']);
    expect(keepUp(alone, due - rules.lead - 1, rules, made)).toBe(alone);
    expect(keepUp(alone, due - rules.lead, rules, made).keys[1]?.activeAt).toBe(due);
  });

  it('is published for the whole lead also where it comes late', () => {
    const late = due + 3 * day;
    expect(keepUp(alone, late, rules, made).keys[1]?.activeAt).toBe(late + rules.lead);
  });

  it('is wanted once', () => {
    const ring = keepUp(alone, due, rules, made);
    expect(wantingAlgs(ring, due, rules)).toEqual([]);
    expect(keepUp(ring, due, rules, made)).toBe(ring);
  });

  it('is published long enough for every instance to hear of it, also with no lead at all', () => {
    const none = { ...rules, lead: 0 };
    expect(wantingAlgs(alone, due - instanceLead - 1, none)).toEqual([]);
    expect(keepUp(alone, due - instanceLead, none, made).keys[1]?.activeAt).toBe(due);
    const short = { ...none, period: 2000 };
    expect(keepUp(alone, start + 1000, short, made).keys[1]?.activeAt).toBe(start + 2000);
  });

  it('is passed over by one that is to sign at once', () => {
    const now = start + hour;
    const ring = bringForward(addKey(shortly, makeKey('three'), start + 2 * day), 'three', now);
    expect(show(ring, now)).toEqual(['one retired', 'two retired', 'three active']);
    expect(waitingKeyOf(ring, 'ES256', now)).toBeUndefined();
    expect(endOf(ring, ring.keys[0]!, rules)).toBeGreaterThanOrEqual(now - 1 + retention);
  });

  it('signs at once also where a clock that was ahead had given the others a later turn', () => {
    const ahead: Ring = { keys: [makeKey('one', 'ES256', start + 300_000)], former: [] };
    const ring = bringForward(addKey(ahead, makeKey('two'), start), 'two', start);
    expect(show(ring, start)).toEqual(['one retired', 'two active']);
  });
});

describe('a revoked key', () => {
  const isRevoked = (kid: string) => kid === 'one';

  it('leaves its place to the next one at once', () => {
    const ring = revokeKey(shortly, 'one', start + hour);
    expect(show(ring, start + hour)).toEqual(['two active']);
    expect(ring.former).toMatchObject([{ kid: 'one', end: 'revoked' }]);
    expect(revokeKey(ring, 'one', start + hour)).toBe(ring);
  });

  it('signs no more, even before the ring is mended; nor does one that had retired', () => {
    const ring = bringForward(shortly, 'two', start + hour);
    expect(signingKeyOf(shortly, 'ES256', start, isRevoked)?.kid).toBe('two');
    expect(signingKeyOf(ring, 'ES256', start + hour, kid => kid === 'two')).toBeUndefined();
  });

  it('is taken out by whoever finds it, once there is another to sign', () => {
    const bad = { ...rules, isRevoked };
    expect(keepUp(alone, start, bad)).toBe(alone);
    expect(wantingAlgs(alone, start, bad)).toEqual(['ES256']);
    const mended = keepUp(alone, start, bad, new Map([['ES256', makeKey('two')]]));
    expect(show(mended, start)).toEqual(['two active']);
    expect(show(keepUp(shortly, start, bad), start)).toEqual(['two active']);
  });
});

describe('an algorithm', () => {
  it('has a line of keys of its own', () => {
    const ring = addKey(alone, makeKey('rsa', 'RS256'), start + hour);
    expect(show(ring, start + hour)).toEqual(['one active', 'rsa active']);
    const wide = { ...rules, algs: ['ES256', 'EdDSA'] as const };
    expect(wantingAlgs(ring, start, wide)).toEqual(['EdDSA']);
    const made = new Map([['EdDSA', makeKey('ed', 'EdDSA')] as const]);
    expect(show(keepUp(ring, start + hour, wide, made), start + hour)).toContain('ed active');
  });

  it('that is not in use here is left alone until nobody anywhere can have used it', () => {
    const ring = addKey(alone, makeKey('rsa', 'RS256'), start + hour);
    const end = start + hour + rules.period + retention;
    expect(endOf(ring, ring.keys[1]!, rules)).toBe(end);
    expect(keepUp(ring, end - 1, rules)).toBe(ring);
    expect(show(keepUp(ring, end, rules), end)).toEqual(['one active']);
  });
});

/** Instances whose clocks differ, one ring among them, and every token that any of them has signed. */
class Deployment {
  readonly #offsets: readonly number[];
  readonly #revoked = new Set<string>();
  readonly #rules: RingRules;
  readonly #tokens: { kid: string; expires: number }[] = [];
  #now = start;
  #made = 0;
  ring: Ring = alone;

  constructor(offsets: readonly number[], lead: number, period: number) {
    this.#offsets = offsets;
    this.#rules = { algs: ['ES256'], lead, period, isRevoked: kid => this.#revoked.has(kid) };
  }

  readonly #clock = (instance: number) => this.#now + this.#offsets[instance]!;

  #make(): SigningKeyRecord {
    return makeKey(`key-${(this.#made += 1)}`, 'ES256', this.#now);
  }

  wait(milliseconds: number): void {
    this.#now += milliseconds;
    for (const instance of this.#offsets.keys()) this.#maintain(instance);
  }

  #maintain(instance: number): void {
    const now = this.#clock(instance);
    const made = wantingAlgs(this.ring, now, this.#rules).map(alg => [alg, this.#make()] as const);
    this.ring = keepUp(this.ring, now, this.#rules, new Map(made));
  }

  rotate(instance: number, atOnce: boolean): void {
    const now = this.#clock(instance);
    const waiting = waitingKeyOf(this.ring, 'ES256', now);
    if (waiting !== undefined && !atOnce) return;
    const key = waiting ?? this.#make();
    if (waiting === undefined) this.ring = addKey(this.ring, key, now + this.#rules.lead);
    if (atOnce) this.ring = bringForward(this.ring, key.kid, now);
  }

  bring(instance: number, atOnce: boolean): void {
    const [now, key] = [this.#clock(instance), this.#make()];
    this.ring = addKey(this.ring, key, now + this.#rules.lead);
    if (atOnce) this.ring = bringForward(this.ring, key.kid, now);
  }

  revoke(instance: number, place: number): void {
    const { kid } = this.ring.keys[place % this.ring.keys.length]!;
    this.#revoked.add(kid);
    this.#maintain(instance);
  }

  sign(): void {
    for (const instance of this.#offsets.keys()) {
      const now = this.#clock(instance);
      const key = signingKeyOf(this.ring, 'ES256', now, this.#rules.isRevoked);
      if (key === undefined) throw new Error('an instance has nothing to sign with');
      // Dead for all only once the slowest clock says so.
      const expires = now + day - Math.min(...this.#offsets);
      this.#tokens.push({ kid: key.kid, expires });
    }
  }

  faults(): string[] {
    const kids = new Set(this.ring.keys.map(({ kid }) => kid));
    const all = [...this.ring.keys, ...this.ring.former].map(({ kid }) => kid);
    const living = this.#tokens.filter(({ expires, kid }) => expires > this.#now && !this.#revoked.has(kid));
    return [
      ...living.filter(({ kid }) => !kids.has(kid)).map(({ kid }) => `a token of ${kid}, which is gone`),
      ...[...kids].filter(kid => this.#revoked.has(kid)).map(kid => `${kid} is there, though revoked`),
      ...all.filter((kid, place) => all.indexOf(kid) !== place).map(kid => `${kid} came back`),
    ];
  }
}

describe('a deployment whose clocks differ by five minutes either way', () => {
  const instance = fc.nat(2);
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ what: fc.constant('wait' as const), seconds: fc.nat(40_000) }) },
    {
      weight: 1,
      arbitrary: fc.record({ what: fc.constant('rotate' as const), instance, atOnce: fc.boolean() }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ what: fc.constant('bring' as const), instance, atOnce: fc.boolean() }),
    },
    { weight: 1, arbitrary: fc.record({ what: fc.constant('revoke' as const), instance, place: fc.nat(9) }) },
  );

  it('verifies every token as long as it lives, and always has a key to sign with', () => {
    expect.hasAssertions();
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60, size: 'max' }),
        fc.tuple(fc.integer({ min: -300, max: 300 }), fc.integer({ min: -300, max: 300 })),
        fc.constantFrom([900, 30 * 86_400], [900, 2 * 86_400], [0, 3600], [60, 100_000]),
        (steps, [one, other], [lead = 0, period = 0]) => {
          const deployment = new Deployment([0, one * 1000, other * 1000], lead * 1000, period * 1000);
          for (const taken of steps) {
            deployment.sign();
            if (taken.what === 'wait') deployment.wait(taken.seconds * 1000);
            if (taken.what === 'rotate') deployment.rotate(taken.instance, taken.atOnce);
            if (taken.what === 'bring') deployment.bring(taken.instance, taken.atOnce);
            if (taken.what === 'revoke') deployment.revoke(taken.instance, taken.place);
            expect(deployment.faults()).toEqual([]);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
