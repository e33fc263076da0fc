/** What a new key may say: the schema of its fields, and the rules that need the catalogue. */
import { type Static, Type } from 'typebox';
import type { Catalogue, Feature } from '../config/catalogue.ts';
import { isExtraClaimName } from '../protocol/claims.ts';
import { controllersBeyond, parseControllerList } from '../protocol/controllers.ts';
import { bindingFields, searchFilter } from '../protocol/custom-data.ts';
import { type InvalidValue, invalidValues } from '../protocol/errors.ts';
import { findOpenPart } from '../protocol/odata-expression.ts';
import { parseOriginList } from '../protocol/origin.ts';
import { isScopeToken, scopesBeyond } from '../protocol/scope.ts';
import type { NewApiKey } from './api-keys.ts';
import { type PublicJwk, readPublicJwk } from './public-jwk.ts';

const text = (maxLength: number) =>
  Type.String({ minLength: 1, maxLength, pattern: '^[^\\u0000-\\u001f\\u007f]+$' });
const list = (maxLength: number, maxItems: number) =>
  Type.Union([Type.Array(Type.String({ maxLength }), { maxItems }), Type.String({ maxLength: 10_000 })]);

/** The body of `POST /admin/keys`. Lists may be arrays, or texts separated by semicolons as in Sitecore. */
export const newKeySchema = Type.Object(
  {
    name: text(200),
    feature: text(100),
    scopes: Type.Optional(Type.Array(Type.String({ maxLength: 200 }), { minItems: 1, maxItems: 50 })),
    allowedControllers: Type.Optional(list(500, 200)),
    corsOrigins: Type.Optional(list(300, 100)),
    impersonationUser: Type.Optional(text(256)),
    customData: Type.Optional(
      Type.Record(text(100), Type.String({ maxLength: 2000 }), {
        maxProperties: 50,
        additionalProperties: false,
      }),
    ),
    customDataInToken: Type.Optional(Type.Array(text(100), { maxItems: 50, uniqueItems: true })),
    claims: Type.Optional(
      Type.Record(Type.String({ maxLength: 300 }), Type.Unknown(), { maxProperties: 20 }),
    ),
    audiences: Type.Optional(
      Type.Array(Type.String({ pattern: '^[\\x21-\\x7e]{1,512}$' }), {
        minItems: 1,
        maxItems: 10,
        uniqueItems: true,
      }),
    ),
    doors: Type.Optional(
      Type.Array(Type.Enum(['token', 'sc_apikey'], { type: 'string' }), {
        minItems: 1,
        maxItems: 2,
        uniqueItems: true,
      }),
    ),
    owner: Type.Optional(text(200)),
    draft: Type.Optional(Type.Boolean()),
    notBefore: Type.Optional(Type.String({ format: 'date-time' })),
    expiresAt: Type.Optional(Type.String({ format: 'date-time' })),
    tokenTtl: Type.Optional(Type.Integer({ minimum: 2, maximum: 86_400 })),
    publicJwk: Type.Optional(Type.Record(Type.String(), Type.Unknown(), { maxProperties: 50 })),
  },
  { additionalProperties: false },
);

export type NewKeyInput = Static<typeof newKeySchema>;

