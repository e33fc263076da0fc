/**
 * `Idempotency-Key`: a request that is repeated after a lost answer gets the same answer, not a second deed. The answer is
 * kept for a day, sealed: it may hold a secret, and nothing in the store may.
 */
import { createHash } from 'node:crypto';
import { Problem } from '../protocol/errors.ts';
import type { Clock } from '../store/store.ts';
import type { Records } from './records.ts';
import type { Vault } from './vault.ts';

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What the store holds once a deed is done, and not before: a text in a record. */
export interface Evidence {
  readonly record: string;
  readonly holds: string;
}

/** Leaves the answer to be, before the deed is done: a process that dies in between takes no secret with it. */
export type Prepare = (answer: Answer, evidence: Evidence) => Promise<void>;

export interface Idempotency {
  /**
   * Does the deed, or answers what was answered when it was done.
   *
   * @param caller whose keys these are: others' do not meet them
   * @param request what must be the same: method, address and body
   * @throws {Problem} `idempotency_key_reused` for another request; `idempotency_outcome_unknown` while one is under way,
   *   and for a while after it broke off
   */
  once(
    caller: string,
    key: string,
    request: string,
    deed: (prepare: Prepare) => Promise<Answer>,
  ): Promise<Answer>;
}

interface Deed {
  /** SHA-256 of the request. */
  readonly request: string;
  /** When it was begun; milliseconds since the epoch. */
  readonly at: number;
  /** The sealed answer. */
  readonly answer?: string;
  /** Present until the deed is known to be done. */
  readonly evidence?: Evidence;
}

/** Milliseconds that an answer is kept. */
const retention = 86_400_000;
/** Milliseconds after which a deed that left no trace counts as broken off, and may be begun again. */
const patience = 30_000;

export function createIdempotency(records: Records, vault: Vault, clock: Clock): Idempotency {
  return {
    async once(caller, key, request, deed) {
      const name = `idempotency/${digest(`${caller}\n${key}`)}`;
      const begun: Deed = { request: digest(request), at: clock() };
      const expiresAt = clock() + retention;
      const perform = () => performDeed(name, begun, expiresAt, deed, records, vault);
      if (await records.create(name, begun, { expiresAt })) return perform();
      const stored = await records.get<Deed>(name);
      if (stored !== undefined && stored.value.request !== begun.request)
        throw new Problem('idempotency_key_reused');
      const answer = stored === undefined ? undefined : await recall(stored.value, name, records, vault);
      if (answer !== undefined) return answer;
      if (stored === undefined || clock() - stored.value.at < patience)
        throw new Problem('idempotency_outcome_unknown');
      if ((await records.replace(name, stored, begun, { expiresAt })) !== undefined) return perform();
      throw new Problem('idempotency_outcome_unknown');
    },
  };
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

/** The answer of a deed that is done. */
async function recall(
  { answer, evidence }: Deed,
  name: string,
  records: Records,
  vault: Vault,
): Promise<Answer | undefined> {
  if (answer === undefined) return undefined;
  if (evidence !== undefined) {
    const proof = await records.get(evidence.record);
    if (proof?.text.includes(evidence.holds) !== true) return undefined;
  }
  return JSON.parse(vault.unseal(answer, name)) as Answer;
}

/** A deed that was refused may be tried again at once; one whose outcome is unknown leaves what it had prepared. */
async function performDeed(
  name: string,
  begun: Deed,
  expiresAt: number,
  deed: (prepare: Prepare) => Promise<Answer>,
  records: Records,
  vault: Vault,
): Promise<Answer> {
  const write = async (answer: Answer, evidence?: Evidence): Promise<void> => {
    const stored = await records.get<Deed>(name);
    const sealed: Deed = {
      ...begun,
      answer: vault.seal(JSON.stringify(answer), name),
      ...(evidence && { evidence }),
    };
    if (stored !== undefined) await records.replace(name, stored, sealed, { expiresAt });
  };
  try {
    const answer = await deed(write);
    await write(answer);
    return answer;
  } catch (error) {
    if (error instanceof Problem && error.status < 500) {
      const stored = await records.get<Deed>(name);
      if (stored !== undefined) await records.remove(name, stored);
    }
    throw error;
  }
}
