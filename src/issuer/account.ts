/** An account as the store keeps it, what it may say, and what of it is shown. */
import { type Static, type TSchema, Type } from 'typebox';
import type { Role } from '../config/catalogue.ts';
import type { Frozen } from '../config/frozen.ts';
import { invalidValues } from '../protocol/errors.ts';
import { parseOriginList } from '../protocol/origin.ts';
import { isScopeToken } from '../protocol/scope.ts';

/** An account as the store keeps it; times are milliseconds since the epoch. */
export interface Account {
  /** Any name of up to 200 characters, and 400 bytes of UTF-8. */
  readonly id: string;
  readonly role: Role;
  /** Scopes beside those of the role. */
  readonly permissions: readonly string[];
  /** `external`: its people sign in elsewhere, and it gets no access key. */
  readonly provider: 'local' | 'external';
  /** Origins whose pages may use the access key. */
  readonly corsOrigins: readonly string[];
  /** The id of its access key. */
  readonly accessKey?: string;
  /** Tokens may be out that say more: a change broke off before they were ended, and the next one ends them. */
  readonly unsettled?: true;
  readonly createdAt: number;
}

/** An account as the admin API shows it. */
export function presentAccount({ unsettled: _, ...account }: Account): AccountView {
  return { ...account, createdAt: new Date(account.createdAt).toISOString() };
}

export const accountName = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: '^(?!\\.{1,2}$)[^\\p{Cc}\\p{Cs}]+$',
});

/**
 * Whether an account can have this name: the store keeps accounts and their keys under it. No client can write `.` or
 * `..` into a path, however it is encoded.
 */
export function isAccountName(name: string): boolean {
  return /^(?!\.{1,2}$)[^\p{Cc}\p{Cs}]+$/u.test(name) && Buffer.byteLength(name) <= 400;
}

const accountFields = {
  role: Type.Enum(['owner', 'admin', 'member']),
  permissions: Type.Array(Type.String({ minLength: 1, maxLength: 200 }), {
    maxItems: 100,
    uniqueItems: true,
  }),
  provider: Type.Enum(['local', 'external']),
  corsOrigins: Type.Union([
    Type.Array(Type.String({ maxLength: 300 }), { maxItems: 100 }),
    Type.String({ maxLength: 10_000 }),
  ]),
};

/** The body of `POST /admin/accounts`. */
export const newAccountSchema = Type.Object(
  { id: accountName, ...Type.Partial(Type.Object(accountFields)).properties },
  { additionalProperties: false },
);

/** The body of `PATCH /admin/accounts/{id}`. */
export const accountPatchSchema = Type.Partial(Type.Object(accountFields), { additionalProperties: false });

/** What is shown of an account. What the record has and this has not does not compile. */
export const accountViewSchema = Type.Object({
  id: Type.String(),
  role: accountFields.role,
  permissions: Type.Array(Type.String(), { description: 'Scopes beside those of the role.' }),
  provider: accountFields.provider,
  corsOrigins: Type.Array(Type.String()),
  accessKey: Type.Optional(Type.String({ format: 'uuid', description: 'The id of its access key.' })),
  createdAt: Type.String({ format: 'date-time' }),
} satisfies Record<Exclude<keyof Account, 'unsettled'>, TSchema>);

type AccountView = Frozen<Static<typeof accountViewSchema>>;

export type AccountPatch = Static<typeof accountPatchSchema>;

/** @throws {Problem} `validation_failed` with every fault at once */
export function checkAccount(
  fields: Omit<Account, 'corsOrigins'> & { corsOrigins: string | readonly string[] },
): Account {
  const { origins, invalid } = parseOriginList(fields.corsOrigins);
  const errors = [
    ...invalid.map(entry => ({ pointer: '/corsOrigins', detail: `"${entry}" is not an origin.` })),
    ...fields.permissions
      .filter(scope => !isScopeToken(scope))
      .map(scope => ({ pointer: '/permissions', detail: `"${scope}" is not a scope.` })),
    // Rights over the service itself come from the role alone.
    ...fields.permissions
      .filter(scope => scope.startsWith('keyturn:'))
      .map(scope => ({
        pointer: '/permissions',
        detail: `"${scope}" comes with a role, not as a permission.`,
      })),
  ];
  if (errors.length === 0) return { ...fields, corsOrigins: origins };
  throw invalidValues(errors);
}
