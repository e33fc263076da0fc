/** Keys that are removed in the moment in which they are used: their callers are refused as with any key that is none. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadSettings } from '../../src/config/load.ts';
import type { NewApiKey } from '../../src/issuer/api-keys.ts';
import { createAudit } from '../../src/issuer/audit.ts';
import { createKeyAuthenticator } from '../../src/issuer/authenticate-key.ts';
import { createDoorKeys } from '../../src/issuer/door-keys.ts';
import { createKeyUsage } from '../../src/issuer/key-usage.ts';
import { createRevoker } from '../../src/issuer/revoke.ts';
import { startRotation } from '../../src/issuer/rotation.ts';
import { createSettleUse } from '../../src/issuer/settle-use.ts';
import { useKey } from '../../src/issuer/use-key.ts';
import { BadCredential } from '../../src/protocol/errors.ts';
import { openStage, type Stage } from './stage.ts';

const issuer = 'https://keys.example.com';
const address = '192.0.2.1';
const confirm = async () => undefined;

let stage: Stage;
/** The key that goes, and how often its record is read before. */
let going: { id: string; after: number } | undefined;

beforeEach(async () => {
  going = undefined;
  stage = await openStage(opened => ({
    ...opened,
    async get(name) {
      if (going !== undefined && name === `key/${going.id}`) await passBy(going);
      return opened.get(name);
    },
  }));
});

async function passBy(key: { id: string; after: number }): Promise<void> {
  key.after -= 1;
  if (key.after >= 0) return;
  going = undefined;
  await stage.apiKeys.remove(key.id);
}

afterEach(() => stage.close());

function openUse() {
  const { records, clock, apiKeys, vault, revocationLog, accounts } = stage;
  const { revocations } = revocationLog;
  const authenticator = createKeyAuthenticator({ apiKeys, vault, clock, confirm, isConfirmed: () => true });
  const audit = createAudit(records, clock, confirm);
  const settleUse = createSettleUse({
    apiKeys,
    authenticator,
    vault,
    revocations,
    usage: createKeyUsage(records),
    audit,
    clock,
    onRenewalFailed: () => undefined,
  });
  const { catalogue } = loadSettings({});
  const grants = { accounts, catalogue, issuer, audience: issuer };
  const keys = { ...grants, apiKeys, authenticator, settleUse, revocations, clock, confirm };
  return { ...keys, audit, doorKeys: createDoorKeys({ ...keys, anonymousUser: undefined }) };
}

async function createKey(fields: Partial<NewApiKey> = {}) {
  const { key, apiKey } = await stage.apiKeys.create({
    name: 'A key',
    feature: 'connections',
    status: 'active',
    ...fields,
  });
  return { key, apiKey, remove: (after: number) => (going = { id: key.id, after }) };
}

/** The revocation log is ahead of the record: the next use has to mend that. */
async function lagBehind(id: string): Promise<void> {
  await stage.revocationLog.revokeKey(id, 2);
}

describe('a key that is removed while it is used', () => {
  it.each(['client_secret', 'subject_token'] as const)(
    'is refused as %s, and not as a page that is not there',
    async door => {
      const { key, apiKey, remove } = await createKey();
      await lagBehind(key.id);
      remove(1);
      const refused = useKey({ secret: apiKey, door, address }, openUse());
      await expect(refused).rejects.toThrow(BadCredential);
      const code = door === 'client_secret' ? 'invalid_client' : 'invalid_request';
      await expect(refused).rejects.toMatchObject({ code });
    },
  );

  it('is refused where its use was to start the clock of a rotation', async () => {
    const { key, remove } = await createKey();
    const { secret, apiKey } = stage.apiKeys.makeSecret(key);
    const rotate = { mode: 'first-use', grace: 60 } as const;
    await stage.apiKeys.change(key.id, current => startRotation(current, rotate, secret, stage.clock()));
    remove(1);
    await expect(useKey({ secret: apiKey, door: 'client_secret', address }, openUse())).rejects.toThrow(
      BadCredential,
    );
  });

  it('is an unknown one by its identifier', async () => {
    const { key, remove } = await createKey({ doors: ['sc_apikey'] });
    await lagBehind(key.id);
    remove(1);
    expect(await openUse().doorKeys.findByIdentifier(key.id)).toEqual({ code: 'api_key_unknown' });
  });

  it('is none that opens the door of its account', async () => {
    await stage.accounts.create('alice', {}, confirm);
    const { account, accessKey } = await stage.accounts.createAccessKey('alice', confirm);
    await lagBehind(account.accessKey ?? '');
    going = { id: account.accessKey ?? '', after: 1 };
    expect(await openUse().doorKeys.findByAccessKey(accessKey, address)).toEqual({
      code: 'access_key_invalid',
    });
  });

  it('was revoked with it: whoever revokes it meanwhile is told so', async () => {
    const { key, apiKey, remove } = await createKey();
    const use = openUse();
    const { revocationLog } = stage;
    const revoker = createRevoker({
      ...use,
      revocationLog,
      verifier: { verify: () => Promise.reject(new Error('it is no token')) },
    });
    remove(1);
    const revoked = await revoker.revoke(apiKey, { address, requestId: '' });
    expect(revoked).toEqual({ clientId: key.id, what: 'key' });
    expect(revocationLog.revocations.isKeyRevoked(key.id, key.version)).toBe(true);
  });
});
