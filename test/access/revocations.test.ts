/** What is revoked: two maps that only grow, until nothing alive can meet what they hold. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Revocation, Revocations } from '../../src/access/revocations.ts';

const token = { client_id: 'a', key_version: 3, jti: 'j' };

describe('the revocation state', () => {
  it('kills tokens of an older version of their key, and no other', () => {
    const revocations = new Revocations(() => 0);
    revocations.apply({ client_id: 'a', min_key_version: 3, until: 100 });
    expect(revocations.isRevoked(token)).toBe(false);
    expect(revocations.isRevoked({ ...token, key_version: 2 })).toBe(true);
    expect(revocations.isRevoked({ ...token, client_id: 'b', key_version: 0 })).toBe(false);
  });

  it('does not depend on the order of the news, nor on doubles', () => {
    const news: fc.Arbitrary<Revocation[]> = fc.array(
      fc.oneof(
        fc.record({ client_id: fc.constantFrom('a', 'b'), min_key_version: fc.nat(5), until: fc.nat(50) }),
        fc.record({ jti: fc.constantFrom('j', 'k'), exp: fc.nat(50) }),
      ),
    );
    fc.assert(
      fc.property(news, fc.nat(50), (list, now) => {
        const [forth, back] = [new Revocations(() => 0), new Revocations(() => 0)];
        for (const item of list) forth.apply(item);
        for (const item of [...list, ...list].toReversed()) back.apply(item);
        for (const state of [forth, back]) state.sweep(now);
        for (const key_version of [0, 1, 2, 3, 4, 5]) {
          for (const jti of ['j', 'k', 'l']) {
            const asked = { client_id: 'a', key_version, jti };
            expect(forth.isRevoked(asked)).toBe(back.isRevoked(asked));
          }
        }
      }),
    );
  });

  it('forgets only what is over', () => {
    const revocations = new Revocations(() => 0);
    revocations.apply({ jti: 'j', exp: 100 });
    revocations.apply({ client_id: 'a', min_key_version: 9, until: 100 });
    revocations.sweep(100);
    expect(revocations.isRevoked(token)).toBe(true);
    revocations.sweep(101);
    expect(revocations.isRevoked(token)).toBe(false);
    expect(revocations.size).toBe(0);
  });

  it('is infinitely old before it was ever whole, and never gets fresher by looking back', () => {
    let moment = 50;
    const revocations = new Revocations(() => moment);
    expect(revocations.age()).toBe(Infinity);
    revocations.markFresh(40);
    revocations.markFresh(30);
    expect(revocations.age()).toBe(10);
    moment = 60;
    expect(revocations.age()).toBe(20);
  });
});
