/**
 * The ring of signing keys as a value. The state of a key follows from the ring, the time and the settings alone, so that
 * every instance finds it without asking another. What changes the ring is here too; nothing here does any IO.
 *
 * Of one algorithm the keys stand in the order in which they sign: the last whose time has come is the active one. Times
 * are in milliseconds.
 */
import type { JWK } from 'jose';
import { longestTokenLife } from '../protocol/claims.ts';
import type { SigningAlgorithm } from '../protocol/token-header.ts';

export interface SigningKeyRecord {
  readonly kid: string;
  readonly alg: SigningAlgorithm;
  readonly createdAt: number;
  /** From when on it signs. */
  readonly activeAt: number;
  /** RFC 7638, where it is not the id. */
  readonly thumbprint?: string;
  readonly publicJwk: JWK;
  /** The private JWK, sealed for this id and algorithm. */
  readonly sealed: string;
}

/** What is left of a key that is gone: neither its id nor its material comes back. */
export interface FormerKey extends Omit<SigningKeyRecord, 'publicJwk' | 'sealed'> {
  readonly end: 'removed' | 'revoked';
  readonly at: number;
}

export interface Ring {
  /** In the order of their making. */
  readonly keys: readonly SigningKeyRecord[];
  readonly former: readonly FormerKey[];
}

/** `next`: published. `active`: signs. `retired`: verifies until its last token has expired. */
export type SigningKeyState = 'next' | 'active' | 'retired';

export interface RingRules {
  /** Those that this instance signs with. */
  readonly algs: readonly SigningAlgorithm[];
  /** For how long a key is published before it signs. */
  readonly lead: number;
  /** From one key to the next. */
  readonly period: number;
  readonly isRevoked: (kid: string) => boolean;
}

/**
 * After so long every instance has heard of a new key, or refuses calls because it hears nothing: the longest staleness
 * bound, and a little more.
 */
export const instanceLead = 65_000;

/** How long a key verifies after another took its place: a whole life of a token, and an hour for clocks that differ. */
export const retention = (longestTokenLife + 3600) * 1000;

/** The keys of one algorithm, in the order in which they sign. */
export function keysOf(ring: Ring, alg: SigningAlgorithm): readonly SigningKeyRecord[] {
  return ring.keys.filter(key => key.alg === alg).toSorted((one, other) => one.activeAt - other.activeAt);
}

/** The active key and those after it. A clock behind that of the ring's maker finds none whose time has come: then all. */
export function livingFrom<T extends { readonly activeAt: number }>(
  keys: readonly T[],
  now: number,
): readonly T[] {
  return keys.slice(
    Math.max(
      0,
      keys.findLastIndex(({ activeAt }) => activeAt <= now),
    ),
  );
}

/**
 * The key that signs: the active one, however old it is; where that is revoked the next one, before its time. Never one
 * that was retired: it may be about to leave.
 */
export function signingKeyOf(
  ring: Ring,
  alg: SigningAlgorithm,
  now: number,
  isRevoked: RingRules['isRevoked'],
): SigningKeyRecord | undefined {
  return livingFrom(keysOf(ring, alg), now).find(({ kid }) => !isRevoked(kid));
}

/** The last of those that are published and do not sign yet. */
export function waitingKeyOf(ring: Ring, alg: SigningAlgorithm, now: number): SigningKeyRecord | undefined {
  return livingFrom(keysOf(ring, alg), now).slice(1).at(-1);
}

export function stateOf(ring: Ring, key: SigningKeyRecord, now: number): SigningKeyState {
  const living = livingFrom(keysOf(ring, key.alg), now);
  const place = living.findIndex(({ kid }) => kid === key.kid);
  if (place === 0) return 'active';
  return place < 0 ? 'retired' : 'next';
}

/**
 * Until when the key verifies: undefined where nothing ends it yet. A key of an algorithm that is not in use here may be
 * in use elsewhere, while a deployment is being renewed; one that nobody followed up in its time is in use nowhere.
 */
export function endOf(
  ring: Ring,
  { kid, alg, activeAt }: SigningKeyRecord,
  { algs, period }: Pick<RingRules, 'algs' | 'period'>,
): number | undefined {
  const keys = keysOf(ring, alg);
  const successor = keys[keys.findIndex(key => key.kid === kid) + 1];
  if (successor !== undefined) return successor.activeAt + retention;
  return algs.includes(alg) ? undefined : activeAt + period + retention;
}

/** Whether the id, or the key material, is or was in the ring. */
export function isKnown({ keys, former }: Ring, kid: string, thumbprint: string): boolean {
  return [...keys, ...former].some(key => key.kid === kid || (key.thumbprint ?? key.kid) === thumbprint);
}

