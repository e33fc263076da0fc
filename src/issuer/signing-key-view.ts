/** What is shown of a signing key: never the private part. */
import type { JWK } from 'jose';
import type { SigningAlgorithm } from '../protocol/token-header.ts';
import {
  endOf,
  type FormerKey,
  type Ring,
  type RingRules,
  type SigningKeyRecord,
  type SigningKeyState,
  stateOf,
} from './signing-key-ring.ts';

export interface SigningKeyView {
  readonly kid: string;
  readonly alg: SigningAlgorithm;
  readonly state: SigningKeyState | 'revoked';
  readonly createdAt: string;
  /** From when on it signs. */
  readonly activeAt: string;
  /** Until when it is published, as far as that is known: null while nothing takes its place. */
  readonly publishedUntil: string | null;
  readonly publicJwk?: JWK;
}

/** The whole ring, oldest first. @param now milliseconds since the epoch */
export function presentRing(ring: Ring, now: number, rules: RingRules): SigningKeyView[] {
  return ring.keys.map(key => presentSigningKey(key, ring, now, rules));
}

/** @param now milliseconds since the epoch */
export function presentSigningKey(
  key: SigningKeyRecord,
  ring: Ring,
  now: number,
  rules: RingRules,
): SigningKeyView {
  const { kid, alg, createdAt, activeAt, publicJwk } = key;
  const end = endOf(ring, key, rules);
  return {
    kid,
    alg,
    state: stateOf(ring, key, now),
    createdAt: new Date(createdAt).toISOString(),
    activeAt: new Date(activeAt).toISOString(),
    publishedUntil: end === undefined ? null : new Date(end).toISOString(),
    publicJwk,
  };
}

export function presentFormerKey({ kid, alg, createdAt, activeAt, at }: FormerKey): SigningKeyView {
  return {
    kid,
    alg,
    state: 'revoked',
    createdAt: new Date(createdAt).toISOString(),
    activeAt: new Date(activeAt).toISOString(),
    publishedUntil: new Date(at).toISOString(),
  };
}
