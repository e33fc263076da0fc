/** How a key may change: its status, step by step, and its fields. Pure; what narrows a key raises its version. */
import { type Static, type TObject, type TSchema, Type } from 'typebox';
import type { Catalogue } from '../config/catalogue.ts';
import { controllersBeyond } from '../protocol/controllers.ts';
import { invalidValues, Problem } from '../protocol/errors.ts';
import { anyOrigin } from '../protocol/origin.ts';
import { scopesBeyond } from '../protocol/scope.ts';
import { type ApiKey, doorsOf, type KeyStatus, statusOf } from './api-key.ts';
import { checkNewKey, type KeyRules, type NewKeyInput, newKeySchema } from './check-key.ts';
import { type Grant, resolveGrant } from './grant.ts';
import { isSameJwk } from './public-jwk.ts';

export type StatusStep = 'publish' | 'disable' | 'enable' | 'revoke';

/**
 * Takes one step; one that was taken already changes nothing.
 *
 * @throws {Problem} `conflict` where the status does not permit it
 */
export function stepStatus(key: ApiKey, step: StatusStep, now: number): ApiKey {
  const { from, to, raises } = steps[step];
  if (key.status === to) return key;
  if (!from.includes(key.status)) {
    throw new Problem(
      'conflict',
      `The API key is ${statusOf(key, now)}: it cannot be ${to === 'active' ? 'made active so' : to}.`,
    );
  }
  return { ...key, status: to, version: raises ? key.version + 1 : key.version, updatedAt: now };
}

const steps: Record<StatusStep, { from: readonly KeyStatus[]; to: ApiKey['status']; raises: boolean }> = {
  publish: { from: ['draft'], to: 'active', raises: false },
  disable: { from: ['active'], to: 'disabled', raises: true },
  enable: { from: ['disabled'], to: 'active', raises: false },
  revoke: { from: ['draft', 'active', 'disabled'], to: 'revoked', raises: true },
};

/** The body of `PATCH /admin/keys/{id}` (RFC 7396): a member replaces, `null` removes, what is absent stays. */
export const keyPatchSchema = nullable(newKeySchema);

export type KeyPatch =
  Static<typeof newKeySchema> extends infer T ? { [Name in keyof T]?: T[Name] | null } : never;

/**
 * Applies a patch.
 *
 * @throws {Problem} `validation_failed`, as for a new key; `conflict` for a revoked one
 */
export function patchKey(key: ApiKey, patch: KeyPatch, rules: KeyRules): ApiKey {
  if (key.status === 'revoked')
    throw new Problem('conflict', 'The API key is revoked: it cannot be changed.');
  const merged = Object.entries({ ...inputOf(key), ...patch }).filter(
    ([, value]) => value !== null && value !== undefined,
  );
  // An expiry that stays may be past: only one that is new must not be.
  const stays = typeof patch.expiresAt !== 'string' || Date.parse(patch.expiresAt) === key.expiresAt;
  const now = stays ? Number.NEGATIVE_INFINITY : rules.now;
  const fields = checkNewKey(Object.fromEntries(merged) as NewKeyInput, { ...rules, now });
  const { id, secrets, createdAt, version, status } = key;
  if (secrets.length === 0 && fields.publicJwk === undefined) throw nothingLeft();
  const after: ApiKey = { ...fields, id, secrets, createdAt, version, status, updatedAt: rules.now };
  return narrows(key, after, rules) ? { ...after, version: version + 1 } : after;
}

function nothingLeft(): Problem {
  const detail = 'The API key has no secret: without its publicJwk nobody could use it.';
  return invalidValues([{ pointer: '/publicJwk', detail }]);
}

/** The key as a body would say it. */
function inputOf({
  id,
  account,
  status,
  version,
  secrets,
  createdAt,
  updatedAt,
  notBefore,
  expiresAt,
  ...fields
}: ApiKey): object {
  return {
    ...fields,
    ...(notBefore !== undefined && { notBefore: new Date(notBefore).toISOString() }),
    ...(expiresAt !== undefined && { expiresAt: new Date(expiresAt).toISOString() }),
  };
}

/** Whether a token of the key as it was may say more, or other, than one of the key as it is to be. */
function narrows(before: ApiKey, after: ApiKey, { catalogue, now }: KeyRules): boolean {
  const [had, has] = [grantOf(before, catalogue), grantOf(after, catalogue)];
  if (had === undefined || has === undefined || had.feature !== has.feature) return true;
  return (
    grantNarrows(had, has) ||
    doorsOf(before).some(door => !doorsOf(after).includes(door)) ||
    (after.expiresAt ?? Infinity) < (before.expiresAt ?? Infinity) ||
    ((after.notBefore ?? 0) > now && (after.notBefore ?? 0) > (before.notBefore ?? 0)) ||
    isShorter(before.tokenTtl, after.tokenTtl) ||
    (before.publicJwk !== undefined && !isSameJwk(before.publicJwk, after.publicJwk)) ||
    tokenData(before, had) !== tokenData(after, has)
  );
}

function grantOf(key: ApiKey, catalogue: Catalogue): Grant | undefined {
  return resolveGrant(key, undefined, catalogue, { issuer: '', audience: '' });
}

function grantNarrows(had: Grant, has: Grant): boolean {
  return (
    scopesBeyond(has.scopes, had.scopes).length > 0 ||
    controllersBeyond(has.controllers, had.controllers).length > 0 ||
    had.origins.some(origin => !has.origins.includes(origin) && !has.origins.includes(anyOrigin)) ||
    had.audiences.some(audience => !has.audiences.includes(audience)) ||
    had.actsAs !== has.actsAs
  );
}

/** Without one a key has the deployment's, which is not known here: setting one counts as shorter, and so does removing it. */
function isShorter(before: number | undefined, after: number | undefined): boolean {
  return before !== after && (after ?? 0) < (before ?? Infinity);
}

/** What a token repeats of the key word for word. */
function tokenData(
  { claims = {}, customData = {}, customDataInToken = [] }: ApiKey,
  { bindingData }: Grant,
): string {
  const names = [...customDataInToken, ...bindingData];
  return JSON.stringify([claims, names.map(name => [name, customData[name]])]);
}

function nullable(schema: TObject) {
  const { draft: _, name, feature, ...others } = schema.properties;
  const optional = Object.entries(others).map(([member, type]) => [
    member,
    Type.Optional(Type.Union([type, Type.Null()])),
  ]);
  return Type.Object(
    {
      name: Type.Optional(name as TSchema),
      feature: Type.Optional(feature as TSchema),
      ...Object.fromEntries(optional),
    },
    { additionalProperties: false },
  );
}
