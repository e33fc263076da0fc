/** The operations of a proxy in front: may this request pass? */
import { DOORS } from '../../protocol/doors.ts';
import { type Answer, answerProblems, type HeaderName } from './answers.ts';
import { refusedAtDoors } from './door-refusals.ts';
import { securityAtDoors } from './door-security.ts';
import type { Operation, Parameter } from './operation.ts';
import { refusedAnywhere } from './refusals.ts';

const tag = 'Forward auth';

export function describeForwardAuth(): Operation[] {
  return [
    {
      method: 'get',
      path: '/auth/verify',
      id: 'verifyRequest',
      tag,
      summary: 'Whether a request may pass',
      description: described('Any method does.'),
      security: everyDoor(),
      parameters: forwardedRequest(),
      answers: answers(),
    },
    {
      method: 'get',
      path: '/auth/verify/nginx',
      id: 'verifyRequestForNginx',
      tag,
      summary: 'The same, in three answers',
      description: described('nginx makes a 500 of every other status. Any method does.'),
      security: everyDoor(),
      parameters: forwardedRequest(),
      answers: [
        { status: 204, description: 'It may.', headers: identity() },
        {
          status: 401,
          description: 'It may not, without another credential.',
          headers: ['WWW-Authenticate'],
        },
        { status: 403, description: 'It may not.' },
      ],
    },
    {
      method: 'get',
      path: '/auth/verify/envoy/{path}',
      id: 'verifyRequestForEnvoy',
      tag,
      summary: 'The same, of the path behind this one',
      description: described('With the method of the request itself.'),
      security: everyDoor(),
      parameters: [
        {
          name: 'path',
          in: 'path',
          required: true,
          description: 'The path of the request, and its query. May contain slashes.',
          schema: { type: 'string' },
        },
      ],
      answers: answers(),
    },
  ];
}

function described(more: string): string {
  return `For the addresses in KEYTURN_TRUSTED_PROXIES alone. The credential is read from the request that is asked about. ${more}`;
}

/** Which of them count is for the route that is asked about. */
function everyDoor(): Operation['security'] {
  return securityAtDoors({ doors: DOORS, requireApiKey: false }, []);
}

/** Those of them that are there have to agree. */
function forwardedRequest(): Parameter[] {
  return ['X-Original-Method', 'X-Original-URI', 'X-Forwarded-Method', 'X-Forwarded-Uri'].map(name => ({
    name,
    in: 'header',
    schema: { type: 'string' },
  }));
}

function answers(): Answer[] {
  return [
    { status: 200, description: 'It may. The fields say who calls.', headers: identity() },
    ...refusedAtDoors(DOORS, false),
    ...refusedAtDoors(DOORS, true),
    ...answerProblems([...refusedAnywhere, 'proxy_not_trusted', 'not_found']),
  ];
}

function identity(): HeaderName[] {
  return [
    'X-Keyturn-Key-Id',
    'X-Keyturn-Feature',
    'X-Keyturn-Scope',
    'X-Keyturn-Controller',
    'X-Keyturn-User',
    'X-Keyturn-Custom-Data',
  ];
}
