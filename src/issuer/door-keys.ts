/**
 * Keys that callers send to resources as themselves, without a token: an API key by its id (`sc_apikey`), an account's
 * access key by its whole string. Each is read from the store each time.
 */
import type { Caller, DoorKeys, KeyAnswer } from '../access/doors.ts';
import type { Revocations } from '../access/revocations.ts';
import type { Catalogue } from '../config/catalogue.ts';
import type { Door } from '../protocol/doors.ts';
import { parseGuid } from '../protocol/guid.ts';
import type { Clock } from '../store/store.ts';
import { type ApiKey, doorsOf } from './api-key.ts';
import type { ApiKeys } from './api-keys.ts';
import { type KeyAuthenticator, unusableBecause } from './authenticate-key.ts';
import { findGrant, type FindGrantOptions } from './find-grant.ts';
import type { Grant } from './grant.ts';
import { catchUp, type SettleUse } from './settle-use.ts';

export interface DoorKeysOptions extends FindGrantOptions {
  readonly apiKeys: ApiKeys;
  readonly authenticator: KeyAuthenticator;
  readonly settleUse: SettleUse;
  readonly revocations: Revocations;
  readonly clock: Clock;
  /** Rejects where the store is not the one that this instance knows: then a missing key proves nothing. */
  readonly confirm: () => Promise<void>;
  /** Whom a key acts as that names nobody. */
  readonly anonymousUser: string | undefined;
}

export function createDoorKeys(options: DoorKeysOptions): DoorKeys {
  return {
    findByIdentifier: text => findByIdentifier(text, options),
    findByAccessKey: (text, address) => findByAccessKey(text, address, options),
  };
}

async function findByIdentifier(text: string, options: DoorKeysOptions): Promise<KeyAnswer> {
  const id = parseGuid(text);
  if (id === undefined) return { code: 'api_key_unknown' };
  const stored = await options.apiKeys.find(id);
  if (stored === undefined) await options.confirm();
  // The id is no secret: only a key that was made for that may be used by it.
  if (
    stored === undefined ||
    stored.value.account !== undefined ||
    !doorsOf(stored.value).includes('sc_apikey')
  )
    return { code: 'api_key_unknown' };
  const key = await catchUp(stored.value, options);
  if (key === undefined) return { code: 'api_key_unknown' };
  const reason = unusableBecause(key, options.clock());
  if (key.status === 'draft') return { code: 'api_key_unpublished' };
  if (reason !== undefined) return { code: 'api_key_unusable', detail: `${invalidKey} ${reason}` };
  const grant = await findGrant(key, options);
  if (grant === undefined) return { code: 'api_key_unusable', detail: `${invalidKey} Its feature is gone.` };
  const caller = describe('sc_apikey', key, { ...grant, actsAs: grant.actsAs ?? options.anonymousUser });
  return { caller };
}

/** As Sitecore begins what it says of every key that it does not accept: clients look for it. */
const invalidKey = 'Provided SSC API keyData is not valid.';

async function findByAccessKey(text: string, address: string, options: DoorKeysOptions): Promise<KeyAnswer> {
  const presented = await options.authenticator.authenticate(text);
  if (presented?.key.account === undefined) return { code: 'access_key_invalid' };
  if (unusableBecause(presented.key, options.clock()) !== undefined) return { code: 'access_key_invalid' };
  const used = await options.settleUse(presented, text, address);
  if (used === undefined || unusableBecause(used.key, options.clock()) !== undefined)
    return { code: 'access_key_invalid' };
  const grant = await findGrant(used.key, options);
  if (grant === undefined) return { code: 'access_key_invalid' };
  const audiences = [...grant.audiences, ...audiencesOfDoor(options)];
  const caller = describe('x-sf-access-key', used.key, { ...grant, audiences });
  // An older secret may end before its key.
  const end = Math.min(used.key.expiresAt ?? Infinity, used.secret.retiresAt ?? Infinity);
  return { caller: Number.isFinite(end) ? { ...caller, expiresAt: end } : caller };
}

/** An access key stands for its account wherever its door is open: it names no audience. */
function audiencesOfDoor({ catalogue, audience }: { catalogue: Catalogue; audience: string }): string[] {
  const controllers = [...catalogue.controllers.values()].filter(({ doors }) =>
    doors.includes('x-sf-access-key'),
  );
  return [audience, ...controllers.map(controller => controller.audience ?? audience)];
}

function describe(door: Door, key: ApiKey, grant: Grant): Caller {
  return {
    door,
    clientId: key.id,
    keyVersion: key.version,
    expiresAt: key.expiresAt,
    feature: grant.feature,
    user: grant.actsAs,
    customData: key.customData ?? {},
    visitor: undefined,
    audiences: new Set(grant.audiences),
    scopes: new Set(grant.scopes),
    controllers: new Set(grant.controllers),
    origins: new Set(grant.origins),
  };
}