export interface KeyRules {
  readonly catalogue: Catalogue;
  /** Whom no key may act as. */
  readonly forbiddenUsers: readonly string[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/**
 * Checks what a schema cannot, and writes lists, origins and times in the form in which a key keeps them.
 *
 * @throws {Problem} `validation_failed` with every fault at once
 */
export function checkNewKey(input: NewKeyInput, rules: KeyRules): NewApiKey {
  const faults: InvalidValue[] = [];
  const complain = (pointer: string, detail: string) => void faults.push({ pointer, detail });
  const feature = rules.catalogue.features.get(input.feature);
  const { draft, allowedControllers, corsOrigins, notBefore, expiresAt, publicJwk, ...plain } = input;
  const key: NewApiKey = {
    ...plain,
    status: draft === true ? 'draft' : 'active',
    ...(allowedControllers !== undefined && { allowedControllers: parseControllerList(allowedControllers) }),
    ...(corsOrigins !== undefined && { corsOrigins: checkOrigins(corsOrigins, complain) }),
    ...(notBefore !== undefined && { notBefore: checkTime('/notBefore', notBefore, complain) }),
    ...(expiresAt !== undefined && { expiresAt: checkTime('/expiresAt', expiresAt, complain) }),
    ...(publicJwk !== undefined && checkPublicJwk(publicJwk, complain)),
  };
  checkAgainstFeature(key, feature, complain);
  checkUser(key.impersonationUser, rules.forbiddenUsers, complain);
  checkCustomData(key, feature, complain);
  checkClaims(key.claims, complain);
  checkPeriod(key, rules.now, complain);
  checkTokenSize(key, feature, complain);
  if (faults.length > 0) throw invalidValues(faults);
  return key;
}

type Complain = (pointer: string, detail: string) => void;

function checkOrigins(list: string | readonly string[], complain: Complain): string[] {
  const { origins, invalid } = parseOriginList(list);
  for (const entry of invalid) {
    complain(
      '/corsOrigins',
      `"${entry}" is not an origin: write scheme, host and port alone, as https://www.example.com, or *.`,
    );
  }
  return origins;
}

function checkTime(pointer: string, time: string, complain: Complain): number {
  const milliseconds = Date.parse(time);
  if (Number.isNaN(milliseconds))
    complain(pointer, 'Write an RFC 3339 time with its offset, as 2030-01-31T12:00:00Z.');
  return milliseconds;
}

function checkPublicJwk(
  jwk: Readonly<Record<string, unknown>>,
  complain: Complain,
): { publicJwk: PublicJwk } | undefined {
  const publicJwk = readPublicJwk(jwk, (member, detail) =>
    complain(member === '' ? '/publicJwk' : `/publicJwk/${member}`, detail),
  );
  return publicJwk && { publicJwk };
}

function checkAgainstFeature(key: NewApiKey, feature: Feature | undefined, complain: Complain): void {
  if (feature === undefined || feature.role !== undefined) {
    complain('/feature', 'There is no such feature for API keys; GET /admin/features lists them.');
    return;
  }
  for (const scope of key.scopes ?? [])
    if (!isScopeToken(scope)) complain('/scopes', `"${scope}" is not a scope.`);
  const scopes = scopesBeyond(feature.scopes, key.scopes ?? []);
  if (scopes.length > 0) complain('/scopes', `The feature does not have ${scopes.join(', ')}.`);
  const controllers = controllersBeyond(feature.controllers, key.allowedControllers ?? []);
  if (controllers.length > 0)
    complain('/allowedControllers', `The feature does not have ${controllers.join(', ')}.`);
}

function checkUser(user: string | undefined, forbidden: readonly string[], complain: Complain): void {
  if (user !== undefined && forbidden.some(other => foldName(other) === foldName(user))) {
    complain('/impersonationUser', 'No API key may act as this user: choose one with fewer rights.');
  }
}

/** Sitecore compares user names without regard to case; a list that forbids some must also see through look-alikes. */
function foldName(name: string): string {
  return name
    .normalize('NFKC')
    .replaceAll(/[\p{Cf}\s]/gu, '')
    .toLowerCase();
}

function checkCustomData(key: NewApiKey, feature: Feature | undefined, complain: Complain): void {
  for (const name of feature?.requiredCustomData ?? []) {
    if ((key.customData?.[name] ?? '') === '')
      complain(`/customData/${name}`, `Keys of this feature need "${name}".`);
  }
  const binding = bindingFields(feature?.requiredCustomData ?? []);
  if (binding.includes(searchFilter) && findOpenPart(key.customData?.[searchFilter] ?? '') !== undefined) {
    complain(
      `/customData/${searchFilter}`,
      'Close every string and parenthesis: the filter is joined with the filters of callers.',
    );
  }
  for (const name of key.customDataInToken ?? []) {
    if (!Object.hasOwn(key.customData ?? {}, name))
      complain('/customDataInToken', `customData has no "${name}".`);
  }
}

function checkClaims(claims: Readonly<Record<string, unknown>> | undefined, complain: Complain): void {
  for (const name of Object.keys(claims ?? {})) {
    if (!isExtraClaimName(name)) complain('/claims', `"${name}" is not a URI: extra claims have URI names.`);
  }
}

function checkPeriod({ notBefore, expiresAt }: NewApiKey, now: number, complain: Complain): void {
  if (expiresAt === undefined) return;
  if (expiresAt <= now) complain('/expiresAt', 'The time is past.');
  if (notBefore !== undefined && expiresAt <= notBefore)
    complain('/expiresAt', 'The time is before notBefore.');
}

/** Characters of JSON: base64url makes a third more of it, and request headers end at 16 KiB, tokens at 8. */
const longestClaims = 5000;

function checkTokenSize(key: NewApiKey, feature: Feature | undefined, complain: Complain): void {
  const data = (key.customDataInToken ?? []).map(name => key.customData?.[name]);
  const controllers = key.allowedControllers ?? feature?.controllers;
  const scopes = key.scopes ?? feature?.scopes;
  const size = JSON.stringify([
    scopes,
    controllers,
    key.corsOrigins,
    key.claims,
    data,
    key.audiences,
    key.impersonationUser,
  ]).length;
  if (size > longestClaims) {
    complain(
      '',
      `The token would be too large for a header (${size} of ${longestClaims} characters): name fewer controllers, origins or claims.`,
    );
  }
}
