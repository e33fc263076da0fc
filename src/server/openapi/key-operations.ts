/** The operations on API keys, and of a key on itself. */
import { keyQuerySchema } from '../routes/admin-queries.ts';
import { describeCall, gone, ifMatch, jsonBody, patchBody } from './admin-operation.ts';
import { answerJson } from './answers.ts';
import { type Operation, type Parameter, parametersOf } from './operation.ts';

export function describeKeyCalls(): Operation[] {
  const tag = 'API keys';
  const shown = answerJson(200, 'Key', 'The key as it now is.', ['ETag']);
  const withSecret = (description: string) => answerJson(201, 'KeyWithSecret', description);
  const step = (name: 'publish' | 'disable' | 'enable' | 'revoke', summary: string) =>
    describeCall('post', `/admin/keys/{id}/${name}`, 'keyturn:keys:update', {
      tag,
      id: `${name}Key`,
      summary,
      parameters: [keyId, ifMatch],
      answer: shown,
      codes: ['not_found', 'precondition_failed', ...(name === 'revoke' ? [] : (['conflict'] as const))],
    });
  return [
    describeCall('post', '/admin/keys', 'keyturn:keys:create', {
      tag,
      id: 'createKey',
      summary: 'Make a key',
      body: jsonBody('NewKey', { name: 'Model tests', feature: 'connections' }),
      answer: answerJson(201, 'KeyWithSecret', 'The key, and its key string, once.', ['Location']),
      codes: ['validation_failed'],
    }),
    describeCall('get', '/admin/keys', 'keyturn:keys:read', {
      tag,
      id: 'listKeys',
      summary: 'List keys',
      parameters: parametersOf(keyQuerySchema),
      answer: answerJson(200, 'KeyPage', 'A page of keys.'),
    }),
    describeCall('get', '/admin/keys/{id}', 'keyturn:keys:read', {
      tag,
      id: 'showKey',
      summary: 'Show a key',
      parameters: [keyId],
      answer: shown,
      codes: ['not_found'],
    }),
    describeCall('patch', '/admin/keys/{id}', 'keyturn:keys:update', {
      tag,
      id: 'updateKey',
      summary: 'Change a key',
      description:
        'A member replaces, `null` removes, what is absent stays (RFC 7396). What narrows ends its tokens.',
      parameters: [keyId, ifMatch],
      body: patchBody('KeyPatch', { expiresAt: '2030-01-31T12:00:00Z' }),
      answer: shown,
      codes: ['not_found', 'conflict', 'precondition_failed', 'validation_failed'],
    }),
    describeCall('delete', '/admin/keys/{id}', 'keyturn:keys:delete', {
      tag,
      id: 'deleteKey',
      summary: 'End a key and every token of it, and forget it',
      parameters: [keyId, ifMatch],
      answer: gone,
      codes: ['not_found', 'precondition_failed'],
    }),
    step('publish', 'Make a draft usable'),
    step('disable', 'Disable a key, and end its tokens'),
    step('enable', 'Enable a disabled key'),
    step('revoke', 'End a key for good, and every token of it'),
    describeCall('post', '/admin/keys/{id}/rotations', 'keyturn:own_keys:update', {
      tag,
      id: 'rotateKey',
      summary: 'Give a key a new secret',
      description: 'Who may not change keys may rotate those that the account owns.',
      parameters: [keyId],
      body: jsonBody('Rotation', { mode: 'overlap', grace: 3600 }),
      answer: withSecret('The key, and its new key string, once.'),
      codes: ['role_not_allowed', 'not_found', 'conflict', 'validation_failed'],
    }),
    describeCall('delete', '/admin/keys/{id}/rotations/current', 'keyturn:own_keys:update', {
      tag,
      id: 'cancelKeyRotation',
      summary: 'Take the new secret back',
      parameters: [keyId, ifMatch],
      answer: shown,
      codes: ['role_not_allowed', 'not_found', 'conflict', 'precondition_failed'],
    }),
    {
      ...describeCall('post', '/keys/self/rotations', '', {
        tag,
        id: 'rotateOwnKey',
        summary: 'Give oneself a new secret',
        description: 'By HTTP Basic with the key itself, or with a token of it that was not narrowed.',
        body: jsonBody('Rotation', { mode: 'overlap', grace: 3600 }),
        answer: withSecret('The key, and its new key string, once.'),
        codes: ['key_invalid', 'not_found', 'conflict', 'validation_failed', 'too_many_requests'],
      }),
      security: [{ apiKey: [] }, { accessToken: [] }],
    },
  ];
}

const keyId: Parameter = {
  name: 'id',
  in: 'path',
  required: true,
  description: 'The id of a key, as a GUID in any form.',
  schema: { type: 'string' },
  example: '0f1e2d3c-4b5a-4978-8697-a5b4c3d2e1f0',
};
