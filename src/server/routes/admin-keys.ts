/** `/admin/keys`: making, listing, showing and revoking API keys. */
import { type Static, Type } from 'typebox';
import type { Catalogue } from '../../config/catalogue.ts';
import type { Accounts } from '../../issuer/accounts.ts';
import { type ApiKeys, type KeyQuery, presentKey } from '../../issuer/api-keys.ts';
import { checkNewKey, newKeySchema } from '../../issuer/check-key.ts';
import { grantedAccess } from '../../middleware/koa.ts';
import { Problem } from '../../protocol/errors.ts';
import { parseGuid } from '../../protocol/guid.ts';
import type { Clock } from '../../store/store.ts';
import type { AppContext } from '../context.ts';
import { mediaType, readJsonObject } from '../read-body.ts';
import { compileSchema } from '../validate.ts';

export interface AdminKeysOptions {
  readonly apiKeys: ApiKeys;
  readonly accounts: Accounts;
  readonly catalogue: Catalogue;
  readonly forbiddenUsers: readonly string[];
  readonly clock: Clock;
}

/** Bytes. */
const longestBody = 65_536;

const checkBody = compileSchema(newKeySchema);

const querySchema = Type.Object(
  {
    cursor: Type.Optional(Type.String({ pattern: '^[0-9a-z]{9}/[0-9a-f-]{36}$' })),
    limit: Type.Optional(Type.String({ pattern: '^([1-9]|[1-9][0-9]|100)$' })),
    feature: Type.Optional(Type.String({ maxLength: 100 })),
    owner: Type.Optional(Type.String({ maxLength: 200 })),
    status: Type.Optional(
      Type.Union(
        (['draft', 'active', 'disabled', 'expired', 'revoked'] as const).map(status => Type.Literal(status)),
      ),
    ),
    q: Type.Optional(Type.String({ maxLength: 200 })),
  },
  { additionalProperties: false },
);

const checkQuery = compileSchema(querySchema);

export function createAdminKeys({ apiKeys, accounts, catalogue, forbiddenUsers, clock }: AdminKeysOptions) {
  return {
    async create(ctx: AppContext): Promise<void> {
      const input = checkBody(await readAdminBody(ctx));
      const key = checkNewKey(input, { catalogue, forbiddenUsers, now: clock() });
      const owner = key.owner ?? grantedAccess(ctx.state).claims.sub;
      if ((await accounts.find(owner)) === undefined) throw noSuchOwner();
      const created = await apiKeys.create({ ...key, owner });
      ctx.status = 201;
      ctx.set('Location', `/admin/keys/${created.key.id}`);
      respond(ctx, { key: presentKey(created.key, clock()), apiKey: created.apiKey });
    },

    async list(ctx: AppContext): Promise<void> {
      const query = readQuery(ctx.querystring);
      const { items, next } = await apiKeys.list(query);
      respond(ctx, { items: items.map(key => presentKey(key, clock())), next: next ?? null });
    },

    async show(ctx: AppContext): Promise<void> {
      respond(ctx, presentKey(await apiKeys.get(readId(ctx)), clock()));
    },

    async revoke(ctx: AppContext): Promise<void> {
      const { id } = await apiKeys.get(readId(ctx));
      respond(ctx, presentKey(await apiKeys.revoke(id), clock()));
    },
  };
}

function readAdminBody(ctx: AppContext): Promise<Record<string, unknown>> {
  if (mediaType(ctx.req) !== 'application/json') throw new Problem('unsupported_media_type');
  return readJsonObject(ctx.req, longestBody);
}

function noSuchOwner(): Problem {
  const errors = [{ pointer: '/owner', detail: 'There is no such account.' }];
  return new Problem('validation_failed', '/owner: There is no such account.', { errors });
}

function readQuery(querystring: string): KeyQuery {
  const query: Static<typeof querySchema> = checkQuery(
    Object.fromEntries(new URLSearchParams(querystring)),
    'malformed_request',
  );
  return { ...query, limit: Number(query.limit ?? 50) };
}

/** Any form of GUID; what is none names no key. */
function readId({ params }: AppContext): string {
  const id = parseGuid(params['id'] ?? '');
  if (id === undefined) throw new Problem('not_found', 'There is no API key of this id.');
  return id;
}

function respond(ctx: AppContext, body: object): void {
  ctx.set('Cache-Control', 'no-store');
  ctx.type = 'application/json';
  ctx.body = JSON.stringify(body);
}
