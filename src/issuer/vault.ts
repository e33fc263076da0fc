/**
 * The deployment's own secrets and all that is done with them: peppers hash API keys, the master key seals private
 * keys and authenticates records. Every purpose has a key of its own, derived from the master key.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';

export interface Vault {
  /** The id of the pepper that new hashes are made with. Reveals nothing of the pepper. */
  readonly pepperId: string;
  /** The ids of all peppers that verify. */
  readonly pepperIds: readonly string[];
  /** HMAC-SHA-256 of a key's secret under the first pepper, bound to the key's id. */
  hashSecret(keyId: string, secret: string): SecretHash;
  /** Whether the secret is the hashed one. Takes as long where there is no hash, or its pepper is not known. */
  verifySecret(keyId: string, secret: string, hash: SecretHash | undefined): boolean;
  /** AES-256-GCM; what is sealed in one context does not open in another. */
  seal(plaintext: string, context: string): string;
  /** @throws {VaultError} where the text was not sealed under this master key in this context */
  unseal(sealed: string, context: string): string;
  /** An authentication code (HMAC-SHA-256, 128 bits, base64url) of a text that is kept under a name. */
  authenticate(name: string, text: string): string;
  isAuthentic(name: string, text: string, code: string): boolean;
}

export interface SecretHash {
  /** base64url. */
  readonly hash: string;
  readonly pepper: string;
}

/** The master key is not the one that sealed this, or what was sealed has been changed. */
export class VaultError extends Error {
  override readonly name = 'VaultError';
}

/** @param peppers the first one hashes, all verify */
export function createVault(secrets: { peppers: readonly string[]; masterKey: string }): Vault {
  const peppers = new Map(secrets.peppers.map(pepper => [pepperIdOf(pepper), pepper]));
  const pepperIds = [...peppers.keys()];
  const [pepperId] = pepperIds;
  if (pepperId === undefined) throw new VaultError('a pepper is needed');
  const sealing = deriveKey(secrets.masterKey, 'keyturn sealing v1');
  const authentication = deriveKey(secrets.masterKey, 'keyturn record authentication v1');
  return {
    pepperId,
    pepperIds,
    hashSecret: (keyId, secret) => ({
      hash: hash(peppers.get(pepperId)!, keyId, secret).toString('base64url'),
      pepper: pepperId,
    }),
    verifySecret(keyId, secret, known) {
      const pepper = peppers.get(known?.pepper ?? pepperId);
      const actual = hash(pepper ?? peppers.get(pepperId)!, keyId, secret);
      const expected = Buffer.from(known?.hash ?? '', 'base64url');
      const comparable = expected.length === actual.length ? expected : Buffer.alloc(actual.length);
      const same = timingSafeEqual(actual, comparable);
      return same && known !== undefined && pepper !== undefined && comparable === expected;
    },
    seal: (plaintext, context) => seal(sealing, plaintext, context),
    unseal: (sealed, context) => unseal(sealing, sealed, context),
    authenticate: (name, text) => code(authentication, name, text).toString('base64url'),
    isAuthentic(name, text, given) {
      const actual = code(authentication, name, text);
      const expected = Buffer.from(given, 'base64url');
      return expected.length === actual.length && timingSafeEqual(actual, expected);
    },
  };
}

function pepperIdOf(pepper: string): string {
  return createHmac('sha256', pepper).update('keyturn pepper id v1').digest('base64url').slice(0, 8);
}

function deriveKey(masterKey: string, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', masterKey, '', purpose, 32));
}

function hash(pepper: string, keyId: string, secret: string): Buffer {
  return createHmac('sha256', pepper).update(`keyturn api key v1\n${keyId}\n${secret}`).digest();
}

function code(key: Buffer, name: string, text: string): Buffer {
  return createHmac('sha256', key).update(`${name}\n${text}`).digest().subarray(0, 16);
}

const [nonceLength, tagLength] = [12, 16];

function seal(key: Buffer, plaintext: string, context: string): string {
  const nonce = randomBytes(nonceLength);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context));
  const text = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), text]).toString('base64url');
}

function unseal(key: Buffer, sealed: string, context: string): string {
  const bytes = Buffer.from(sealed, 'base64url');
  if (bytes.length < nonceLength + tagLength) throw new VaultError('the sealed text is too short');
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceLength), {
    authTagLength: tagLength,
  });
  decipher.setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(nonceLength, nonceLength + tagLength));
  try {
    const text = decipher.update(bytes.subarray(nonceLength + tagLength));
    return Buffer.concat([text, decipher.final()]).toString('utf8');
  } catch (cause) {
    throw new VaultError('the master key does not open this, or it was changed', { cause });
  }
}
