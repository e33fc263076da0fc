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

export interface Idempotency {
  /**
   * Does the deed, or answers what was answered when it was done.
   *
   * @param caller whose keys these are: others' do not meet them
   * @param request what must be the same: method, address and body
   * @throws {Problem} `idempotency_key_reused` for another request; `conflict` while, or where, the outcome is unknown
   */
  once(caller: string, key: string, request: string, deed: () => Promise<Answer>): Promise<Answer>;
}

interface Deed {
  /** SHA-256 of the request. */
  readonly request: string;
  /** The sealed answer; absent while it is being done. */
  readonly answer?: string;
}

/** Milliseconds. */
const retention = 86_400_000;

export function createIdempotency(records: Records, vault: Vault, clock: Clock): Idempotency {
  return {
    async once(caller, key, request, deed) {
      const name = `idempotency/${digest(`${caller}\n${key}`)}`;
      const fingerprint = digest(request);
      const expiresAt = clock() + retention;
      if (!(await records.create(name, { request: fingerprint } satisfies Deed, { expiresAt }))) {
        return recall(await records.get<Deed>(name), fingerprint, name, vault);
      }
      return perform(name, fingerprint, expiresAt, deed, records, vault);
    },
  };
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

async function recall(
  stored: { value: Deed } | undefined,
  fingerprint: string,
  name: string,
  vault: Vault,
): Promise<Answer> {
  const deed = stored?.value;
  if (deed !== undefined && deed.request !== fingerprint) throw new Problem('idempotency_key_reused');
  if (deed?.answer === undefined) {
    throw new Problem(
      'conflict',
      'A request with this Idempotency-Key is under way, or broke off: look what became of it.',
    );
  }
  return JSON.parse(vault.unseal(deed.answer, name)) as Answer;
}

/** A deed that was refused may be tried again under the same key; one whose outcome is unknown may not. */
async function perform(
  name: string,
  fingerprint: string,
  expiresAt: number,
  deed: () => Promise<Answer>,
  records: Records,
  vault: Vault,
): Promise<Answer> {
  const forget = async () => {
    const stored = await records.get<Deed>(name);
    if (stored !== undefined) await records.remove(name, stored);
  };
  let answer: Answer;
  try {
    answer = await deed();
  } catch (error) {
    if (error instanceof Problem && error.status < 500) await forget();
    throw error;
  }
  const stored = await records.get<Deed>(name);
  const done: Deed = { request: fingerprint, answer: vault.seal(JSON.stringify(answer), name) };
  if (stored !== undefined) await records.replace(name, stored, done, { expiresAt });
  return answer;
}
