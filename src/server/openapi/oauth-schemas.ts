/** What the OAuth endpoints are sent and answer, as schemas. */
import { type TSchema, Type } from 'typebox';
import type { AccessTokenClaims } from '../../protocol/claims.ts';
import { type DenialCode, oauthErrors } from '../../protocol/errors.ts';
import { accessKeyType, apiKeyType, scApiKeyType } from '../../protocol/token-type.ts';
import { jwtAssertion } from '../client-authentication.ts';
import type { ParameterName } from '../parameters.ts';
import { issuedTypes, tokenExchangeGrant } from '../routes/oauth-token.ts';

const targets = (description: string) =>
  Type.Union([Type.String(), Type.Array(Type.String(), { maxItems: 10 })], { description });

/** Every parameter that is read and may be of use: a new one does not compile until it stands here. */
const parameters = {
  grant_type: Type.String(),
  client_id: Type.String({ description: 'The id of the key, as a GUID in any form. May be left out.' }),
  client_secret: Type.String({ description: 'The whole key string: kt_…' }),
  client_assertion: Type.String({ description: 'A JWT that the key has signed (RFC 7523).' }),
  client_assertion_type: Type.Literal(jwtAssertion),
  scope: Type.String({ description: 'Space-separated; for less than the key has.' }),
  audience: targets('Audiences that the key may have.'),
  resource: targets('As `audience` (RFC 8707).'),
  controllers: Type.String({ description: "Separated by semicolons; for a part of the key's own." }),
  origins: Type.String({ description: "Separated by semicolons; for a part of the key's own." }),
  subject_token: Type.String({ description: 'The whole key string: kt_…' }),
  subject_token_type: Type.Literal(apiKeyType),
  requested_token_type: Type.Enum([...issuedTypes]),
  token: Type.String({
    description:
      'An access token, or a whole key string; what two of the hints name, where it is introspected.',
  }),
  token_type_hint: Type.String({
    description: [
      `Where it is introspected, \`${scApiKeyType}\` says that the token is the id of a key, as it is sent as \`sc_apikey\`,`,
      `and \`${accessKeyType}\` an access key, as it is sent as \`X-SF-Access-Key\`. Any other makes no difference.`,
    ].join(' '),
  }),
} satisfies Record<Exclude<ParameterName, 'actor_token'>, TSchema>;

const client = {
  client_id: Type.Optional(parameters.client_id),
  client_secret: Type.Optional(parameters.client_secret),
  client_assertion: Type.Optional(parameters.client_assertion),
  client_assertion_type: Type.Optional(parameters.client_assertion_type),
};

const narrowing = {
  scope: Type.Optional(parameters.scope),
  audience: Type.Optional(parameters.audience),
  resource: Type.Optional(parameters.resource),
  controllers: Type.Optional(parameters.controllers),
  origins: Type.Optional(parameters.origins),
};

const presented = { token: parameters.token, token_type_hint: Type.Optional(parameters.token_type_hint) };

const claims = {
  iss: Type.String(),
  sub: Type.String({
    description: 'The impersonation user, the account of an access key, or the client id.',
  }),
  aud: Type.Union([Type.String(), Type.Array(Type.String())]),
  exp: Type.Integer({ description: 'Seconds since the epoch.' }),
  iat: Type.Integer({ description: 'Seconds since the epoch.' }),
  jti: Type.String(),
  client_id: Type.String({ format: 'uuid' }),
  scope: Type.String({ description: 'Space-separated.' }),
  feature: Type.String(),
  allowed_controllers: Type.Array(Type.String()),
  allowed_origins: Type.Array(Type.String()),
  key_version: Type.Integer(),
  act: Type.Optional(
    Type.Object({ sub: Type.String() }, { description: 'The client, where `sub` is somebody else.' }),
  ),
  custom_data: Type.Optional(Type.Record(Type.String(), Type.String())),
} satisfies Record<keyof AccessTokenClaims, TSchema>;

/** What is told of a key that is asked about by the name of its door, where it does not open it. */
const keyFaults = [
  'api_key_unknown',
  'api_key_unpublished',
  'api_key_unusable',
  'access_key_invalid',
] satisfies DenialCode[];

/** A key's own claims have the names of URIs. */
const ownClaims = { patternProperties: { '^[A-Za-z][A-Za-z0-9+.-]*:': {} } };

export const oauthSchemas = {
  OAuthError: Type.Object({
    error: Type.Enum(Object.keys(oauthErrors)),
    error_description: Type.String({ description: 'What to do about it.' }),
  }),
  ClientCredentialsRequest: Type.Object({
    grant_type: Type.Literal('client_credentials'),
    ...client,
    ...narrowing,
  }),
  TokenExchangeRequest: Type.Object({
    grant_type: Type.Literal(tokenExchangeGrant),
    subject_token: parameters.subject_token,
    subject_token_type: parameters.subject_token_type,
    requested_token_type: Type.Optional(parameters.requested_token_type),
    ...client,
    ...narrowing,
  }),
  PresentedToken: Type.Object({ ...presented, ...client }),
  AccessTokenClaims: Type.Object(claims, ownClaims),
  Introspection: Type.Union([
    Type.Object({
      active: Type.Literal(false),
      code: Type.Optional(Type.Enum([...keyFaults], { description: 'Of a key that a hint names, alone.' })),
      detail: Type.Optional(Type.String({ description: 'Beside `code`, where it leaves something to say.' })),
    }),
    Type.Object(
      {
        ...Type.Partial(Type.Object(claims)).properties,
        active: Type.Literal(true),
        token_type: Type.Enum(['Bearer', apiKeyType, scApiKeyType, accessKeyType], {
          description: 'Bearer, or the kind of key.',
        }),
      },
      ownClaims,
    ),
  ]),
  RevocationSnapshot: Type.Object({
    id: Type.String(),
    keys: Type.Record(Type.String(), Type.Integer(), {
      description: 'The least living version of each key, by client id.',
    }),
    tokens: Type.Record(Type.String(), Type.Integer(), { description: 'The expiry of each token, by jti.' }),
    signing_keys: Type.Array(Type.String()),
  }),
  Revocation: Type.Union([
    Type.Object({ id: Type.String(), client_id: Type.String(), min_key_version: Type.Integer() }),
    Type.Object({ id: Type.String(), jti: Type.String(), exp: Type.Integer() }),
    Type.Object({ id: Type.String(), kid: Type.String() }),
  ]),
  RevocationHeartbeat: Type.Object({ id: Type.String() }),
};
