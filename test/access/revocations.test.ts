/** What is revoked: maps that only grow, until nothing alive can meet what they hold. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Revocation, Revocations } from '../../src/access/revocations.ts';

const claims = { client_id: 'a', key_version: 3, jti: 'j' };
const token = { kid: 'signer', claims };
/** As the token, but for these claims. */
const like = (other: Partial<typeof claims>) => ({ ...token, claims: { ...claims, ...other } });

describe('the revocation state', () => {
  it('kills tokens of an older version of their key, and no other', () => {
    const revocations = new Revocations(() => 0, 5);
    revocations.apply({ client_id: 'a', min_key_version: 3, until: 100 });
    expect(revocations.isRevoked(token)).toBe(false);
    expect(revocations.isRevoked(like({ key_version: 2 }))).toBe(true);
    expect(revocations.isRevoked(like({ client_id: 'b', key_version: 0 }))).toBe(false);
  });

  it('does not depend on the order of the news, nor on doubles', () => {
    const news: fc.Arbitrary<Revocation[]> = fc.array(
      fc.oneof(
        fc.record(
          {
            client_id: fc.constantFrom('a', 'b'),
            min_key_version: fc.nat(5),
            until: fc.nat(50),
            status: fc.constantFrom('disabled' as const, 'revoked' as const),
          },
          { requiredKeys: ['client_id', 'min_key_version', 'until'] },
        ),
        fc.record({ kid: fc.constantFrom('s', 't'), until: fc.nat(50) }),
        fc.record({ jti: fc.constantFrom('j', 'k'), exp: fc.nat(50) }),
      ),
    );
    fc.assert(
      fc.property(news, fc.nat(50), (list, now) => {
        const [forth, back] = [new Revocations(() => 0, 5), new Revocations(() => 0, 5)];
        for (const item of list) forth.apply(item);
        for (const item of [...list, ...list].toReversed()) back.apply(item);
        for (const state of [forth, back]) state.sweep(now);
        for (const key_version of [0, 1, 2, 3, 4, 5]) {
          for (const jti of ['j', 'k', 'l']) {
            for (const kid of ['s', 't']) {
              const asked = { kid, claims: { client_id: 'a', key_version, jti } };
              expect(forth.isRevoked(asked)).toBe(back.isRevoked(asked));
            }
          }
        }
        expect(new Set(forth.entries())).toEqual(new Set(back.entries()));
      }),
    );
  });

  it('kills every token of a signing key', () => {
    const revocations = new Revocations(() => 0, 5);
    revocations.apply({ kid: 'signer', until: 100 });
    expect(revocations.isRevoked(token)).toBe(true);
    expect(revocations.isSigningKeyRevoked('signer')).toBe(true);
    expect(revocations.isRevoked({ ...token, kid: 'another' })).toBe(false);
  });

  it('remembers what became of a key with its greatest version, and of two the worse', () => {
    const revocations = new Revocations(() => 0, 5);
    revocations.apply({ client_id: 'a', min_key_version: 3, until: 100, status: 'disabled' });
    revocations.apply({ client_id: 'a', min_key_version: 3, until: 90, status: 'revoked' });
    revocations.apply({ client_id: 'a', min_key_version: 3, until: 110 });
    expect(revocations.ofKey('a')).toEqual({
      client_id: 'a',
      min_key_version: 3,
      until: 110,
      status: 'revoked',
    });
    revocations.apply({ client_id: 'a', min_key_version: 4, until: 100 });
    expect(revocations.ofKey('a')).toEqual({ client_id: 'a', min_key_version: 4, until: 110 });
  });

  it('forgets only what is over', () => {
    const revocations = new Revocations(() => 0, 5);
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
    const revocations = new Revocations(() => moment, 5);
    expect(revocations.age()).toBe(Infinity);
    revocations.markFresh(40);
    revocations.markFresh(30);
    expect(revocations.age()).toBe(10);
    moment = 60;
    expect(revocations.age()).toBe(20);
  });
});
