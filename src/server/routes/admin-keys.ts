/** `/admin/keys`: the whole life of API keys, and `/keys/self/rotations`. */
import type { Catalogue } from '../../config/catalogue.ts';
import { isAccountName } from '../../issuer/account.ts';
import type { Accounts } from '../../issuer/accounts.ts';
import type { ApiKey } from '../../issuer/api-key.ts';
import { type ApiKeys, evidenceOf } from '../../issuer/api-keys.ts';
import { type Audit, underAudit } from '../../issuer/audit.ts';
import { checkNewKey, newKeySchema } from '../../issuer/check-key.ts';
import type { Answer } from '../../issuer/idempotency.ts';
import {
  type KeyPatch,
  keyPatchSchema,
  patchKey,
  type StatusStep,
  stepStatus,
} from '../../issuer/key-changes.ts';
import type { KeyUsage } from '../../issuer/key-usage.ts';
import { presentKey } from '../../issuer/key-view.ts';
import { etagOf, type Stored } from '../../issuer/records.ts';
import { cancelRotation, rotationSchema, startRotation } from '../../issuer/rotation.ts';
import { invalidValues, Problem } from '../../protocol/errors.ts';
import { parseGuid } from '../../protocol/guid.ts';
import { containsScope } from '../../protocol/scope.ts';
import type { Clock } from '../../store/store.ts';
import { type AdminAction, type AdminCall, jsonAnswer, noContent } from '../admin-call.ts';
import { compileQuerySchema, compileSchema, compileTaggedUnion } from '../validate.ts';
import { keyQuerySchema, pageSize } from './admin-queries.ts';

export interface AdminKeysOptions {
  readonly apiKeys: ApiKeys;
  readonly accounts: Accounts;
  readonly usage: KeyUsage;
  readonly audit: Audit;
  readonly catalogue: Catalogue;
  readonly forbiddenUsers: readonly string[];
  readonly clock: Clock;
}

const checkBody = compileSchema(newKeySchema);
const checkPatch = compileSchema(keyPatchSchema);
const checkRotation = compileTaggedUnion(rotationSchema, 'mode');
const checkQuery = compileQuerySchema(keyQuerySchema);

export function createAdminKeys(options: AdminKeysOptions) {
  const { apiKeys, audit, clock } = options;
  const rules = () => ({
    catalogue: options.catalogue,
    forbiddenUsers: options.forbiddenUsers,
    now: clock(),
  });
  return {
    create: (async ({ body, actor, prepare }) => {
      const fields = checkNewKey(checkBody(body), rules());
      const owner = fields.owner ?? actor.account ?? '';
      await requireAccount(owner, options.accounts);
      const what = { actor, action: 'key.create', target: '' };
      const announce = async (key: ApiKey, apiKey?: string) => {
        const target = `key/${key.id}`;
        await audit.record({ ...what, target, outcome: 'done', after: presentKey(key, clock()) });
        await prepare(newKeyAnswer({ key, apiKey }, clock()), evidenceOf(key));
      };
      const created =
        fields.publicJwk === undefined
          ? await apiKeys.create({ ...fields, owner }, ({ key, apiKey }) => announce(key, apiKey))
          : { key: await apiKeys.createWithoutSecret({ ...fields, owner }, announce) };
      return newKeyAnswer(created, clock());
    }) satisfies AdminAction,

    list: (async ({ querystring }) => {
      const query = checkQuery(querystring);
      if (query.owner !== undefined && !isAccountName(query.owner))
        return jsonAnswer(200, { items: [], next: null });
      const { items, next } = await apiKeys.list({ ...query, limit: pageSize(query) });
      const uses = await options.usage.read(items.map(key => key.id));
      return jsonAnswer(200, {
        items: items.map((key, place) => presentKey(key, clock(), uses[place])),
        next: next ?? null,
      });
    }) satisfies AdminAction,

    show: (async ({ parameters }) =>
      showKey(await apiKeys.get(readId(parameters)), options)) satisfies AdminAction,

    patch: (async ({ parameters, body, actor, ifMatch }) => {
      const patch: KeyPatch = checkPatch(body);
      if (typeof patch.owner === 'string') await requireAccount(patch.owner, options.accounts);
      const change = (key: ApiKey) => patchKey(key, patch, rules());
      return showKey(await changeKey({ parameters, actor, ifMatch }, 'key.update', change, options), options);
    }) satisfies AdminAction,

    step:
      (step: StatusStep): AdminAction =>
      async call =>
        showKey(
          await changeKey(call, `key.${step}`, key => stepStatus(key, step, clock()), options),
          options,
        ),

    remove: (async ({ parameters, actor, ifMatch }) => {
      const { value } = await apiKeys.get(readId(parameters));
      await underAudit(audit, { actor, action: 'key.delete', target: `key/${value.id}` }, announce =>
        apiKeys.remove(value.id, {
          ifMatch,
          announce: before => announce(presentKey(before, clock()), undefined),
        }),
      );
      await options.usage.forget(value.id);
      return noContent;
    }) satisfies AdminAction,

    rotate: (async call => {
      await requireRotator(call, options);
      return rotate(readId(call.parameters), call, options);
    }) satisfies AdminAction,

    cancelRotation: (async call => {
      await requireRotator(call, options);
      return showKey(
        await changeKey(call, 'key.rotation.cancel', key => cancelRotation(key, clock()), options),
        options,
      );
    }) satisfies AdminAction,

    /** The caller's own key, whoever it is. */
    rotateSelf: (async call => rotate(call.actor.clientId ?? '', call, options)) satisfies AdminAction,
  };
}

