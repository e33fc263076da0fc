/**
 * What an owner does to the signing keys: rotate them, bring one, declare one bad. No instance ever meets a token of a key
 * that it has not heard of: a key that is to sign sooner than the news of it is sure to have spread waits for that.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { invalidValues, Problem } from '../protocol/errors.ts';
import type { SigningAlgorithm } from '../protocol/token-header.ts';
import type { Clock } from '../store/store.ts';
import { readPrivateJwk } from './private-jwk.ts';
import type { RevocationLog } from './revocation-log.ts';
import { createKeyRecord } from './signing-key.ts';
import {
  addKey,
  bringForward,
  type FormerKey,
  instanceLead,
  isKnown,
  keysOf,
  livingFrom,
  type Ring,
  revokeKey,
  type SigningKeyRecord,
  signingKeyOf,
  waitingKeyOf,
} from './signing-key-ring.ts';
import { presentFormerKey, presentSigningKey, type SigningKeyView } from './signing-key-view.ts';
import type { SigningKeys } from './signing-keys.ts';
import type { Vault } from './vault.ts';

/** Called once, before anything is written; where it rejects, nothing is. */
export type Announce = (before: SigningKeyView | undefined, after: SigningKeyView) => Promise<void>;

export interface SigningKeyChanges {
  /**
   * Publishes the next key, to sign after the lead; or has one sign at once: the one that waits, or a new one.
   *
   * @throws {Problem} `conflict` where one waits already and it is not to sign at once; `validation_failed`
   */
  rotate(request: { alg?: SigningAlgorithm; now?: boolean }, announce: Announce): Promise<SigningKeyView>;
  /** Reads a key that somebody brings, a private JWK. @throws {Problem} `validation_failed` */
  readOwn(jwk: Readonly<Record<string, unknown>>): Promise<SigningKeyRecord>;
  /**
   * Takes it as the next key, or has it sign at once.
   *
   * @throws {Problem} `conflict` where it is or was in the ring
   */
  bring(own: SigningKeyRecord, activate: boolean, announce: Announce): Promise<SigningKeyView>;
  /** Ends a key, and every token that it has signed. @throws {Problem} `not_found` */
  revoke(kid: string, announce: Announce): Promise<SigningKeyView>;
}

export interface SigningKeyChangesOptions {
  readonly signingKeys: SigningKeys;
  readonly vault: Vault;
  readonly clock: Clock;
  readonly revocationLog: RevocationLog;
}

