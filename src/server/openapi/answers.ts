/** The answers of an operation: by status, in each manner in which its callers are answered. */
import { type OAuthErrorCode, oauthErrors, type ProblemCode, problems } from '../../protocol/errors.ts';
import { problemMediaType } from '../../protocol/problem-document.ts';
import { referTo, type SchemaName } from './schemas.ts';

/** One way in which a status is answered; an operation may have several of one status. */
export interface Answer {
  readonly status: number | 'default';
  readonly description: string;
  readonly headers?: readonly HeaderName[];
  /** Absent where there is no body. */
  readonly type?: string;
  readonly schema?: SchemaName;
  /** What the body says in the member of its schema that tells errors apart. */
  readonly code?: string;
}

export interface DescribedResponse {
  readonly description: string;
  readonly headers?: Readonly<Record<string, object>>;
  readonly content?: Readonly<Record<string, { readonly schema: object }>>;
}

export type HeaderName = keyof typeof headers;

/** What an answer may carry; what is not required is there in some cases. */
export const headers = {
  ETag: {
    required: true,
    description: 'Of the resource as it now is: to be sent as `If-Match`, or as `If-None-Match`.',
    schema: { type: 'string', pattern: '^"[^"]+"$' },
  },
  Location: {
    required: true,
    description: 'Where the new resource is found.',
    schema: { type: 'string', format: 'uri-reference' },
  },
  'Retry-After': {
    required: true,
    description: 'Seconds to wait.',
    schema: { type: 'string', pattern: '^[1-9][0-9]*$' },
  },
  'WWW-Authenticate': {
    description: 'The challenge (RFC 6750, RFC 7617), for a caller that Bearer or Basic may help.',
    schema: { type: 'string', pattern: '^(Bearer|Basic) ' },
  },
  'X-Keyturn-Key-Id': { required: true, schema: { type: 'string' } },
  'X-Keyturn-Feature': { required: true, schema: { type: 'string' } },
  'X-Keyturn-Scope': { required: true, description: 'Space-separated.', schema: { type: 'string' } },
  'X-Keyturn-Controller': { required: true, schema: { type: 'string' } },
  'X-Keyturn-User': {
    required: true,
    description: 'The impersonation user or the account; empty where there is none.',
    schema: { type: 'string' },
  },
  'X-Keyturn-Custom-Data': {
    required: true,
    description: 'base64url of JSON; empty where there is none.',
    schema: { type: 'string' },
  },
} as const;

export function answerJson(
  status: number,
  schema: SchemaName,
  description: string,
  carried: readonly HeaderName[] = [],
): Answer {
  return { status, description, headers: carried, type: 'application/json', schema };
}

/** RFC 9457, each code under its status. */
export function answerProblems(codes: readonly ProblemCode[]): Answer[] {
  return codes.map(code => ({
    status: problems[code].status,
    description: describeCode(code, problems[code].title),
    headers: usualHeaders(problems[code].status),
    type: problemMediaType,
    schema: 'Problem',
    code,
  }));
}

/** RFC 6749 section 5.2. @param status where it is not the code's own */
export function answerOAuthError(code: OAuthErrorCode, status = oauthErrors[code].status): Answer {
  return {
    status,
    description: describeCode(code, oauthErrors[code].log),
    headers: usualHeaders(status),
    type: 'application/json',
    schema: 'OAuthError',
    code,
  };
}

export function describeCode(code: string, text: string): string {
  return `\`${code}\`: ${text}`;
}

/** By status; answers of one status become one, with the content of each. */
export function combineAnswers(answers: readonly Answer[]): Record<string, DescribedResponse> {
  const statuses = [...new Set(answers.map(answer => answer.status))];
  // Numbers come first, in their order, as members of an object do.
  return Object.fromEntries(
    statuses.map(status => [status, combine(answers.filter(answer => answer.status === status))]),
  );
}

/** The member of a schema that tells errors apart. */
const codeMembers: Partial<Record<SchemaName, string>> = { Problem: 'code', OAuthError: 'error' };

function usualHeaders(status: number): HeaderName[] {
  if (status === 429 || status === 503) return ['Retry-After'];
  return status === 401 || status === 403 ? ['WWW-Authenticate'] : [];
}

function combine(answers: readonly Answer[]): DescribedResponse {
  const carried = unique(answers.flatMap(answer => answer.headers ?? []));
  const types = unique(answers.flatMap(({ type }) => type ?? []));
  const content = types.map(type => [
    type,
    { schema: anyOf(answers.filter(answer => answer.type === type)) },
  ]);
  return {
    description: unique(answers.map(({ description }) => description)).join('\n\n'),
    ...(carried.length > 0 && {
      headers: Object.fromEntries(carried.map(name => [name, { $ref: `#/components/headers/${name}` }])),
    }),
    ...(types.length > 0 && { content: Object.fromEntries(content) }),
  };
}

function anyOf(answers: readonly Answer[]): object {
  const names = unique(answers.flatMap(({ schema }) => schema ?? []));
  const schemas = names.map(name =>
    narrow(name, unique(answers.flatMap(({ schema, code }) => (schema === name && code) || []))),
  );
  const [only = {}, ...others] = schemas;
  return others.length === 0 ? only : { anyOf: schemas };
}

function narrow(name: SchemaName, codes: readonly string[]): object {
  const member = codeMembers[name];
  return { ...referTo(name), ...(member !== undefined && { properties: { [member]: { enum: codes } } }) };
}

function unique<T>(list: readonly T[]): T[] {
  return [...new Set(list)];
}
