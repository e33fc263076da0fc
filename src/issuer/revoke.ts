/** RFC 7009: whoever holds a token or a key string may kill it. */
import { canonicalizeToken } from '../access/token-text.ts';
import type { TokenVerifier } from '../access/verify-token.ts';
import type { Clock } from '../store/store.ts';
import type { Actor, Audit } from './audit.ts';
import type { ApiKeys } from './api-keys.ts';
import type { KeyAuthenticator } from './authenticate-key.ts';
import { stepStatus } from './key-changes.ts';
import type { RevocationLog } from './revocation-log.ts';

export interface Revoker {
  /**
   * Revokes what the text is. What it is not, it is not told: an unknown, foreign or expired token is no error.
   *
   * @param caller where it came from; who it is, is told by what it holds
   * @returns what was revoked, for the log
   * @throws {StoreUnavailable} where it is unknown whether it took effect: ask again
   */
  revoke(text: string, caller: Actor): Promise<{ clientId: string; what: 'key' | 'token' } | undefined>;
}

export interface RevokerOptions {
  readonly authenticator: KeyAuthenticator;
  readonly apiKeys: ApiKeys;
  /** One that takes no token for none because of its times: this instance's clock may be wrong, and others' right. */
  readonly verifier: TokenVerifier;
  readonly revocationLog: RevocationLog;
  readonly audit: Audit;
  readonly clock: Clock;
}

/** Milliseconds after its end for which a token is revoked all the same: to an instance whose clock is behind, it lives. */
const clockTolerance = 3_600_000;

export function createRevoker({
  authenticator,
  apiKeys,
  verifier,
  revocationLog,
  audit,
  clock,
}: RevokerOptions): Revoker {
  return {
    async revoke(text, caller) {
      const era = revocationLog.era();
      const announce = (clientId: string, action: string, target: string) =>
        audit.record({ actor: { ...caller, clientId }, action, target, outcome: 'done' });
      const authenticated = await authenticator.authenticate(text);
      if (authenticated !== undefined) {
        const { id } = authenticated.key;
        // Where it is removed in that moment, its end was written before.
        await apiKeys.changeIfThere(id, key => stepStatus(key, 'revoke', clock()), {
          announce: () => announce(id, 'key.revoke', `key/${id}`),
        });
        await revocationLog.settle(era);
        return { clientId: id, what: 'key' };
      }
      // A reader more lenient than our guard may accept another spelling: the token behind it dies all the same.
      const token = await verifier.verify(canonicalizeToken(text));
      if (token === undefined || token.claims.exp * 1000 + clockTolerance <= clock()) return undefined;
      const { jti, exp, client_id } = token.claims;
      // It is only known here once it is written: writing it again would make the log grow for nothing.
      if (!revocationLog.revocations.isRevoked(token)) {
        await announce(client_id, 'token.revoke', `token/${jti}`);
        await revocationLog.revokeToken(jti, exp);
      }
      // Also for one that was revoked before: whoever asks again was not told that it is in force everywhere.
      await revocationLog.settle(era);
      return { clientId: client_id, what: 'token' };
    },
  };
}
