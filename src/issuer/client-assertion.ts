/**
 * The text with which a client signs for itself (RFC 7523 sections 2.2 and 3): how it is read, and what it has to say.
 * Pure; whether the signature holds is told elsewhere.
 */
import { isCanonicalToken, readTokenPart } from '../access/token-text.ts';
import { clockSkewSeconds } from '../access/verify-token.ts';
import { parseGuid } from '../protocol/guid.ts';
import { type AssertionAlgorithm, assertionAlgorithms } from './public-jwk.ts';

export interface ClientAssertion {
  readonly text: string;
  readonly alg: AssertionAlgorithm;
  readonly kid: string | undefined;
  /** The key that it speaks of: its issuer, and its subject. */
  readonly keyId: string;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** Reads an assertion; undefined for what no key could have signed as one. */
export function readAssertion(text: string): ClientAssertion | undefined {
  if (!isCanonicalToken(text)) return undefined;
  try {
    const [header = {}, claims = {}] = text.split('.', 2).map(readTokenPart);
    const { kid } = header;
    const alg = assertionAlgorithms.find(name => name === header['alg']);
    const keyId = subjectOf(claims);
    if (alg === undefined || keyId === undefined || !isPlainHeader(header)) return undefined;
    return { text, alg, kid: kid as string | undefined, keyId, claims };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** What an assertion that is well signed says wrongly, in words for its signer; undefined where it holds. */
export function faultOf(
  { claims }: ClientAssertion,
  { audiences, now }: { readonly audiences: readonly string[]; readonly now: number },
): string | undefined {
  const { aud, exp, iat, nbf, jti } = claims;
  const named: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  if (!audiences.some(audience => named.includes(audience)))
    return `The aud of the client assertion has to be ${audiences[0]}.`;
  if (typeof jti !== 'string' || jti === '' || jti.length > longestJti)
    return `The client assertion needs a jti of 1 to ${longestJti} characters, a new one each time.`;
  return faultInTimes({ exp, iat, nbf }, now / 1000);
}

/** Seconds since the epoch from which on the assertion is refused anyhow. */
export function endOf({ claims }: ClientAssertion): number {
  return Number(claims['exp']) + clockSkewSeconds;
}

const longestJti = 255;

/** Seconds. */
const longestLife = 300;

/** RFC 7523 section 3, point 2 and 3. */
function subjectOf({ iss, sub }: Readonly<Record<string, unknown>>): string | undefined {
  const [issuer, subject] = [iss, sub].map(name => (typeof name === 'string' ? parseGuid(name) : undefined));
  return issuer === subject ? issuer : undefined;
}

/** Keys that the header brings or points to are passed over; what changes the meaning of the rest is refused. */
function isPlainHeader(header: Readonly<Record<string, unknown>>): boolean {
  const { typ, kid } = header;
  if (Object.hasOwn(header, 'crit') || Object.hasOwn(header, 'b64')) return false;
  if (kid !== undefined && typeof kid !== 'string') return false;
  return typ === undefined || (typeof typ === 'string' && acceptedTypes.has(typ.toLowerCase()));
}

/** Not `at+jwt`: an access token is no assertion. */
const acceptedTypes: ReadonlySet<string> = new Set([
  'jwt',
  'client-authentication+jwt',
  'application/client-authentication+jwt',
]);

/** RFC 7523 section 3, point 4 to 6. NumericDate may have a fraction (RFC 7519 section 2). */
function faultInTimes(
  { exp, iat, nbf }: { readonly exp: unknown; readonly iat: unknown; readonly nbf: unknown },
  now: number,
): string | undefined {
  if (!isTime(exp) || (iat !== undefined && !isTime(iat)) || (nbf !== undefined && !isTime(nbf)))
    return 'The client assertion needs exp, and its exp, iat and nbf are numbers of seconds since 1970.';
  if (exp + clockSkewSeconds <= now)
    return 'The client assertion has expired: make a new one for each request, and set the clock.';
  if (exp > now + longestLife + clockSkewSeconds || (iat !== undefined && exp - iat > longestLife))
    return `The client assertion lives too long: exp is at most ${longestLife} seconds ahead.`;
  if ((iat ?? 0) > now + clockSkewSeconds || (nbf ?? 0) > now + clockSkewSeconds)
    return 'The iat or nbf of the client assertion lies ahead: set the clock.';
  return undefined;
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}
