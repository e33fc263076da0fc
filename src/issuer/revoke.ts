/** RFC 7009: whoever holds a token or a key string may kill it. */
import { canonicalizeToken } from '../access/token-text.ts';
import type { TokenVerifier } from '../access/verify-token.ts';
import type { Clock } from '../store/store.ts';
import type { ApiKeys } from './api-keys.ts';
import type { KeyAuthenticator } from './authenticate-key.ts';
import type { RevocationLog } from './revocation-log.ts';

export interface Revoker {
  /**
   * Revokes what the text is. What it is not, it is not told: an unknown, foreign or expired token is no error.
   *
   * @returns what was revoked, for the log
   * @throws {StoreUnavailable} where it is unknown whether it took effect: ask again
   */
  revoke(text: string): Promise<{ clientId: string; what: 'key' | 'token' } | undefined>;
}

export interface RevokerOptions {
  readonly authenticator: KeyAuthenticator;
  readonly apiKeys: ApiKeys;
  readonly verifier: TokenVerifier;
  readonly revocationLog: RevocationLog;
  readonly clock: Clock;
}

export function createRevoker({
  authenticator,
  apiKeys,
  verifier,
  revocationLog,
  clock,
}: RevokerOptions): Revoker {
  return {
    async revoke(text) {
      const authentication = await authenticator.authenticate(text);
      if (authentication.outcome === 'genuine') {
        const { id } = authentication.presented;
        await apiKeys.revoke(id);
        return { clientId: id, what: 'key' };
      }
      // A reader more lenient than our guard may accept another spelling: the token behind it dies all the same.
      const token = await verifier.verify(canonicalizeToken(text));
      if (token === undefined || token.claims.exp * 1000 <= clock()) return undefined;
      await revocationLog.revokeToken(token.claims.jti, token.claims.exp);
      return { clientId: token.claims.client_id, what: 'token' };
    },
  };
}
