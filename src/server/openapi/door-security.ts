/** Which credentials open a resource route, alone and together: what the guard takes at its doors, as security requirements. */
import type { DoorDemand } from '../../access/doors.ts';
import type { Door } from '../../protocol/doors.ts';
import type { Security } from './operation.ts';

/** @param scopes that a token has to have */
export function securityAtDoors(
  { doors, requireApiKey }: Pick<DoorDemand, 'doors' | 'requireApiKey'>,
  scopes: readonly string[],
): Security[] {
  const token: Security = { accessToken: scopes };
  const byDoor: Record<Door, readonly Security[]> = {
    bearer: [token],
    sc_apikey: [inQuery, inHeader],
    'x-sf-access-key': [{ sfAccessKey: [] }],
  };
  const alone = requireApiKey ? byDoor.sc_apikey : doors.flatMap(door => byDoor[door]);
  // The one pair that may come in one request; every other is one credential too many.
  const isPairWelcome = doors.includes('bearer') && doors.includes('sc_apikey');
  const pairs = isPairWelcome
    ? [
        { ...inQuery, ...token },
        { ...inHeader, ...token },
      ]
    : [];
  return [...alone, ...pairs];
}

const inQuery: Security = { scApiKeyQuery: [] };
const inHeader: Security = { scApiKeyHeader: [] };
