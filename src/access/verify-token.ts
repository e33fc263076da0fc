/** Whether a token is genuine: signed by a key of this issuer, of the right type, complete and unspoilt. */
import {
  type CryptoKey,
  errors,
  type JWTHeaderParameters,
  type JWTPayload,
  jwtVerify,
  type KeyObject,
} from 'jose';
import { type AccessTokenClaims, requiredClaims } from '../protocol/claims.ts';
import { Recent } from './recent.ts';
import { isCanonicalToken, readTokenPart } from './token-text.ts';

/** Seconds by which a clock may differ (FAPI 2.0: `iat` and `nbf` up to 10 s ahead are accepted). */
export const clockSkewSeconds = 10;

/** A token whose signature and claims hold. Whether it has expired or is revoked is asked at every call. */
export interface GenuineToken {
  readonly claims: AccessTokenClaims;
  readonly audiences: ReadonlySet<string>;
  readonly scopes: ReadonlySet<string>;
  readonly controllers: ReadonlySet<string>;
  readonly origins: ReadonlySet<string>;
  /** The signing key, so that a revoked one takes its tokens along. */
  readonly kid: string;
}

/** A key that verifies, with the one algorithm that it is for. */
export interface VerificationKey {
  readonly kid: string;
  readonly alg: string;
  readonly publicKey: CryptoKey | KeyObject;
}

export interface TokenVerifier {
  /** The token, or undefined where it is not genuine. A promise only where the signature has to be checked. */
  verify(text: string): GenuineToken | undefined | Promise<GenuineToken | undefined>;
}

export interface VerifierOptions {
  readonly issuer: string;
  /** The living key of this id, or undefined. Asked at every call, so that a dropped key is dropped at once. */
  readonly findKey: (kid: string) => VerificationKey | undefined;
  /** Called once where `findKey` knows no such key: may fetch keys, and limits itself. */
  readonly refreshKeys?: (kid: string) => Promise<void>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Seconds that a token may live at most. */
  readonly longestLife: number;
  /** Audiences whose tokens may be of the type `JWT`; all others' are of the type `at+jwt` (RFC 9068). */
  readonly plainAudiences?: ReadonlySet<string>;
  /** Tokens whose signature is remembered. */
  readonly cacheSize?: number;
}

/** Verifies tokens of one issuer. A signature is checked once per token and process (bounded, by the whole text). */
export function createTokenVerifier(options: VerifierOptions): TokenVerifier {
  const known = new Recent<GenuineToken>(options.cacheSize ?? 10_000);
  return {
    verify(text) {
      const token = known.get(text);
      if (token !== undefined) return options.findKey(token.kid) && token;
      if (!isCanonicalToken(text)) return undefined;
      return checkSignature(text, options).then(genuine => {
        if (genuine !== undefined) known.set(text, genuine);
        return genuine;
      });
    },
  };
}

async function checkSignature(text: string, options: VerifierOptions): Promise<GenuineToken | undefined> {
  try {
    const [header, payload] = text.split('.', 2).map(readTokenPart) as [JWTHeaderParameters, JWTPayload];
    if (payload.iss !== options.issuer || !isOfRightType(header, payload, options)) return undefined;
    const key = await findKey(header, options);
    if (key === undefined) return undefined;
    // Expiry is judged at every call, from the same clock as all else; here only the shape of the times.
    await jwtVerify(text, key.publicKey, {
      algorithms: [key.alg],
      issuer: options.issuer,
      requiredClaims: [...requiredClaims],
      currentDate: new Date(timeOf(payload) * 1000),
    });
    return isComplete(payload, options) ? describeToken(payload, key.kid) : undefined;
  } catch (error) {
    if (error instanceof errors.JOSEError || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isOfRightType(
  { typ }: JWTHeaderParameters,
  { aud }: JWTPayload,
  { plainAudiences }: VerifierOptions,
): boolean {
  if (typeof typ !== 'string') return false;
  const type = typ.toLowerCase();
  if (type === 'at+jwt' || type === 'application/at+jwt') return true;
  if (type !== 'jwt' || plainAudiences === undefined) return false;
  const audiences: unknown[] = Array.isArray(aud) ? aud : [aud];
  return (
    audiences.length > 0 && audiences.every(name => typeof name === 'string' && plainAudiences.has(name))
  );
}

async function findKey(
  header: JWTHeaderParameters,
  options: VerifierOptions,
): Promise<VerificationKey | undefined> {
  const { alg, kid } = header;
  if (typeof kid !== 'string') return undefined;
  // RFC 7515 section 4.1.11: we understand no extension, so none may be critical.
  if ('crit' in header || 'b64' in header) return undefined;
  if (options.findKey(kid) === undefined) await options.refreshKeys?.(kid);
  const key = options.findKey(kid);
  return key?.alg === alg ? key : undefined;
}

/** The moment at which a token is looked at for its shape: from when on it holds, by its own word. */
function timeOf({ iat, nbf }: JWTPayload): number {
  const times = [iat, nbf].filter(time => Number.isSafeInteger(time)).map(Number);
  return Math.min(Math.max(...times, 0), latestDate);
}

/** Seconds: the end of what a `Date` can say. */
const latestDate = 8.64e12;

/** What a library does not check: the types of the claims, and times that are whole, in order and not too far apart. */
function isComplete(
  payload: JWTPayload,
  { now, longestLife }: VerifierOptions,
): payload is JWTPayload & AccessTokenClaims {
  const { iat, exp, nbf } = payload;
  if (!Number.isSafeInteger(iat) || !Number.isSafeInteger(exp)) return false;
  if (nbf !== undefined && !(Number.isSafeInteger(nbf) && nbf <= now() / 1000 + clockSkewSeconds))
    return false;
  if (iat! > now() / 1000 + clockSkewSeconds || exp! <= iat! || exp! - iat! > longestLife) return false;
  const isString = (name: string) => typeof payload[name] === 'string' && payload[name] !== '';
  return (
    ['sub', 'jti', 'client_id', 'feature'].every(isString) &&
    typeof payload['scope'] === 'string' &&
    Number.isSafeInteger(payload['key_version']) &&
    isStringArray(payload['allowed_controllers']) &&
    isStringArray(payload['allowed_origins']) &&
    (typeof payload.aud === 'string' || isStringArray(payload.aud))
  );
}

function isStringArray(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(item => typeof item === 'string');
}

function describeToken(claims: AccessTokenClaims, kid: string): GenuineToken {
  return {
    claims,
    kid,
    audiences: new Set(typeof claims.aud === 'string' ? [claims.aud] : claims.aud),
    scopes: new Set(claims.scope.split(' ')),
    controllers: new Set(claims.allowed_controllers),
    origins: new Set(claims.allowed_origins),
  };
}
