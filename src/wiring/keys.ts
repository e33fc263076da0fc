/** The keys and accounts of a deployment, and what authenticates and changes them. */
import { type Accounts, createAccounts } from '../issuer/accounts.ts';
import { type ApiKeys, createApiKeys } from '../issuer/api-keys.ts';
import { type Audit, createAudit } from '../issuer/audit.ts';
import {
  type AssertionAuthenticator,
  createAssertionAuthenticator,
} from '../issuer/authenticate-assertion.ts';
import { createKeyAuthenticator, type KeyAuthenticator } from '../issuer/authenticate-key.ts';
import type { Foundation } from '../issuer/foundation.ts';
import type { RevocationLog } from '../issuer/revocation-log.ts';
import { createSettleUse, type SettleUse } from '../issuer/settle-use.ts';
import { StoreUnavailable } from '../store/store.ts';
import type { Instance } from './instance.ts';
import type { Memory } from './memory.ts';

export interface Keys {
  readonly apiKeys: ApiKeys;
  readonly accounts: Accounts;
  readonly audit: Audit;
  readonly authenticator: KeyAuthenticator;
  readonly assertions: AssertionAuthenticator;
  readonly settleUse: SettleUse;
}

export function createKeys(
  { issuer, foundation, logger, confirm }: Instance,
  { revocationLog, usage }: Memory,
): Keys {
  const { store, vault, records, clock } = foundation;
  const { revocations } = revocationLog;
  const { apiKeys, accounts } = createKeysAndAccounts(foundation, revocationLog);
  const audit = createAudit(records, clock, confirm);
  const proof = {
    // A master that was replaced may go on answering, and know nothing of what has ended since.
    async confirm() {
      await confirm();
      if (revocations.isStale())
        throw new StoreUnavailable('the store has not been heard of for too long to know what has ended');
    },
    isConfirmed: () => revocations.age() < lately,
  };
  const authenticator = createKeyAuthenticator({ apiKeys, vault, clock, ...proof });
  const assertions = createAssertionAuthenticator({
    issuer,
    apiKeys,
    store,
    revocations,
    usage,
    clock,
    ...proof,
  });
  const settleUse = createSettleUse({
    apiKeys,
    authenticator,
    vault,
    revocations,
    usage,
    audit,
    clock,
    onRenewalFailed: error => logger.warn({ err: error }, 'the hash of a key could not be renewed'),
  });
  return { apiKeys, accounts, audit, authenticator, assertions, settleUse };
}

/** Milliseconds. Each look at the revocation log confirms the deployment; a few may be missed. */
const lately = 500;

export function createKeysAndAccounts(
  foundation: Foundation,
  revocationLog: RevocationLog,
): Pick<Keys, 'apiKeys' | 'accounts'> {
  const apiKeys = createApiKeys({ ...foundation, revocationLog });
  return { apiKeys, accounts: createAccounts({ ...foundation, apiKeys }) };
}
