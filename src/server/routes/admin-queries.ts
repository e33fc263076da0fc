/** What the lists of the admin API may be asked: a page, and which part of the whole. */
import { Type } from 'typebox';
import { accountName } from '../../issuer/account.ts';
import type { KeyStatus } from '../../issuer/api-key.ts';

const statuses = [
  'draft',
  'active',
  'disabled',
  'expired',
  'revoked',
] as const satisfies readonly KeyStatus[];

const limit = Type.Optional(
  Type.String({
    pattern: '^([1-9]|[1-9][0-9]|100)$',
    description: 'Items on a page: 1 to 100, 50 where it is absent.',
  }),
);
const cursorText = 'The `next` of the page before.';

export const keyQuerySchema = Type.Object(
  {
    cursor: Type.Optional(Type.String({ pattern: '^[0-9a-z]{9}/[0-9a-f-]{36}$', description: cursorText })),
    limit,
    feature: Type.Optional(Type.String({ maxLength: 100, pattern: '^[^\\p{Cc}\\p{Cs}]+$' })),
    owner: Type.Optional(accountName),
    status: Type.Optional(Type.Enum([...statuses])),
    q: Type.Optional(Type.String({ maxLength: 200, description: 'A part of the name, or the whole id.' })),
  },
  { additionalProperties: false },
);

export const accountQuerySchema = Type.Object(
  { cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 200, description: cursorText })), limit },
  { additionalProperties: false },
);

export const auditQuerySchema = Type.Object(
  {
    cursor: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,14}$', description: cursorText })),
    limit,
    key: Type.Optional(Type.String({ minLength: 1, maxLength: 100, description: 'The id of a key.' })),
    account: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
    action: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  },
  { additionalProperties: false },
);

/** Items on the page that is asked for. */
export function pageSize({ limit = '50' }: { readonly limit?: string }): number {
  return Number(limit);
}
