/** The operations of the admin API. */
import { Type } from 'typebox';
import { accountName } from '../../issuer/account.ts';
import { accountQuerySchema, auditQuerySchema } from '../routes/admin-queries.ts';
import { describeCall, gone, ifMatch, jsonBody, patchBody } from './admin-operation.ts';
import { answerJson } from './answers.ts';
import { describeKeyCalls } from './key-operations.ts';
import { type Operation, type Parameter, parametersOf } from './operation.ts';

export function describeAdmin(): Operation[] {
  return [...describeKeyCalls(), ...accountOperations(), ...signingKeyOperations(), ...reportOperations()];
}

function accountOperations(): Operation[] {
  const tag = 'Accounts';
  const shown = answerJson(200, 'Account', 'The account as it now is.', ['ETag']);
  return [
    describeCall('post', '/admin/accounts', 'keyturn:accounts:create', {
      tag,
      id: 'createAccount',
      summary: 'Make an account',
      body: jsonBody('NewAccount', { id: 'deploy', role: 'member' }),
      answer: answerJson(201, 'Account', 'The account.', ['Location']),
      codes: ['conflict', 'validation_failed'],
    }),
    describeCall('get', '/admin/accounts', 'keyturn:accounts:read', {
      tag,
      id: 'listAccounts',
      summary: 'List accounts',
      parameters: parametersOf(accountQuerySchema),
      answer: answerJson(200, 'AccountPage', 'A page of accounts, by name.'),
    }),
    describeCall('get', '/admin/accounts/{id}', 'keyturn:accounts:read', {
      tag,
      id: 'showAccount',
      summary: 'Show an account',
      parameters: [accountId],
      answer: shown,
      codes: ['not_found'],
    }),
    describeCall('patch', '/admin/accounts/{id}', 'keyturn:accounts:update', {
      tag,
      id: 'updateAccount',
      summary: 'Change an account',
      description: 'What takes rights away ends the tokens of its access key.',
      parameters: [accountId, ifMatch],
      body: patchBody('AccountPatch', { role: 'admin' }),
      answer: shown,
      codes: ['not_found', 'conflict', 'precondition_failed', 'validation_failed'],
    }),
    describeCall('delete', '/admin/accounts/{id}', 'keyturn:accounts:delete', {
      tag,
      id: 'deleteAccount',
      summary: 'End an account, and its access key',
      parameters: [accountId, ifMatch],
      answer: gone,
      codes: ['not_found', 'conflict', 'precondition_failed'],
    }),
    describeCall('post', '/admin/accounts/{id}/access-key', 'keyturn:accounts:update', {
      tag,
      id: 'createAccessKey',
      summary: 'Make an access key, in place of the one before',
      parameters: [accountId],
      answer: answerJson(201, 'AccountWithAccessKey', 'The account, and its access key, once.'),
      codes: ['not_found', 'conflict'],
    }),
    describeCall('delete', '/admin/accounts/{id}/access-key', 'keyturn:accounts:update', {
      tag,
      id: 'deleteAccessKey',
      summary: 'End the access key of an account',
      parameters: [accountId],
      answer: gone,
      codes: ['not_found', 'conflict'],
    }),
  ];
}

function signingKeyOperations(): Operation[] {
  const tag = 'Signing keys';
  return [
    describeCall('get', '/admin/signing-keys', 'keyturn:signing_keys:read', {
      tag,
      id: 'listSigningKeys',
      summary: 'List the signing keys',
      answer: answerJson(200, 'SigningKeyList', 'The whole ring, oldest first.'),
    }),
    describeCall('post', '/admin/signing-keys', 'keyturn:signing_keys:create', {
      tag,
      id: 'importSigningKey',
      summary: 'Bring a signing key',
      body: jsonBody('SigningKeyImport', {
        jwk: { kty: 'EC', crv: 'P-256', x: '…', y: '…', d: '…' },
        activate: false,
      }),
      answer: answerJson(201, 'SigningKey', 'The key.'),
      codes: ['conflict', 'validation_failed'],
    }),
    describeCall('post', '/admin/signing-keys/rotate', 'keyturn:signing_keys:create', {
      tag,
      id: 'rotateSigningKeys',
      summary: 'Publish the next signing key',
      body: { ...jsonBody('SigningKeyRotation', { now: false }), required: false },
      answer: answerJson(201, 'SigningKey', 'The key that signs next, or now.'),
      codes: ['conflict', 'validation_failed'],
    }),
    describeCall('post', '/admin/signing-keys/{kid}/revoke', 'keyturn:signing_keys:update', {
      tag,
      id: 'revokeSigningKey',
      summary: 'End a signing key, and every token that it has signed',
      parameters: [{ name: 'kid', in: 'path', required: true, schema: Type.String({ minLength: 1 }) }],
      answer: answerJson(200, 'SigningKey', 'The key as it was.'),
      codes: ['not_found', 'conflict'],
    }),
    describeCall('get', '/admin/peppers', 'keyturn:signing_keys:read', {
      tag,
      id: 'reportPeppers',
      summary: 'Count the secrets under each pepper',
      answer: answerJson(200, 'PepperReport', 'Takes as long as there are keys.'),
    }),
  ];
}

function reportOperations(): Operation[] {
  return [
    describeCall('get', '/admin/audit', 'keyturn:audit:read', {
      tag: 'Audit',
      id: 'listAudit',
      summary: 'List who did what',
      parameters: parametersOf(auditQuerySchema),
      answer: answerJson(
        200,
        'AuditPage',
        'Newest first; may be short where `next` says that there are more.',
      ),
    }),
    describeCall('get', '/admin/audit/verification', 'keyturn:audit:read', {
      tag: 'Audit',
      id: 'verifyAudit',
      summary: 'Check the chain of the audit',
      answer: answerJson(200, 'AuditVerification', 'What was found.'),
    }),
    describeCall('get', '/admin/features', 'keyturn:catalogue:read', {
      tag: 'Catalogue',
      id: 'listFeatures',
      summary: 'List the features',
      answer: answerJson(200, 'FeatureList', 'As they are loaded.'),
    }),
    describeCall('get', '/admin/controllers', 'keyturn:catalogue:read', {
      tag: 'Catalogue',
      id: 'listControllers',
      summary: 'List the controllers',
      answer: answerJson(200, 'ControllerList', 'As they are loaded.'),
    }),
  ];
}

const accountId: Parameter = {
  name: 'id',
  in: 'path',
  required: true,
  schema: accountName,
  example: 'owner',
};