/** A key that signs for itself has no key string. */
function newKeyAnswer({ key, apiKey }: { key: ApiKey; apiKey?: string | undefined }, now: number): Answer {
  return jsonAnswer(201, { key: presentKey(key, now), apiKey }, { Location: `/admin/keys/${key.id}` });
}

async function showKey(stored: Stored<ApiKey>, { usage, clock }: AdminKeysOptions): Promise<Answer> {
  const [uses] = await usage.read([stored.value.id]);
  return jsonAnswer(200, presentKey(stored.value, clock(), uses), { ETag: etagOf(stored) });
}

/** Any form of GUID; what is none names no key. */
function readId(parameters: Readonly<Record<string, string>>): string {
  const id = parseGuid(parameters['id'] ?? '');
  if (id === undefined) throw new Problem('not_found', 'There is no API key of this id.');
  return id;
}

async function requireAccount(owner: string, accounts: Accounts): Promise<void> {
  if ((await accounts.find(owner)) !== undefined) return;
  throw invalidValues([{ pointer: '/owner', detail: 'There is no such account.' }]);
}

async function changeKey(
  { parameters, actor, ifMatch }: Pick<AdminCall, 'parameters' | 'actor' | 'ifMatch'>,
  action: string,
  change: (key: ApiKey) => ApiKey,
  { apiKeys, audit, clock }: AdminKeysOptions,
): Promise<Stored<ApiKey>> {
  const { value } = await apiKeys.get(readId(parameters));
  return underAudit(audit, { actor, action, target: `key/${value.id}` }, announce =>
    apiKeys.change(value.id, change, {
      ifMatch,
      announce: (before, after) => announce(presentKey(before, clock()), presentKey(after, clock())),
    }),
  );
}

/** Who may change keys may rotate them; others only those that their account owns. */
async function requireRotator(
  { parameters, scopes, actor }: AdminCall,
  { apiKeys }: AdminKeysOptions,
): Promise<void> {
  const { value } = await apiKeys.get(readId(parameters));
  if (
    containsScope(scopes, 'keyturn:keys:update') ||
    (actor.account !== undefined && value.owner === actor.account)
  )
    return;
  throw new Problem(
    'role_not_allowed',
    'The role of the account lets it rotate the keys that it owns: this one is not among them.',
  );
}

async function rotate(
  id: string,
  { body, actor, prepare }: Pick<AdminCall, 'body' | 'actor' | 'prepare'>,
  { apiKeys, usage, audit, clock }: AdminKeysOptions,
): Promise<Answer> {
  const request = checkRotation(body);
  const [uses] = await usage.read([id]);
  let made: ReturnType<ApiKeys['makeSecret']> | undefined;
  const change = (key: ApiKey): ApiKey => {
    made ??= apiKeys.makeSecret(key);
    return startRotation(key, request, made.secret, clock());
  };
  const answerFor = (key: ApiKey) =>
    jsonAnswer(201, { key: presentKey(key, clock(), uses), apiKey: made?.apiKey });
  const { value } = await underAudit(
    audit,
    { actor, action: `key.rotation.${request.mode}`, target: `key/${id}` },
    announce =>
      apiKeys.change(id, change, {
        async announce(before, after) {
          await announce(presentKey(before, clock()), presentKey(after, clock()));
          await prepare(answerFor(after), evidenceOf(after));
        },
      }),
  );
  return answerFor(value);
}
