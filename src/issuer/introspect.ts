/** RFC 7662: what a token, or a key string, is worth now. It says of it what the guard would, at the same moment. */
import type { Allowance, Decision } from '../access/decide.ts';
import type { Guard } from '../access/guard.ts';
import { Problem } from '../protocol/errors.ts';
import type { KeyGuard } from './key-guard.ts';

/** What is not alive is `{ active: false }`, and nothing more is said of it (RFC 7662 section 2.2). */
export type Introspection =
  { readonly active: false } | ({ readonly active: true } & Record<string, unknown>);

export interface Introspector {
  /**
   * @throws {Problem} `revocation_state_stale` where this instance cannot tell
   * @throws {StoreUnavailable} where the store cannot be asked about a key
   */
  introspect(text: string): Promise<Introspection>;
}

export interface IntrospectorOptions {
  readonly guard: Guard;
  readonly keyGuard: KeyGuard;
}

export function createIntrospector({ guard, keyGuard }: IntrospectorOptions): Introspector {
  return {
    async introspect(text) {
      const token = aliveIn(await guard.inspect(text));
      if (token !== undefined) return { ...token.claims, active: true, token_type: 'Bearer' };
      const key = aliveIn(await keyGuard.inspect(text));
      if (key !== undefined) return { ...key.claims, active: true, token_type: apiKeyType };
      return { active: false };
    },
  };
}

/** The key string's own type, as token exchange names it too. */
export const apiKeyType = 'urn:keyturn:params:oauth:token-type:api-key';

/** Every reason to refuse makes it inactive but one, which is none. */
function aliveIn<T extends Allowance>(decision: Decision<T>): T | undefined {
  if (decision.allowed) return decision.token;
  if (decision.code === 'revocation_state_stale') throw new Problem('revocation_state_stale');
  return undefined;
}