export function createSigningKeyChanges(options: SigningKeyChangesOptions): SigningKeyChanges {
  const { signingKeys, vault, clock, revocationLog } = options;
  const { algs, rules } = signingKeys;
  const view = (ring: Ring, kid: string) => presentSigningKey(findKey(ring, kid), ring, clock(), rules);
  const signsAt = (atOnce: boolean) => clock() + (atOnce ? 0 : rules.lead);
  /** As the key is to be: what is written down before the deed. */
  const plan = (ring: Ring, key: SigningKeyRecord, activeAt: number) =>
    view(bringForward(hasKey(ring, key) ? ring : addKey(ring, key, activeAt), key.kid, activeAt), key.kid);

  /** Puts a key into the ring, as `place` says; it signs from `activeAt` on, and never before every instance knows it. */
  const publish = async (
    activeAt: number,
    place: (ring: Ring, activeAt: number) => { ring: Ring; kid: string },
  ): Promise<SigningKeyView> => {
    let kid = '';
    const first = await signingKeys.edit(before => {
      const placed = place(before, Math.max(activeAt, clock() + instanceLead));
      kid = placed.kid;
      return placed.ring;
    });
    await revocationLog.announceRing();
    if (findKey(first.ring, kid).activeAt <= activeAt) return view(first.ring, kid);
    await revocationLog.settle();
    const second = await signingKeys.edit(ring => bringForward(ring, kid, Math.max(activeAt, clock())));
    await revocationLog.announceRing();
    return view(second.ring, kid);
  };

  return {
    async rotate({ alg = algs[0]!, now: atOnce = false }, announce) {
      requireAlg(algs, alg, '/alg');
      await signingKeys.maintain();
      const known = signingKeys.ring();
      const active = signingKeyOf(known, alg, clock(), rules.isRevoked)?.kid;
      const waiting = waitingKeyOf(known, alg, clock());
      if (waiting !== undefined && !atOnce) throw alreadyWaiting(waiting);
      const made = waiting ?? (await signingKeys.makeKey(alg));
      const activeAt = signsAt(atOnce);
      await announce(waiting && view(known, waiting.kid), plan(known, made, activeAt));
      return publish(activeAt, (ring, provisional) => {
        // Somebody else was at it too: theirs is the new key.
        const other = waitingKeyOf(ring, alg, clock());
        const signing = signingKeyOf(ring, alg, clock(), rules.isRevoked);
        if (other !== undefined && !atOnce) throw alreadyWaiting(other);
        if (other !== undefined) return { ring, kid: other.kid };
        if (signing !== undefined && signing.kid !== active && atOnce) return { ring, kid: signing.kid };
        if (isKnown(ring, made.kid, made.kid)) throw changedMeanwhile();
        return { ring: addKey(ring, made, provisional), kid: made.kid };
      });
    },

    async readOwn(jwk) {
      const material = readPrivateJwk(jwk);
      requireAlg(algs, material.alg, '/jwk');
      return createKeyRecord(material, vault, clock(), material.kid);
    },

    async bring(own, activate, announce) {
      const requireNew = (ring: Ring): void => {
        if (isKnown(ring, own.kid, own.thumbprint ?? own.kid)) throw alreadyKnown(own.kid);
      };
      await signingKeys.refresh();
      const known = signingKeys.ring();
      requireNew(known);
      const activeAt = signsAt(activate);
      await announce(undefined, plan(known, own, activeAt));
      return publish(activeAt, (ring, provisional) => {
        requireNew(ring);
        return { ring: addKey(ring, own, provisional), kid: own.kid };
      });
    },

    async revoke(kid, announce) {
      await signingKeys.refresh();
      const ring = signingKeys.ring();
      const key = ring.keys.find(other => other.kid === kid);
      if (key === undefined) return presentFormerKey(findRevoked(ring, kid));
      await announce(view(ring, kid), presentFormerKey({ ...key, end: 'revoked', at: clock() }));
      await provideNext(key);
      // From here on none of its tokens is accepted anywhere, whatever becomes of the rest.
      await revocationLog.revokeSigningKey(kid);
      const { ring: rest } = await signingKeys.edit(other => revokeKey(other, kid, clock()));
      await revocationLog.announceRing();
      return presentFormerKey(findRevoked(rest, kid));
    },
  };

  /** So that something can sign from the moment on at which the key cannot. */
  async function provideNext(key: SigningKeyRecord): Promise<void> {
    const isLast = (ring: Ring) => {
      const [active, ...next] = livingFrom(keysOf(ring, key.alg), clock());
      return active?.kid === key.kid && next.every(({ kid }) => rules.isRevoked(kid));
    };
    if (!algs.includes(key.alg) || !isLast(signingKeys.ring())) return;
    const made = await signingKeys.makeKey(key.alg);
    const { changed } = await signingKeys.edit(ring =>
      isLast(ring) ? addKey(ring, made, clock() + instanceLead) : ring,
    );
    if (!changed) return;
    await revocationLog.announceRing();
    // An instance that lives has heard of it in a moment. One that does not, or a store that cannot tell, is no reason to
    // let the bad key live on: the revocation itself says whether it is in force everywhere.
    await Promise.race([
      revocationLog.settle().catch(() => undefined),
      delay(patience, undefined, { ref: false }),
    ]);
  }
}

/** Milliseconds. */
const patience = 1000;

function hasKey({ keys }: Ring, { kid }: SigningKeyRecord): boolean {
  return keys.some(key => key.kid === kid);
}

function findKey(ring: Ring, kid: string): SigningKeyRecord {
  const key = ring.keys.find(other => other.kid === kid);
  if (key === undefined) throw changedMeanwhile();
  return key;
}

function findRevoked({ former }: Ring, kid: string): FormerKey {
  const key = former.find(other => other.kid === kid);
  if (key?.end === 'revoked') return key;
  throw new Problem(
    'not_found',
    key === undefined
      ? 'There is no signing key of this id; GET /admin/signing-keys lists them.'
      : 'The signing key has left the ring: its last token has expired.',
  );
}

function requireAlg(algs: readonly SigningAlgorithm[], alg: SigningAlgorithm, pointer: string): void {
  if (algs.includes(alg)) return;
  const detail = `The service does not sign with ${alg}, but with ${algs.join(', ')}: KEYTURN_SIGNING_ALG and the audiences of controllers.json say so.`;
  throw invalidValues([{ pointer, detail }]);
}

function alreadyWaiting({ kid, activeAt }: SigningKeyRecord): Problem {
  return new Problem(
    'conflict',
    `The key ${kid} is published already, and signs from ${new Date(activeAt).toISOString()} on. To have it sign at once, send {"now": true}.`,
  );
}

function alreadyKnown(kid: string): Problem {
  return new Problem(
    'conflict',
    `The key ${kid} is in the ring or was, by its id or by its material: bring another.`,
  );
}

function changedMeanwhile(): Problem {
  return new Problem(
    'conflict',
    'Somebody else changed the signing keys at the same moment: look at them again.',
  );
}
