/** Tokens that the service would never write: signed with its own key, taken out of its store, or with none of its. */
import { createPrivateKey, sign, type JsonWebKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createRecords } from '../../src/issuer/records.ts';
import { createVault } from '../../src/issuer/vault.ts';
import { openStore } from '../../src/store/open-store.ts';
import { redisSecrets, type StorePlace } from '../support/stores.ts';

export interface StolenKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateJwk: JsonWebKey;
  readonly privateKey: KeyObject;
}

/** The newest key that the service signs with, of one algorithm or of any, as a thief with the master key would get it. */
export async function stealSigningKey(place: StorePlace, wanted?: string): Promise<StolenKey> {
  const { dataDir, redisUrl } = place;
  const store = await openStore({ redisUrl, dataDir, clock: Date.now, onWarning: () => undefined });
  try {
    const vault = createVault(await readSecrets(place));
    const ring = await createRecords(store, vault).get<Ring>('signing-keys');
    const key = ring?.value.keys.findLast(({ alg }) => wanted === undefined || alg === wanted);
    if (key === undefined) throw new Error('the store holds no signing key');
    const { kid, alg } = key;
    const privateJwk = JSON.parse(vault.unseal(key.sealed, `signing key ${alg} ${kid}`)) as JsonWebKey;
    return { kid, alg, privateJwk, privateKey: createPrivateKey({ key: privateJwk, format: 'jwk' }) };
  } finally {
    await store.close();
  }
}

interface Ring {
  readonly keys: readonly { kid: string; alg: string; sealed: string }[];
}

/** The secrets of a test's deployment: of Redis those that `startService` configures, else the files beside the store. */
export async function readSecrets({ dataDir, redisUrl }: StorePlace) {
  if (redisUrl !== undefined) {
    return { peppers: [redisSecrets.KEYTURN_PEPPER], masterKey: redisSecrets.KEYTURN_MASTER_KEY };
  }
  const read = async (name: string) => (await readFile(join(dataDir, name), 'utf8')).trim();
  return { peppers: [await read('pepper')], masterKey: await read('master-key') };
}

/** A part of a token: what is no text is written as JSON. */
export function encodePart(part: unknown): string {
  return Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url');
}

/** ES256 over header and payload, whatever they say. */
export function signParts(privateKey: KeyObject, header: unknown, payload: unknown): string {
  const input = `${encodePart(header)}.${encodePart(payload)}`;
  return `${input}.${signEs256(privateKey, input).toString('base64url')}`;
}

export function signEs256(
  key: KeyObject,
  input: string,
  dsaEncoding: 'ieee-p1363' | 'der' = 'ieee-p1363',
): Buffer {
  return sign('sha256', Buffer.from(input), { key, dsaEncoding });
}
