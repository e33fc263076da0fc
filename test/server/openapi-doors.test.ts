/** The credentials that `/openapi.json` names for a resource route are those that the guard lets in, whatever its doors. */
import { describe, expect, it } from 'vitest';
import { type Caller, createDoorGuard, type DoorDemand } from '../../src/access/doors.ts';
import { createGuard } from '../../src/access/guard.ts';
import type { GenuineToken } from '../../src/access/verify-token.ts';
import { securityAtDoors } from '../../src/server/openapi/door-security.ts';
import { readCredentials } from '../../src/protocol/credentials.ts';
import { type Door, DOORS } from '../../src/protocol/doors.ts';

const issuer = 'https://keys.example';
const id = '4b9d1f6e-9d5c-4d3b-8d2e-0f6a5c1b7e90';
const allowance = {
  audiences: new Set(['https://api.example']),
  scopes: new Set(['orders:manage']),
  controllers: new Set(['Shop.Orders']),
  origins: new Set<string>(),
};
const claims = { iss: issuer, client_id: id, sub: id, exp: 2, feature: 'shop', key_version: 1 };
const token = { ...allowance, claims, kid: 'k' } as unknown as GenuineToken;
const text = `e30.${Buffer.from(JSON.stringify({ iss: issuer })).toString('base64url')}.c2ln`;

const revocations = { isRevoked: () => false, isStale: () => false, isKeyRevoked: () => false };
const callerAt = (door: Door): Caller => ({
  ...allowance,
  door,
  clientId: id,
  keyVersion: 1,
  feature: 'shop',
  expiresAt: undefined,
  user: undefined,
  customData: {},
  visitor: undefined,
});
const doorGuard = createDoorGuard({
  guard: createGuard({ verifier: { verify: async () => token }, revocations, now: () => 1000 }),
  keys: {
    findByIdentifier: async () => ({ caller: callerAt('sc_apikey') }),
    findByAccessKey: async () => ({ caller: callerAt('x-sf-access-key') }),
  },
  issuer,
  revocations,
});

/** How each credential is sent, by the name that the document has for it. */
const sent = {
  accessToken: { authorization: `Bearer ${text}` },
  scApiKeyHeader: { sc_apikey: id },
  scApiKeyQuery: {},
  sfAccessKey: { 'x-sf-access-key': 'kt_…' },
};
type Name = keyof typeof sent;
const names = Object.keys(sent) as Name[];

const doorLists = subsetsOf(DOORS).filter(doors => doors.length > 0);
const settings: Pick<DoorDemand, 'doors' | 'requireApiKey'>[] = [
  ...doorLists.map(doors => ({ doors, requireApiKey: false })),
  ...doorLists.filter(doors => doors.includes('sc_apikey')).map(doors => ({ doors, requireApiKey: true })),
];

describe('where the doors are', () => {
  it.each(settings)('$doors, a key required: $requireApiKey', async setting => {
    const letIn: Name[][] = [];
    // The same key in query and header is one credential, said twice.
    const requests = subsetsOf(names).filter(
      ways => !(ways.includes('scApiKeyHeader') && ways.includes('scApiKeyQuery')),
    );
    for (const ways of requests) if (await isLetIn(ways, setting)) letIn.push(ways);
    const documented = securityAtDoors(setting, ['orders:read']).map(way => Object.keys(way).sort());
    expect(documented.map(String).sort()).toEqual(letIn.map(ways => String(ways.toSorted())).sort());
  });

  it('are all tried', () => expect(settings).toHaveLength(11));
});

async function isLetIn(
  ways: readonly Name[],
  setting: Pick<DoorDemand, 'doors' | 'requireApiKey'>,
): Promise<boolean> {
  const headers: Record<string, string> = Object.assign({}, ...ways.map(way => sent[way]));
  const credentials = readCredentials(headers, ways.includes('scApiKeyQuery') ? `sc_apikey=${id}` : '');
  const demand = {
    ...setting,
    audience: 'https://api.example',
    controllers: ['Shop.Orders'],
    scope: 'orders:read',
  };
  return (await doorGuard.authorize({ ...credentials, origin: undefined }, demand, '')).allowed;
}

function subsetsOf<T>(list: readonly T[]): T[][] {
  return list.reduce<T[][]>((subsets, item) => subsets.flatMap(subset => [subset, [...subset, item]]), [[]]);
}
