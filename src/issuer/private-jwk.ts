/**
 * A signing key that somebody brings: a private JWK (RFC 7517) becomes key material, or every fault in it is named by its
 * pointer. No fault shows a value: each may be the secret.
 */
import {
  createPrivateKey,
  createPublicKey,
  type JsonWebKey,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { invalidValues, type Problem } from '../protocol/errors.ts';
import type { SigningAlgorithm } from '../protocol/token-header.ts';
import type { KeyMaterial } from './signing-key.ts';

/**
 * @returns the material, and the id that it brings, where that is fit to stand in a token and in a path
 * @throws {Problem} `validation_failed`
 */
export function readPrivateJwk(
  jwk: Readonly<Record<string, unknown>>,
): KeyMaterial & { kid: string | undefined } {
  const kind = kinds.find(({ kty, crv }) => jwk['kty'] === kty && (crv === undefined || jwk['crv'] === crv));
  if (kind === undefined) {
    throw faulty(
      'kty',
      'Bring an EC key on P-256, an RSA key of 2048 bits or more, or an OKP key on Ed25519.',
    );
  }
  checkPurpose(jwk, kind);
  checkMembers(jwk, kind);
  const privateKey = readKey(createPrivateKey, pick(jwk, [...kind.public, ...kind.private]));
  const publicKey = readKey(createPublicKey, pick(jwk, kind.public));
  if (kind.alg === 'RS256') checkRsa(publicKey);
  if (!belongTogether(privateKey, publicKey))
    throw faulty('', 'The private and the public part do not belong together.');
  const { kid } = jwk;
  return {
    alg: kind.alg,
    privateKey,
    publicKey,
    kid: typeof kid === 'string' && isFitId(kid) ? kid : undefined,
  };
}

interface Kind {
  readonly alg: SigningAlgorithm;
  /** What `alg` may say, where the key has it. */
  readonly names: readonly string[];
  readonly kty: string;
  readonly crv?: string;
  readonly public: readonly string[];
  readonly private: readonly string[];
}

const kinds: readonly Kind[] = [
  { alg: 'ES256', names: ['ES256'], kty: 'EC', crv: 'P-256', public: ['crv', 'x', 'y'], private: ['d'] },
  {
    alg: 'RS256',
    names: ['RS256'],
    kty: 'RSA',
    public: ['n', 'e'],
    private: ['d', 'p', 'q', 'dp', 'dq', 'qi'],
  },
  // RFC 9864 names it by its curve.
  {
    alg: 'EdDSA',
    names: ['EdDSA', 'Ed25519'],
    kty: 'OKP',
    crv: 'Ed25519',
    public: ['crv', 'x'],
    private: ['d'],
  },
];

/** RFC 7517 section 4.2 to 4.4. */
function checkPurpose(jwk: Readonly<Record<string, unknown>>, { names }: Kind): void {
  const { alg, use, key_ops: operations } = jwk;
  if (alg !== undefined && !(typeof alg === 'string' && names.includes(alg)))
    throw faulty('alg', `For such a key it is ${names.join(' or ')}, or absent.`);
  if (use !== undefined && use !== 'sig') throw faulty('use', 'It is sig, or absent.');
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('sign')))
    throw faulty('key_ops', 'It has sign among its values, or is absent.');
}

function checkMembers(jwk: Readonly<Record<string, unknown>>, kind: Kind): void {
  for (const name of [...kind.public, ...kind.private]) {
    const value = jwk[name];
    const isText = typeof value === 'string' && /^[A-Za-z0-9_-]+$/.test(value);
    if (!isText)
      throw faulty(name, 'It is needed, in base64url: bring the private key, with all of its members.');
  }
  // RFC 7518 section 6.3.2.7.
  if (kind.kty === 'RSA' && 'oth' in jwk)
    throw faulty('oth', 'A key of more than two primes is not supported.');
}

function pick(jwk: Readonly<Record<string, unknown>>, names: readonly string[]): JsonWebKey {
  return Object.fromEntries(['kty', ...names].map(name => [name, jwk[name]]));
}

/** The reason is left out: it is not ours to say what it may hold. */
function readKey(read: typeof createPrivateKey | typeof createPublicKey, key: JsonWebKey): KeyObject {
  try {
    return read({ key, format: 'jwk' });
  } catch {
    throw faulty('', 'The members make up no key.');
  }
}

function checkRsa({ asymmetricKeyDetails = {} }: KeyObject): void {
  const { modulusLength = 0, publicExponent = 0n } = asymmetricKeyDetails;
  if (modulusLength < 2048 || modulusLength > 8192) throw faulty('n', 'It has 2048 to 8192 bits.');
  if (publicExponent < 65_537n || publicExponent % 2n === 0n)
    throw faulty('e', 'It is odd, and 65537 or more.');
}

function belongTogether(privateKey: KeyObject, publicKey: KeyObject): boolean {
  const digest = privateKey.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  const sample = Buffer.from('keyturn: does the private key belong to the public one?');
  try {
    return verify(digest, sample, publicKey, sign(digest, sample, privateKey));
  } catch {
    return false;
  }
}

/** RFC 3986 section 2.3: what no path has to encode; and no name that a path gives a meaning to. */
function isFitId(kid: string): boolean {
  return /^[A-Za-z0-9._~-]{1,200}$/.test(kid) && kid !== '.' && kid !== '..';
}

function faulty(member: string, detail: string): Problem {
  return invalidValues([{ pointer: member === '' ? '/jwk' : `/jwk/${member}`, detail }]);
}
