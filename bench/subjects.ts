/** What is measured: each subject by name, with what it stands for. */

export const subjects = {
  'node:http': 'the floor: node:http, a constant answer',
  koa: 'a bare Koa route with @koa/router, a constant answer',
  'koa, token sent': 'the same route and answer, for a request that carries a token nobody reads',
  'koa, guarded': 'the same route, answer and request, behind the guard',
  'list, guarded': "the service's GET /v2/connections, five documents, embedded store",
  'exchange, embedded': "the service's POST /oauth/token, ES256, embedded store",
  'exchange, redis': "the service's POST /oauth/token, ES256, key in Redis",
  'exchange, bare':
    'node:http, one auto-pipelined GET in Redis, HMAC, ES256 by node:crypto: no checks, no log',
} as const;

export type Subject = keyof typeof subjects;

export function isSubject(name: string): name is Subject {
  return Object.hasOwn(subjects, name);
}

export function needsRedis(subject: Subject): boolean {
  return subject === 'exchange, redis' || subject === 'exchange, bare';
}

/** The request that a subject's server is to be asked. */
export interface Target {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** What the bench asks of the process that serves a subject. */
export type Question = 'cpu' | 'stop';

/** What that process says: once where it listens, then the CPU time it has used, in microseconds. */
export type Answer = { readonly target: Target } | { readonly cpu: number };
