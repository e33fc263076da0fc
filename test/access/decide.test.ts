/** The order of the decision: of two reasons to refuse, the earlier one is given. */
import { describe, expect, it } from 'vitest';
import { decideAccess, type Demand, type Evidence } from '../../src/access/decide.ts';
import type { GenuineToken } from '../../src/access/verify-token.ts';

const claims = {
  iss: 'https://issuer',
  sub: 'me',
  aud: 'https://api',
  exp: 2,
  iat: 1,
  jti: 'j',
  client_id: 'me',
  scope: 'a:manage',
  feature: 'f',
  allowed_controllers: ['A'],
  allowed_origins: ['https://page'],
  key_version: 1,
};

const token: GenuineToken = {
  claims,
  kid: 'k',
  audiences: new Set(['https://api']),
  controllers: new Set(['A']),
  origins: new Set(['https://page']),
  scopes: new Set(['a:manage']),
};

const evidence: Evidence = {
  credential: 'genuine',
  token,
  expired: false,
  revoked: false,
  stale: false,
  origin: 'https://page',
};
const demand: Demand = { audience: 'https://api', controllers: ['A'], scope: 'a:read' };

/** In the order in which they must win. */
const faults: [code: string, evidence: Partial<Evidence>, demand: Partial<Demand>][] = [
  ['several_credentials', { credential: 'several' }, {}],
  ['token_invalid', { credential: 'not_genuine' }, {}],
  ['token_expired', { expired: true }, {}],
  ['token_revoked', { revoked: true }, {}],
  ['revocation_state_stale', { stale: true }, {}],
  ['audience_mismatch', {}, { audience: 'https://other' }],
  ['controller_not_allowed', {}, { controllers: ['A', 'B'] }],
  ['origin_not_allowed', { origin: 'https://elsewhere' }, {}],
  ['insufficient_scope', {}, { scope: 'b:read' }],
];

describe('the decision', () => {
  it('lets in what fits in every respect', () => {
    expect(decideAccess(evidence, demand)).toEqual({ allowed: true, token });
  });

  it('lets in a caller without an origin', () => {
    expect(decideAccess({ ...evidence, origin: undefined }, demand).allowed).toBe(true);
  });

  it('gives no error to a caller without a credential', () => {
    expect(decideAccess({ ...evidence, credential: 'none', token: undefined }, demand)).toMatchObject({
      code: 'credential_missing',
    });
  });

  it.each(['none', 'malformed', 'not_genuine', 'several'] as const)(
    'refuses a %s credential, whatever token is beside it',
    credential => {
      expect(decideAccess({ ...evidence, credential }, demand).allowed).toBe(false);
    },
  );

  it('refuses a genuine credential without a token', () => {
    expect(decideAccess({ ...evidence, token: undefined }, demand)).toMatchObject({ code: 'token_invalid' });
  });

  it.each(faults)('refuses with %s', (code, evil, odd) => {
    expect(decideAccess({ ...evidence, ...evil }, { ...demand, ...odd })).toMatchObject({
      allowed: false,
      code,
    });
  });

  const pairs = faults.flatMap((first, place) =>
    faults.slice(place + 1).map(second => [first[0], second[0], first, second] as const),
  );

  it.each(pairs)('gives %s before %s', (code, _, first, second) => {
    const both = decideAccess(
      { ...evidence, ...second[1], ...first[1] },
      { ...demand, ...second[2], ...first[2] },
    );
    expect(both).toMatchObject({ allowed: false, code });
  });
});
