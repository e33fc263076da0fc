/** The claims of an access token: RFC 9068's, and Keyturn's own. */
import { parseUrl } from './url.ts';

export interface AccessTokenClaims {
  readonly iss: string;
  /** The impersonation user where the key has one, the account of an access key, else the client id. */
  readonly sub: string;
  readonly aud: string | readonly string[];
  /** Seconds since the epoch. */
  readonly exp: number;
  readonly iat: number;
  readonly jti: string;
  /** The key's id, a dashed UUID. */
  readonly client_id: string;
  /** Space-separated. */
  readonly scope: string;
  readonly feature: string;
  readonly allowed_controllers: readonly string[];
  readonly allowed_origins: readonly string[];
  /** The version of the key at issue; a token of an older version than the least living one is dead. */
  readonly key_version: number;
  /** RFC 8693 section 4.1: the client, where `sub` is somebody else. */
  readonly act?: { readonly sub: string };
  readonly custom_data?: Readonly<Record<string, string>>;
}

/** Seconds: no token lives longer, whatever is configured. */
export const longestTokenLife = 86_400;

/** The claims without which a token is not one of ours (RFC 9068 section 2.2, and our own). */
export const requiredClaims = [
  'iss',
  'sub',
  'aud',
  'exp',
  'iat',
  'jti',
  'client_id',
  'scope',
  'feature',
  'allowed_controllers',
  'allowed_origins',
  'key_version',
] as const satisfies readonly (keyof AccessTokenClaims)[];

/** Whether a key may carry an extra claim of this name: URIs only, so that none can shadow a registered one. */
export function isExtraClaimName(name: string): boolean {
  return /^[a-z][a-z0-9+.-]*:[^\s]+$/i.test(name) && parseUrl(name) !== undefined;
}
