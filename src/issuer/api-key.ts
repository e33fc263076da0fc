/** An API key as the store keeps it. */
import { allowsOrigin } from '../protocol/origin.ts';
import type { PublicJwk } from './public-jwk.ts';
import type { SecretHash } from './vault.ts';

export type KeyDoor = 'token' | 'sc_apikey';
export type KeyStatus = 'draft' | 'active' | 'disabled' | 'expired' | 'revoked';

/** What is absent has its default; times are milliseconds since the epoch. */
export interface ApiKey {
  /** Dashed lower-case UUID: the client id. */
  readonly id: string;
  readonly name: string;
  /** The feature of a key; an access key has its account instead. */
  readonly feature?: string;
  /** Whose access key this is. */
  readonly account?: string;
  /** Narrower than the feature's. */
  readonly scopes?: readonly string[];
  /** Absent: the feature's. Empty: none. */
  readonly allowedControllers?: readonly string[];
  readonly corsOrigins?: readonly string[];
  readonly impersonationUser?: string;
  readonly customData?: Readonly<Record<string, string>>;
  readonly customDataInToken?: readonly string[];
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Absent: the deployment's default audience. */
  readonly audiences?: readonly string[];
  /** Absent: `token` alone. */
  readonly doors?: readonly KeyDoor[];
  /** The account that owns the key. */
  readonly owner?: string;
  /** `expired` is not written: it follows from `expiresAt`. */
  readonly status: Exclude<KeyStatus, 'expired'>;
  readonly notBefore?: number;
  readonly expiresAt?: number;
  /** Seconds. */
  readonly tokenTtl?: number;
  /** With its private key the key signs for itself (RFC 7523). */
  readonly publicJwk?: PublicJwk;
  readonly version: number;
  /** One, or in a rotation two: the old one first. None where it only signs for itself. */
  readonly secrets: readonly KeySecret[];
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface KeySecret extends SecretHash {
  readonly last4: string;
  readonly createdAt: number;
  /** The moment from which it is no secret of the key any more; judged at each use. */
  readonly retiresAt?: number;
  /** Of a secret that has not been used yet: milliseconds that the old one has left once it is. */
  readonly firstUseGrace?: number;
}

/** The status as of now. */
export function statusOf(key: ApiKey, now: number): KeyStatus {
  const over = key.expiresAt !== undefined && key.expiresAt <= now;
  return over && key.status !== 'revoked' ? 'expired' : key.status;
}

/** Where the key may be sent as itself. */
export function doorsOf({ doors = ['token'] }: ApiKey): readonly KeyDoor[] {
  return doors;
}

/** Whether pages of this origin may use the key. */
export function isForPagesOf({ corsOrigins }: ApiKey, origin: string): boolean {
  return allowsOrigin(new Set(corsOrigins), origin);
}

/** The secrets that are still good. */
export function livingSecrets({ secrets }: ApiKey, now: number): readonly KeySecret[] {
  return secrets.filter(({ retiresAt }) => retiresAt === undefined || retiresAt > now);
}
