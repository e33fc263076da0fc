/** What every call of the admin API has, beside what each says of itself. */
import type { ProblemCode } from '../../protocol/errors.ts';
import { type Answer, answerProblems } from './answers.ts';
import type { Body, Method, Operation, Parameter } from './operation.ts';
import { refusedAnywhere, refusedBody, refusedToken, tooSlow } from './refusals.ts';
import type { SchemaName } from './schemas.ts';

/** What a call says of itself. */
interface AdminFacts extends Pick<Operation, 'tag' | 'id' | 'summary' | 'description'> {
  readonly parameters?: readonly Parameter[];
  readonly body?: Body;
  readonly answer: Answer;
  readonly codes?: readonly ProblemCode[];
}

export function describeCall(method: Method, path: string, scope: string, facts: AdminFacts): Operation {
  const { answer, codes = [], parameters = [], ...rest } = facts;
  const isReading = method === 'get';
  return {
    ...rest,
    method,
    path,
    security: [{ accessToken: [scope] }],
    parameters: [...parameters, ...(method === 'post' ? [idempotencyKey] : [])],
    answers: [
      answer,
      ...answerProblems([
        ...refusedAnywhere,
        ...refusedToken,
        ...(isReading ? [] : refusedBody),
        ...(method === 'post' ? repeatedRequest : []),
        ...codes,
      ]),
      ...(isReading ? [] : [tooSlow]),
    ],
  };
}

export function jsonBody(schema: SchemaName, example: object): Body {
  return { required: true, types: ['application/json'], schemas: [schema], example };
}

export function patchBody(schema: SchemaName, example: object): Body {
  return { ...jsonBody(schema, example), types: ['application/merge-patch+json', 'application/json'] };
}

export const gone: Answer = { status: 204, description: 'It is gone.' };

export const ifMatch: Parameter = {
  name: 'If-Match',
  in: 'header',
  description: 'The `ETag` that the resource must have: nothing is done where it has another.',
  schema: { type: 'string' },
};

const repeatedRequest: readonly ProblemCode[] = ['idempotency_outcome_unknown', 'idempotency_key_reused'];

const idempotencyKey: Parameter = {
  name: 'Idempotency-Key',
  in: 'header',
  description: 'A request that is repeated with it within a day gets the same answer, and is done once.',
  schema: { type: 'string', pattern: '^[\\x21-\\x7e]{1,255}$' },
};