/** Puts a key behind all others of its algorithm; it signs from `activeAt` on, and never before one of those does. */
export function addKey(ring: Ring, key: SigningKeyRecord, activeAt: number): Ring {
  const last = keysOf(ring, key.alg).at(-1)?.activeAt ?? -Infinity;
  return { ...ring, keys: [...ring.keys, { ...key, activeAt: Math.max(activeAt, last + 1) }] };
}

/**
 * Lets a key sign from `at` on, where it would only later. Those before it have had their turn then, also where a clock
 * that is ahead had given them a later one.
 */
export function bringForward(ring: Ring, kid: string, at: number): Ring {
  const key = ring.keys.find(other => other.kid === kid);
  if (key === undefined || key.activeAt <= at) return ring;
  const order = keysOf(ring, key.alg);
  const before = new Set(order.slice(0, order.indexOf(key)));
  const keys = ring.keys.map(other => {
    if (other === key) return { ...other, activeAt: at };
    return before.has(other) ? { ...other, activeAt: Math.min(other.activeAt, at - 1) } : other;
  });
  return { ...ring, keys };
}

/** Takes a key out for good. Where it was the active one, its next signs from now on. */
export function revokeKey(ring: Ring, kid: string, now: number): Ring {
  const key = ring.keys.find(other => other.kid === kid);
  if (key === undefined) return ring;
  const [active, next] = livingFrom(keysOf(ring, key.alg), now);
  const rest = dropKey(ring, key, 'revoked', now);
  return active?.kid === kid && next !== undefined ? bringForward(rest, next.kid, now) : rest;
}

/** The algorithms that want a key made, for {@link keepUp} to put into the ring. */
export function wantingAlgs(ring: Ring, now: number, rules: RingRules): SigningAlgorithm[] {
  return rules.algs.filter(alg => dueAt(ring, alg, now, rules) !== undefined);
}

/**
 * What time asks for: the next key where it is due, revoked keys out (somebody may have died between revoking one and
 * this), and those whose last token has expired. The same ring where there is nothing to do.
 *
 * @param made keys for those that are wanting; without one, a revoked key stays until there is another to sign
 */
export function keepUp(
  ring: Ring,
  now: number,
  rules: RingRules,
  made: ReadonlyMap<SigningAlgorithm, SigningKeyRecord> = new Map(),
): Ring {
  return [addDueKeys, dropRevokedKeys, dropEndedKeys].reduce(
    (kept, step) => step(kept, now, rules, made),
    ring,
  );
}

type Step = (
  ring: Ring,
  now: number,
  rules: RingRules,
  made: ReadonlyMap<SigningAlgorithm, SigningKeyRecord>,
) => Ring;

const addDueKeys: Step = (ring, now, rules, made) =>
  rules.algs.reduce((kept, alg) => {
    const [key, activeAt] = [made.get(alg), dueAt(kept, alg, now, rules)];
    return key === undefined || activeAt === undefined ? kept : addKey(kept, key, activeAt);
  }, ring);

const dropRevokedKeys: Step = (ring, now, rules) =>
  ring.keys
    .filter(({ kid, alg }) => {
      const mayLeave =
        !rules.algs.includes(alg) || signingKeyOf(ring, alg, now, rules.isRevoked) !== undefined;
      return rules.isRevoked(kid) && mayLeave;
    })
    .reduce((kept, { kid }) => revokeKey(kept, kid, now), ring);

const dropEndedKeys: Step = (ring, now, rules) =>
  ring.keys
    .filter(key => (endOf(ring, key, rules) ?? Infinity) <= now)
    .reduce((kept, key) => dropKey(kept, key, 'removed', now), ring);

/** When a key that is to be made now would sign; undefined where none is to be made. */
function dueAt(ring: Ring, alg: SigningAlgorithm, now: number, rules: RingRules): number | undefined {
  if (signingKeyOf(ring, alg, now, rules.isRevoked) === undefined) return now;
  const newest = keysOf(ring, alg).at(-1)!;
  const lead = Math.max(rules.lead, Math.min(instanceLead, rules.period / 2));
  const due = newest.activeAt + rules.period;
  return due - lead <= now ? Math.max(due, now + lead) : undefined;
}

function dropKey(ring: Ring, key: SigningKeyRecord, end: FormerKey['end'], at: number): Ring {
  const { publicJwk: _public, sealed: _sealed, ...rest } = key;
  return {
    keys: ring.keys.filter(({ kid }) => kid !== key.kid),
    former: [...ring.former, { ...rest, end, at }],
  };
}
