/** The document as a test reads it: which operation a request is of, and whether an answer is one that it names. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

export interface JsonObject {
  readonly [name: string]: unknown;
}

export interface ReadOperation {
  /** In capitals. */
  readonly method: string;
  /** The template. */
  readonly path: string;
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  readonly parameters: readonly { name: string; in: string; required?: boolean; schema: JsonObject }[];
  readonly requestBody?: { content: Record<string, { schema: JsonObject; example?: JsonObject }> };
  /** By status, references followed. */
  readonly responses: Readonly<Record<string, ReadResponse>>;
}

export interface ReadResponse {
  readonly description: string;
  readonly headers: Readonly<Record<string, { required?: boolean; schema: JsonObject }>>;
  readonly content: Readonly<Record<string, { schema: JsonObject }>>;
}

export interface ReadDocument extends JsonObject {
  readonly paths: Record<string, Record<string, Omit<ReadOperation, 'method' | 'path'>>>;
  readonly servers: readonly { url: string }[];
  readonly components: { readonly schemas: Record<string, JsonObject> };
}

export async function fetchDocument(url: string): Promise<ReadDocument> {
  return (await (await fetch(`${url}/openapi.json`)).json()) as ReadDocument;
}

export function operationsOf(document: ReadDocument): ReadOperation[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => readOperation(document, path, method, operation)),
  );
}

/** An answer as it came. */
export interface HeldAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

export interface Reading {
  readonly operations: readonly ReadOperation[];
  /** The operation of a request: of several templates that fit, the one with the fewest parameters. */
  find(method: string, path: string): ReadOperation | undefined;
  /** Everything in which the answer is not what the document says. */
  faultsOf(operation: ReadOperation, answer: HeldAnswer): string[];
  /** Checks a value against a schema of the document, every object closed. */
  faultsIn(schema: JsonObject, value: unknown): string[];
}

export function readDocument(document: ReadDocument): Reading {
  const operations = operationsOf(document);
  const ajv = createValidator(document, close);
  const compiled = new Map<string, ValidateFunction>();
  const faultsIn = (schema: JsonObject, value: unknown): string[] => {
    const text = JSON.stringify(schema);
    const validate = compiled.get(text) ?? ajv.compile(localise(close(schema)));
    compiled.set(text, validate);
    if (validate(value)) return [];
    return (validate.errors ?? []).map(
      ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
    );
  };
  return {
    operations,
    find: (method, path) =>
      operations
        .filter(operation => operation.method === method.toUpperCase() && patternOf(operation).test(path))
        .toSorted((one, other) => parameterCount(one) - parameterCount(other))[0],
    faultsIn,
    faultsOf(operation, { status, headers, body }) {
      const response = operation.responses[String(status)] ?? operation.responses['default'];
      if (response === undefined) return [`the status ${status} is not documented: ${body.slice(0, 200)}`];
      return [
        ...faultsOfHeaders(response, headers, faultsIn),
        ...faultsOfBody(response, headers, body, faultsIn),
      ];
    },
  };
}

/** With every schema of the document, under its name; strict but in that a reference may be narrowed without a type. */
export function createValidator(document: ReadDocument, change: (schema: JsonObject) => JsonObject): Ajv2020 {
  const ajv = new Ajv2020({ allErrors: true, strict: true, strictTypes: false, allowUnionTypes: true });
  addFormats.default(ajv);
  for (const [name, schema] of Object.entries(document.components.schemas))
    ajv.addSchema(localise(change(schema)), name);
  return ajv;
}

/** References to the document's schemas, as the validator knows them. */
export function localise(schema: JsonObject): JsonObject {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/components/schemas/', '"')) as JsonObject;
}

/** A schema that is not said to be open takes nothing beside its members: what is not documented is found. */
function close(schema: JsonObject): JsonObject {
  const closed: Record<string, unknown> = { ...schema };
  for (const keyword of ['properties', 'patternProperties'] as const) {
    if (isObject(schema[keyword]))
      closed[keyword] = Object.fromEntries(
        Object.entries(schema[keyword]).map(([name, member]) => [
          name,
          isObject(member) ? close(member) : member,
        ]),
      );
  }
  if (Array.isArray(schema['anyOf']))
    closed['anyOf'] = schema['anyOf'].map(part => (isObject(part) ? close(part) : part));
  if (isObject(schema['items'])) closed['items'] = close(schema['items']);
  const isShape = isObject(schema['properties']) && schema['$ref'] === undefined;
  if (isShape && schema['additionalProperties'] === undefined) closed['additionalProperties'] = false;
  return closed;
}

function readOperation(
  document: ReadDocument,
  path: string,
  method: string,
  operation: Omit<ReadOperation, 'method' | 'path'>,
): ReadOperation {
  const responses = Object.entries(operation.responses).map(([status, given]) => {
    const { description = '', headers = {}, content = {} } = follow(document, given) as Partial<ReadResponse>;
    const carried = Object.entries(headers).map(([name, header]) => [name, follow(document, header)]);
    return [
      status,
      { description, headers: Object.fromEntries(carried) as ReadResponse['headers'], content },
    ];
  });
  return {
    ...operation,
    method: method.toUpperCase(),
    path,
    parameters: operation.parameters ?? [],
    responses: Object.fromEntries(responses) as ReadOperation['responses'],
  };
}

function follow(document: ReadDocument, given: object): object {
  if (!('$ref' in given)) return given;
  const way = String(given.$ref).slice(2).split('/');
  const found = way.reduce<unknown>((at, name) => (isObject(at) ? at[name] : undefined), document);
  if (isObject(found)) return found;
  throw new Error(`nothing is at ${String(given.$ref)}`);
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Only what says so takes slashes. */
function patternOf({ path, parameters }: ReadOperation): RegExp {
  const slashes = parameters.filter(parameter => JSON.stringify(parameter).includes('May contain slashes'));
  const pattern = path
    .split(/(\{[^}]+\})/)
    .map(piece => {
      if (!piece.startsWith('{')) return piece.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
      return slashes.some(({ name }) => `{${name}}` === piece) ? '.+' : '[^/]+';
    })
    .join('');
  return new RegExp(`^${pattern}$`);
}

function parameterCount({ path }: ReadOperation): number {
  return path.split('{').length;
}

type FaultsIn = Reading['faultsIn'];

function faultsOfHeaders({ headers }: ReadResponse, sent: Headers, faultsIn: FaultsIn): string[] {
  return Object.entries(headers).flatMap(([name, { required, schema }]) => {
    const value = sent.get(name);
    if (value === null) return required === true ? [`the field ${name} is missing`] : [];
    return faultsIn(schema, value).map(fault => `${name}: ${fault}`);
  });
}

function faultsOfBody({ content }: ReadResponse, sent: Headers, body: string, faultsIn: FaultsIn): string[] {
  const type = sent.get('content-type')?.split(';', 1)[0] ?? '';
  if (Object.keys(content).length === 0) return body === '' ? [] : [`there is a body: ${body.slice(0, 200)}`];
  const media = content[type] ?? content['*/*'];
  if (media === undefined) return [`the content type ${type} is not documented`];
  if (!type.endsWith('json')) return [];
  return faultsIn(media.schema, JSON.parse(body)).map(fault => `${fault} in ${body.slice(0, 300)}`);
}
