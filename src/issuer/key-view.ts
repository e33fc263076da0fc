/** What is shown of an API key: never a secret, never a hash. */
import { type Static, type TSchema, Type } from 'typebox';
import type { Frozen } from '../config/frozen.ts';
import { type ApiKey, doorsOf, type KeySecret, livingSecrets, statusOf } from './api-key.ts';
import { type KeyUse, ofAssertions } from './key-usage.ts';
import type { PublicJwk } from './public-jwk.ts';

const time = () => Type.String({ format: 'date-time' });
const texts = () => Type.Array(Type.String());

const secretSchema = Type.Object({
  state: Type.Enum(['active', 'pending', 'retiring'], {
    description: 'pending: not used yet; retiring: good until retiresAt.',
  }),
  last4: Type.String({ description: 'The last four characters of the key string.' }),
  createdAt: time(),
  lastUsedAt: Type.Union([time(), Type.Null()]),
  lastUsedFrom: Type.Union([Type.String(), Type.Null()], { description: 'The address it was used from.' }),
  retiresAt: Type.Union([time(), Type.Null()]),
});

const publicJwkSchema = Type.Object({
  kty: Type.String(),
  crv: Type.Optional(Type.String()),
  x: Type.Optional(Type.String()),
  y: Type.Optional(Type.String()),
  n: Type.Optional(Type.String()),
  e: Type.Optional(Type.String()),
  kid: Type.Optional(Type.String()),
  alg: Type.Optional(Type.String()),
  use: Type.Optional(Type.String()),
  key_ops: Type.Optional(texts()),
} satisfies Record<keyof PublicJwk, TSchema>);

/** An API key as the admin API shows it. What the record has and this has not does not compile. */
export const keyViewSchema = Type.Object({
  id: Type.String({ format: 'uuid', description: 'The client id.' }),
  name: Type.String(),
  feature: Type.Optional(Type.String()),
  account: Type.Optional(Type.String({ description: 'Whose access key this is.' })),
  scopes: Type.Optional(Type.Array(Type.String(), { description: "Absent: the feature's." })),
  allowedControllers: Type.Optional(
    Type.Array(Type.String(), { description: "Absent: the feature's. Empty: none." }),
  ),
  corsOrigins: texts(),
  impersonationUser: Type.Optional(Type.String()),
  customData: Type.Optional(Type.Record(Type.String(), Type.String())),
  customDataInToken: Type.Optional(texts()),
  claims: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  audiences: Type.Optional(texts()),
  doors: Type.Array(Type.Enum(['token', 'sc_apikey'])),
  owner: Type.Optional(Type.String({ description: 'The account that owns the key.' })),
  status: Type.Enum(['draft', 'active', 'disabled', 'expired', 'revoked']),
  notBefore: Type.Optional(time()),
  expiresAt: Type.Optional(time()),
  tokenTtl: Type.Optional(Type.Integer({ description: 'Seconds.' })),
  publicJwk: Type.Optional(publicJwkSchema),
  keyVersion: Type.Integer({ description: 'Tokens of an older version are dead.' }),
  lastAssertionAt: Type.Optional(Type.Union([time(), Type.Null()])),
  lastAssertionFrom: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  secrets: Type.Array(secretSchema),
  createdAt: time(),
  updatedAt: time(),
} satisfies Record<Exclude<keyof ApiKey, 'version'> | AddedMember, TSchema>);

type AddedMember = 'keyVersion' | 'lastAssertionAt' | 'lastAssertionFrom';

export type KeyView = Frozen<Static<typeof keyViewSchema>>;

export function presentKey(key: ApiKey, now: number, uses: readonly KeyUse[] = []): KeyView {
  const { version, secrets: _, ...rest } = key;
  return {
    ...rest,
    corsOrigins: key.corsOrigins ?? [],
    doors: doorsOf(key),
    status: statusOf(key, now),
    keyVersion: version,
    notBefore: key.notBefore === undefined ? undefined : isoTime(key.notBefore),
    expiresAt: key.expiresAt === undefined ? undefined : isoTime(key.expiresAt),
    createdAt: isoTime(key.createdAt),
    updatedAt: isoTime(key.updatedAt),
    ...(key.publicJwk !== undefined && presentAssertions(uses)),
    secrets: livingSecrets(key, now).map(secret => presentSecret(secret, uses)),
  };
}

function presentAssertions(uses: readonly KeyUse[]): Pick<KeyView, 'lastAssertionAt' | 'lastAssertionFrom'> {
  const use = uses.find(({ secret }) => secret === ofAssertions);
  return { lastAssertionAt: isoTimeOrNull(use?.at), lastAssertionFrom: use?.from ?? null };
}

function presentSecret(secret: KeySecret, uses: readonly KeyUse[]): KeyView['secrets'][number] {
  const use = uses.find(({ secret: createdAt }) => createdAt === secret.createdAt);
  return {
    state:
      secret.firstUseGrace !== undefined ? 'pending' : secret.retiresAt !== undefined ? 'retiring' : 'active',
    last4: secret.last4,
    createdAt: isoTime(secret.createdAt),
    lastUsedAt: isoTimeOrNull(use?.at),
    lastUsedFrom: use?.from ?? null,
    retiresAt: isoTimeOrNull(secret.retiresAt),
  };
}

function isoTime(time: number): string {
  return new Date(time).toISOString();
}

function isoTimeOrNull(time: number | undefined): string | null {
  return time === undefined ? null : isoTime(time);
}
