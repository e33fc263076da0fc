/** Every schema that the document names: those that validate, and those that what is shown is held to. */
import { type TSchema, Type } from 'typebox';
import {
  type Controller,
  type Feature,
  METHODS,
  OPERATIONS,
  ROLES,
  type Route,
} from '../../config/catalogue.ts';
import { accountPatchSchema, accountViewSchema, newAccountSchema } from '../../issuer/account.ts';
import { auditEntrySchema, auditVerificationSchema } from '../../issuer/audit-view.ts';
import { newKeySchema } from '../../issuer/check-key.ts';
import { keyPatchSchema } from '../../issuer/key-changes.ts';
import { keyViewSchema } from '../../issuer/key-view.ts';
import { pepperReportSchema } from '../../issuer/pepper-report.ts';
import { rotationSchema } from '../../issuer/rotation.ts';
import { publishedJwkSchema, signingKeyViewSchema } from '../../issuer/signing-key-view.ts';
import { DOORS } from '../../protocol/doors.ts';
import { type InvalidValue, problems } from '../../protocol/errors.ts';
import type { ProblemDocument } from '../../protocol/problem-document.ts';
import { signingKeyImportSchema, signingKeyRotationSchema } from '../routes/admin-signing-keys.ts';
import { tokenAnswerSchema } from '../routes/oauth-token.ts';
import { resourceMetadataSchema, serverMetadataSchema } from '../routes/well-known.ts';
import { oauthSchemas } from './oauth-schemas.ts';
import { resourceSchemas } from './resource-schemas.ts';

export type SchemaName = keyof typeof schemas;

export function referTo(name: SchemaName): { $ref: string } {
  return { $ref: `#/components/schemas/${name}` };
}

const texts = () => Type.Array(Type.String());
const named = (name: string) => Type.Unsafe({ $ref: `#/components/schemas/${name}` });
const keyString = () =>
  Type.String({ pattern: '^kt_[0-9a-f]{32}_[0-9A-Za-z]{38}$', description: 'Shown once.' });
const listOf = (name: string) => Type.Object({ items: Type.Array(named(name)) });
const pageOf = (name: string) =>
  Type.Object({
    items: Type.Array(named(name)),
    next: Type.Union([Type.String(), Type.Null()], {
      description: 'The `cursor` of the next page; null where there is none.',
    }),
  });

const problem = Type.Object({
  type: Type.String({ pattern: '^urn:keyturn:problem:' }),
  title: Type.String({ description: 'The same for each code.' }),
  status: Type.Integer(),
  detail: Type.String({ description: 'The cause and the cure.' }),
  code: Type.Enum(Object.keys(problems)),
  errors: Type.Optional(
    Type.Array(
      Type.Object({
        pointer: Type.String({ description: 'A JSON pointer (RFC 6901) into the body.' }),
        detail: Type.String(),
      } satisfies Record<keyof InvalidValue, TSchema>),
    ),
  ),
} satisfies Record<keyof ProblemDocument, TSchema>);

const feature = Type.Object({
  name: Type.String(),
  title: Type.Optional(Type.String()),
  scopes: texts(),
  controllers: texts(),
  role: Type.Optional(Type.Enum([...ROLES], { description: 'The feature of accounts of this role.' })),
  requiredCustomData: Type.Array(Type.String(), {
    description: "Names in a key's customData without which it is not saved.",
  }),
} satisfies Record<keyof Feature, TSchema>);

const route = Type.Object({
  methods: Type.Array(Type.Enum([...METHODS])),
  path: Type.String(),
  scope: Type.String(),
  graphqlPath: Type.Boolean({ description: 'Whether the path needs an entry GraphQL:<path> besides.' }),
  collection: Type.Optional(Type.String()),
  operation: Type.Optional(Type.Enum([...OPERATIONS])),
} satisfies Record<keyof Route, TSchema>);

const controller = Type.Object({
  name: Type.String(),
  audience: Type.Optional(Type.String()),
  doors: Type.Array(Type.Enum([...DOORS])),
  requireApiKey: Type.Boolean(),
  upstream: Type.Optional(Type.String({ format: 'uri' })),
  collection: Type.Optional(Type.String()),
  elsewhere: Type.Optional(Type.Literal(true, { description: 'Its server guards itself.' })),
  forward: Type.Optional(Type.Literal('jwt')),
  timeout: Type.Optional(Type.Integer({ description: 'Seconds.' })),
  routes: Type.Array(route),
} satisfies Record<keyof Controller | 'elsewhere', TSchema>);

export const schemas = {
  Problem: problem,
  ...oauthSchemas,
  TokenAnswer: tokenAnswerSchema,
  ServerMetadata: serverMetadataSchema,
  ResourceMetadata: resourceMetadataSchema,
  JwkSet: Type.Object({ keys: Type.Array(publishedJwkSchema) }),
  Health: Type.Object({ status: Type.Enum(['ok', 'ready']) }),
  NewKey: newKeySchema,
  KeyPatch: keyPatchSchema,
  Rotation: rotationSchema,
  Key: keyViewSchema,
  KeyPage: pageOf('Key'),
  KeyWithSecret: Type.Object({ key: named('Key'), apiKey: Type.Optional(keyString()) }),
  NewAccount: newAccountSchema,
  AccountPatch: accountPatchSchema,
  Account: accountViewSchema,
  AccountPage: pageOf('Account'),
  AccountWithAccessKey: Type.Object({ account: named('Account'), accessKey: keyString() }),
  AuditEntry: auditEntrySchema,
  AuditPage: pageOf('AuditEntry'),
  AuditVerification: auditVerificationSchema,
  Feature: feature,
  FeatureList: listOf('Feature'),
  Controller: controller,
  ControllerList: listOf('Controller'),
  SigningKey: signingKeyViewSchema,
  SigningKeyList: listOf('SigningKey'),
  SigningKeyImport: signingKeyImportSchema,
  SigningKeyRotation: signingKeyRotationSchema,
  PepperReport: pepperReportSchema,
  ...resourceSchemas,
  Text: Type.String(),
  Nothing: Type.Object({}),
  Anything: Type.Unknown(),
};
