/** One operation as the tables of this folder say it, and as the document does (OpenAPI 3.1 section 4.8.10). */
import { type Answer, combineAnswers } from './answers.ts';
import { referTo, type SchemaName } from './schemas.ts';

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';

export interface Operation {
  readonly method: Method;
  /** As OpenAPI writes it: `/admin/keys/{id}`. */
  readonly path: string;
  /** In camel case, the same in every version: clients are made with it. */
  readonly id: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  /** Each of them suffices; none: open to all. */
  readonly security: readonly Security[];
  readonly parameters?: readonly Parameter[];
  readonly body?: Body;
  readonly answers: readonly Answer[];
  /** Where it is not under the issuer. */
  readonly server?: string;
}

export type Security = Readonly<Partial<Record<SecurityName, readonly string[]>>>;
export type SecurityName = keyof typeof securitySchemes;

/** How callers show who they are. */
export const securitySchemes = {
  accessToken: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'An access token from `/oauth/token`. An operation names the scope that it has to have.',
  },
  apiKey: {
    type: 'http',
    scheme: 'basic',
    description: 'The whole key string as the password; the user name is the id of the key, or empty.',
  },
  scApiKeyQuery: {
    type: 'apiKey',
    in: 'query',
    name: 'sc_apikey',
    description:
      'The id of a key whose doors include `sc_apikey`, as a GUID in any form. Beside an access token its controllers and origins bind, too.',
  },
  scApiKeyHeader: {
    type: 'apiKey',
    in: 'header',
    name: 'sc_apikey',
    description: 'As in the query; the same where it is in both.',
  },
  sfAccessKey: {
    type: 'apiKey',
    in: 'header',
    name: 'X-SF-Access-Key',
    description: "An account's access key: the whole key string.",
  },
} as const;

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required?: boolean;
  readonly description?: string;
  readonly schema: object;
  readonly example?: string;
}

export interface Body {
  readonly required: boolean;
  readonly types: readonly string[];
  /** One, or any one of several. */
  readonly schemas: readonly SchemaName[];
  readonly example?: object;
}

export type DescribedOperation = ReturnType<typeof describeOperation>;

export function describeOperation(operation: Operation) {
  const { id, tag, summary, description, security, parameters = [], body, answers, server } = operation;
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description !== undefined && { description }),
    security,
    ...(server !== undefined && { servers: [{ url: server }] }),
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined && { requestBody: describeBody(body) }),
    responses: combineAnswers(answers),
  };
}

/** The parameters of a query, from the schema that checks it. */
export function parametersOf({ properties, required = [] }: Query): Parameter[] {
  return Object.entries<object>(properties).map(([name, schema]) =>
    parameterOf(name, schema, required.includes(name)),
  );
}

interface Query {
  readonly properties: Readonly<Record<string, object>>;
  readonly required?: readonly string[];
}

function parameterOf(
  name: string,
  { description, ...schema }: { readonly description?: string },
  required: boolean,
): Parameter {
  return { name, in: 'query', required, ...(description !== undefined && { description }), schema };
}

function describeBody({ required, types, schemas, example }: Body) {
  const [first = {}, ...others] = schemas.map(referTo);
  const schema: object = others.length === 0 ? first : { anyOf: [first, ...others] };
  const content = { schema, ...(example !== undefined && { example }) };
  return { required, content: Object.fromEntries(types.map(type => [type, content])) };
}
