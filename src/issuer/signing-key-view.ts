/** What is shown of a signing key: never the private part. */
import type { JWK } from 'jose';
import { type Static, Type } from 'typebox';
import { signingAlgorithms } from '../protocol/token-header.ts';
import {
  endOf,
  type FormerKey,
  type Ring,
  type RingRules,
  type SigningKeyRecord,
  type SigningKeyState,
  stateOf,
} from './signing-key-ring.ts';

/** A public key as the key set publishes it (RFC 7517). */
export const publishedJwkSchema = Type.Object({
  kty: Type.Enum(['EC', 'RSA', 'OKP']),
  crv: Type.Optional(Type.String()),
  x: Type.Optional(Type.String()),
  y: Type.Optional(Type.String()),
  n: Type.Optional(Type.String()),
  e: Type.Optional(Type.String()),
  kid: Type.String(),
  alg: Type.Enum([...signingAlgorithms]),
  use: Type.Literal('sig'),
});

export const signingKeyViewSchema = Type.Object({
  kid: Type.String(),
  alg: Type.Enum([...signingAlgorithms]),
  state: Type.Enum(['next', 'active', 'retired', 'revoked'] satisfies (SigningKeyState | 'revoked')[]),
  createdAt: Type.String({ format: 'date-time' }),
  activeAt: Type.String({ format: 'date-time', description: 'From when on it signs.' }),
  publishedUntil: Type.Union([Type.String({ format: 'date-time' }), Type.Null()], {
    description: 'Until when it is published, as far as that is known: null while nothing takes its place.',
  }),
  publicJwk: Type.Optional(Type.Unsafe<JWK>(publishedJwkSchema)),
});

export type SigningKeyView = Readonly<Static<typeof signingKeyViewSchema>>;

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
