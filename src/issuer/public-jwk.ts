/**
 * The public key (RFC 7517) with which an API key proves itself: what it may be, and the algorithms that it is for. What
 * is private in it is refused without being repeated.
 */
import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';

/** The members that are kept; all others are dropped. */
export interface PublicJwk {
  readonly kty: string;
  readonly crv?: string;
  readonly x?: string;
  readonly y?: string;
  readonly n?: string;
  readonly e?: string;
  readonly kid?: string;
  readonly alg?: string;
  readonly use?: string;
  readonly key_ops?: readonly string[];
}

/** Every algorithm that an assertion may be signed with (RFC 7518, RFC 8037; `Ed25519` is RFC 9864's name for `EdDSA`). */
export const assertionAlgorithms = ['ES256', 'EdDSA', 'Ed25519', 'RS256', 'PS256'] as const;
export type AssertionAlgorithm = (typeof assertionAlgorithms)[number];

/**
 * Reads a public key.
 *
 * @param complain told of every fault, by the member where it lies; nothing that it is told holds a value
 * @returns the members that are kept
 */
export function readPublicJwk(
  jwk: Readonly<Record<string, unknown>>,
  complain: (member: string, detail: string) => void,
): PublicJwk | undefined {
  let isSound = true;
  const fault = (member: string, detail: string): void => {
    isSound = false;
    complain(member, detail);
  };
  const kind = kinds.find(({ kty, crv }) => jwk['kty'] === kty && (crv === undefined || jwk['crv'] === crv));
  for (const member of privateMembers)
    if (Object.hasOwn(jwk, member)) fault(member, 'This is a private key: send the public one alone.');
  if (kind === undefined) {
    fault('kty', 'Send an EC key on P-256, an OKP key on Ed25519, or an RSA key of 2048 to 4096 bits.');
    return undefined;
  }
  checkPurpose(jwk, kind, fault);
  checkMaterial(jwk, kind, fault);
  if (!isSound) return undefined;
  const kept = ['kty', ...kind.members, 'kid', 'alg', 'use', 'key_ops'].filter(
    name => jwk[name] !== undefined,
  );
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- every member was checked above
  return Object.fromEntries(kept.map(name => [name, jwk[name]])) as unknown as PublicJwk;
}

/** The algorithms for which the key may be used: its own, or the usual one of its kind. */
export function algorithmsOf({ kty, alg }: PublicJwk): readonly AssertionAlgorithm[] {
  const kind = kinds.find(other => other.kty === kty);
  if (kind === undefined) return [];
  if (alg === 'PS256') return ['PS256'];
  return kind.algorithms.filter(name => name !== 'PS256');
}

/** @throws {Error} where it is no key, which {@link readPublicJwk} has seen to */
export function importPublicJwk({ kty, crv, x, y, n, e }: PublicJwk): KeyObject {
  return createPublicKey({ key: { kty, crv, x, y, n, e } as JsonWebKey, format: 'jwk' });
}

/** Whether they are the same key for the same use: both are kept with their members in one order. */
export function isSameJwk(one: PublicJwk | undefined, other: PublicJwk | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

type Fault = (member: string, detail: string) => void;

interface Kind {
  readonly kty: string;
  readonly crv?: string;
  readonly members: readonly string[];
  readonly algorithms: readonly AssertionAlgorithm[];
}

const kinds: readonly Kind[] = [
  { kty: 'EC', crv: 'P-256', members: ['crv', 'x', 'y'], algorithms: ['ES256'] },
  { kty: 'OKP', crv: 'Ed25519', members: ['crv', 'x'], algorithms: ['EdDSA', 'Ed25519'] },
  { kty: 'RSA', members: ['n', 'e'], algorithms: ['RS256', 'PS256'] },
];

/** RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1. */
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

/** RFC 7517 sections 4.2 to 4.5. */
function checkPurpose(jwk: Readonly<Record<string, unknown>>, { algorithms }: Kind, fault: Fault): void {
  const { alg, use, key_ops: operations, kid } = jwk;
  if (alg !== undefined && !algorithms.some(name => name === alg))
    fault('alg', `For such a key it is ${algorithms.join(' or ')}, or absent.`);
  if (use !== undefined && use !== 'sig') fault('use', 'It is sig, or absent.');
  const verifies = Array.isArray(operations) && operations.length === 1 && operations[0] === 'verify';
  if (operations !== undefined && !verifies) fault('key_ops', 'It is ["verify"], or absent.');
  if (kid !== undefined && !(typeof kid === 'string' && /^[^\p{Cc}\p{Cs}]{1,255}$/u.test(kid)))
    fault('kid', 'It is a text of 1 to 255 characters, or absent.');
}

function checkMaterial(jwk: Readonly<Record<string, unknown>>, { kty, members }: Kind, fault: Fault): void {
  // RFC 7518 section 6.2.1.2, RFC 8037 section 2: all bytes of a coordinate, leading zeros too.
  const size = kty === 'RSA' ? undefined : 32;
  const wrong = members.filter(name => name !== 'crv' && !isBase64url(jwk[name], size));
  for (const name of wrong) fault(name, 'It is needed whole, in base64url without padding.');
  if (wrong.length > 0) return;
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- its members are texts, or the import refuses it
    const { asymmetricKeyDetails } = importPublicJwk(jwk as unknown as PublicJwk);
    if (kty === 'RSA') checkRsa(asymmetricKeyDetails ?? {}, fault);
    if (kty === 'OKP' && isOfSmallOrder(String(jwk['x']))) fault('x', weak);
  } catch {
    fault('', 'The members make up no key.');
  }
}

const weak = 'Anyone could sign for this key: make another.';

/** Canonical: neither padding nor unused bits, so that a key has one text. */
function isBase64url(value: unknown, size: number | undefined): boolean {
  if (typeof value !== 'string' || value === '') return false;
  const bytes = Buffer.from(value, 'base64url');
  return bytes.toString('base64url') === value && (size === undefined || bytes.length === size);
}

function checkRsa(
  { modulusLength = 0, publicExponent = 0n }: { modulusLength?: number; publicExponent?: bigint },
  fault: Fault,
): void {
  if (modulusLength < 2048 || modulusLength > 4096) fault('n', 'It has 2048 to 4096 bits.');
  if (publicExponent < 3n || publicExponent > 0xffffffffn || publicExponent % 2n === 0n)
    fault('e', 'It is odd, and from 3 to 4294967295; 65537 is usual.');
}

/**
 * Points of Ed25519 whose order divides 8: for them a signature can be made without a private key. Little-endian, the
 * sign left out; the last two are other spellings of the first two.
 */
const smallOrderPoints: ReadonlySet<string> = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

function isOfSmallOrder(x: string): boolean {
  const point = Buffer.from(x, 'base64url');
  point.writeUInt8((point.at(-1) ?? 0) & 0x7f, point.length - 1);
  return smallOrderPoints.has(point.toString('hex'));
}
