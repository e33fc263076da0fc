/**
 * Keys that callers send as themselves, looked up at the service. An answer holds for a moment: as long as the revocation
 * state is fresh it tells of everything that would make a key worth less.
 */
import type { DoorKeys, KeyAnswer } from '../../access/doors.ts';
import { Recent } from '../../access/recent.ts';
import type { Revocations } from '../../access/revocations.ts';
import type { Introspection } from './introspection.ts';
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

export function createRemoteDoorKeys(options: RemoteDoorKeysOptions): DoorKeys {
  const { introspection, monotonic } = options;
  const known = new Recent<Answered>(10_000);
  const find = async (text: string, door: 'sc_apikey' | 'x-sf-access-key'): Promise<KeyAnswer> => {
    const name = `${door} ${text}`;
    const last = known.get(name);
    if (last !== undefined && isStillTrue(last, options)) return last.answer;
    const at = monotonic();
    try {
      const answer = await introspection.findKey(text, door);
      known.set(name, { at, answer });
      return answer;
    } catch (error) {
      if (!(error instanceof IssuerUnreachable)) throw error;
      const isEnough = options.isLastAnswerEnough && last !== undefined && !isOver(last.answer, options);
      return isEnough ? last.answer : { code: 'issuer_unreachable' };
    }
  };
  return {
    findByIdentifier: text => find(text, 'sc_apikey'),
    findByAccessKey: text => find(text, 'x-sf-access-key'),
  };
}

function isStillTrue({ at, answer }: Answered, options: RemoteDoorKeysOptions): boolean {
  const age = options.monotonic() - at;
  if ('code' in answer) return age < noHolds;
  return age < yesHolds && !options.revocations.isStale() && !isOver(answer, options);
}

function isOver(answer: KeyAnswer, { revocations, now }: RemoteDoorKeysOptions): boolean {
  if ('code' in answer) return false;
  const { clientId, keyVersion, expiresAt = Infinity } = answer.caller;
  return expiresAt <= now() || revocations.isKeyRevoked(clientId, keyVersion);
}
