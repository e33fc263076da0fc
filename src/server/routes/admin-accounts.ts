/** `/admin/accounts`: who may do what here, and their access keys. */
import { type Account, accountPatchSchema, newAccountSchema, presentAccount } from '../../issuer/account.ts';
import type { Accounts } from '../../issuer/accounts.ts';
import { type Audit, underAudit } from '../../issuer/audit.ts';
import { etagOf, requireMatch, type Stored } from '../../issuer/records.ts';
import { type AdminAction, type AdminCall, jsonAnswer, noContent } from '../admin-call.ts';
import { compileQuerySchema, compileSchema } from '../validate.ts';
import { accountQuerySchema, pageSize } from './admin-queries.ts';

export interface AdminAccountsOptions {
  readonly accounts: Accounts;
  readonly audit: Audit;
}

const checkNewAccount = compileSchema(newAccountSchema);
const checkPatch = compileSchema(accountPatchSchema);
const checkQuery = compileQuerySchema(accountQuerySchema);

export function createAdminAccounts({ accounts, audit }: AdminAccountsOptions) {
  const audited = <T>(
    { actor }: AdminCall,
    action: string,
    id: string,
    deed: (announce: (before?: Account, after?: Account) => Promise<void>) => Promise<T>,
  ) =>
    underAudit(audit, { actor, action, target: `account/${id}` }, announce =>
      deed((before, after) => announce(before && presentAccount(before), after && presentAccount(after))),
    );
  return {
    create: (async call => {
      const { id, ...fields } = checkNewAccount(call.body);
      const account = await audited(call, 'account.create', id, announce =>
        accounts.create(id, fields, announce),
      );
      return jsonAnswer(201, presentAccount(account), {
        Location: `/admin/accounts/${encodeURIComponent(id)}`,
      });
    }) satisfies AdminAction,

    list: (async ({ querystring }) => {
      const query = checkQuery(querystring);
      const { items, next } = await accounts.list({ ...query, limit: pageSize(query) });
      return jsonAnswer(200, { items: items.map(presentAccount), next: next ?? null });
    }) satisfies AdminAction,

    show: (async call => show(await accounts.get(readId(call)))) satisfies AdminAction,

    patch: (async call => {
      const id = readId(call);
      const patch = checkPatch(call.body);
      return show(
        await audited(call, 'account.update', id, announce =>
          accounts.change(id, patch, announce, stored => requireMatch(stored, call.ifMatch)),
        ),
      );
    }) satisfies AdminAction,

    remove: (async call => {
      const id = readId(call);
      requireMatch(await accounts.get(id), call.ifMatch);
      await audited(call, 'account.delete', id, announce => accounts.remove(id, announce));
      return noContent;
    }) satisfies AdminAction,

    createAccessKey: (async call => {
      const id = readId(call);
      const { account, accessKey } = await audited(call, 'access-key.create', id, announce =>
        accounts.createAccessKey(id, announce),
      );
      return jsonAnswer(201, { account: presentAccount(account), accessKey });
    }) satisfies AdminAction,

    removeAccessKey: (async call => {
      const id = readId(call);
      await audited(call, 'access-key.revoke', id, announce => accounts.removeAccessKey(id, announce));
      return noContent;
    }) satisfies AdminAction,
  };
}

function readId({ parameters }: AdminCall): string {
  return parameters['id'] ?? '';
}

function show(stored: Stored<Account>) {
  return jsonAnswer(200, presentAccount(stored.value), { ETag: etagOf(stored) });
}
