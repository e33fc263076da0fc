/** RFC 7662: what a token, or a key string, is worth now. It says of it what the guard would, at the same moment. */
import { writeCaller } from '../access/caller-claims.ts';
import type { Allowance, Decision } from '../access/decide.ts';
import type { DoorKeys, KeyAnswer } from '../access/doors.ts';
import type { RevocationView } from '../access/revocations.ts';
import type { Guard } from '../access/guard.ts';
import { type DenialCode, Problem } from '../protocol/errors.ts';
import { accessKeyType, apiKeyType, scApiKeyType } from '../protocol/token-type.ts';
import type { KeyGuard } from './key-guard.ts';

/**
 * What is not alive is `{ active: false }`, and nothing more is said of it (RFC 7662 section 2.2), but for keys that are
 * asked about by the name of their door: its manners are to say which fault it is.
 */
export type Introspection =
  | { readonly active: false; readonly code?: DenialCode; readonly detail?: string }
  | ({ readonly active: true } & Record<string, unknown>);

export interface Introspector {
  /**
   * @param hint the type of the text: that of a door's key is believed, any other makes no difference
   * @param address of whoever asks
   * @throws {Problem} `revocation_state_stale` where this instance cannot tell
   * @throws {StoreUnavailable} where the store cannot be asked about a key
   */
  introspect(text: string, hint: string | undefined, address: string): Promise<Introspection>;
}

export interface IntrospectorOptions {
  readonly guard: Guard;
  readonly keyGuard: KeyGuard;
  readonly doorKeys: DoorKeys;
  readonly revocations: Pick<RevocationView, 'isStale'>;
}

export function createIntrospector({
  guard,
  keyGuard,
  doorKeys,
  revocations,
}: IntrospectorOptions): Introspector {
  const describeKey = (answer: KeyAnswer, type: string): Introspection => {
    if (revocations.isStale()) throw new Problem('revocation_state_stale');
    if ('code' in answer) return { active: false, ...answer };
    return { ...writeCaller(answer.caller), active: true, token_type: type };
  };
  return {
    async introspect(text, hint, address) {
      if (hint === scApiKeyType) return describeKey(await doorKeys.findByIdentifier(text), hint);
      if (hint === accessKeyType) return describeKey(await doorKeys.findByAccessKey(text, address), hint);
      const token = aliveIn(await guard.inspect(text));
      if (token !== undefined) return { ...token.claims, active: true, token_type: 'Bearer' };
      const key = aliveIn(await keyGuard.inspect(text));
      if (key !== undefined) return { ...key.claims, active: true, token_type: apiKeyType };
      return { active: false };
    },
  };
}

/** Every reason to refuse makes it inactive but one, which is none. */
function aliveIn<T extends Allowance>(decision: Decision<T>): T | undefined {
  if (decision.allowed) return decision.token;
  if (decision.code === 'revocation_state_stale') throw new Problem('revocation_state_stale');
  return undefined;
}
