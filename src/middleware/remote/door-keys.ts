/**
 * Keys that callers send as themselves, looked up at the service. An answer holds for a moment: as long as the revocation
 * state is fresh it tells of everything that would make a key worth less.
 */
import type { DoorKeys, KeyAnswer } from '../../access/doors.ts';
import { Recent } from '../../access/recent.ts';
import type { Revocations } from '../../access/revocations.ts';
import { parseGuid } from '../../protocol/guid.ts';
import type { Introspection, KeyDoor } from './introspection.ts';
import { IssuerUnreachable } from './service-calls.ts';

export interface RemoteDoorKeysOptions {
  readonly introspection: Pick<Introspection, 'findKey'>;
  readonly revocations: Pick<Revocations, 'isKeyRevoked' | 'isStale'>;
  /** Whether what was known must do where the service cannot be asked. */
  readonly isLastAnswerEnough: boolean;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Milliseconds of a clock that no one sets. */
  readonly monotonic: () => number;
}

interface Answered {
  readonly at: number;
  readonly answer: KeyAnswer;
}

/** Milliseconds: what a key gains, by being published or widened, is seen as late as this. */
const yesHolds = 10_000;
const noHolds = 1000;
/** Characters; an access key has 74. What anybody may send must not fill the memory. */
const longestAccessKey = 128;

export function createRemoteDoorKeys(options: RemoteDoorKeysOptions): DoorKeys {
  // Apart: who makes keys up must not have those forgotten that are good.
  const [good, others] = [new Recent<Answered>(10_000), new Recent<Answered>(10_000)];
  const find = async (text: string, door: KeyDoor): Promise<KeyAnswer> => {
    const name = `${door} ${text}`;
    const last = good.get(name) ?? others.get(name);
    if (last !== undefined && isStillTrue(last, options)) return last.answer;
    try {
      const answered = await askUntilTrue(text, door, options);
      // What was good once has its end noted in the same place, or that would be found there as it was before.
      const isOfGood = 'caller' in answered.answer || good.get(name) !== undefined;
      (isOfGood ? good : others).set(name, answered);
      return answered.answer;
    } catch (error) {
      if (!(error instanceof IssuerUnreachable)) throw error;
      const isEnough = options.isLastAnswerEnough && last !== undefined && !isOver(last.answer, options);
      return isEnough ? last.answer : { code: 'issuer_unreachable' };
    }
  };
  return {
    async findByIdentifier(text) {
      const id = parseGuid(text);
      return id === undefined ? { code: 'api_key_unknown' } : find(id, 'sc_apikey');
    },
    async findByAccessKey(text) {
      return text.length > longestAccessKey ? { code: 'access_key_invalid' } : find(text, 'x-sf-access-key');
    },
  };
}

/**
 * While the answer was on its way, or somebody else was waiting for it, the key may have been revoked, or given a new
 * version with less in it.
 *
 * @throws {IssuerUnreachable} where the service says again what has been revoked by its own word
 */
async function askUntilTrue(text: string, door: KeyDoor, options: RemoteDoorKeysOptions): Promise<Answered> {
  for (let turn = 0; turn < 2; turn += 1) {
    const at = options.monotonic();
    const answer = await options.introspection.findKey(text, door);
    if (!isRevoked(answer, options)) return { at, answer };
  }
  throw new IssuerUnreachable('the service says one thing and another of a key');
}

function isStillTrue({ at, answer }: Answered, options: RemoteDoorKeysOptions): boolean {
  const age = options.monotonic() - at;
  if ('code' in answer) return age < noHolds;
  return age < yesHolds && !options.revocations.isStale() && !isOver(answer, options);
}

function isOver(answer: KeyAnswer, options: RemoteDoorKeysOptions): boolean {
  if ('code' in answer) return false;
  return (answer.caller.expiresAt ?? Infinity) <= options.now() || isRevoked(answer, options);
}

function isRevoked(answer: KeyAnswer, { revocations }: RemoteDoorKeysOptions): boolean {
  return 'caller' in answer && revocations.isKeyRevoked(answer.caller.clientId, answer.caller.keyVersion);
}
