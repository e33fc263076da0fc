/** The whole document: OpenAPI 3.1 of the service as it is configured. */
import type { Catalogue } from '../../config/catalogue.ts';
import { describeAdmin } from './admin-operations.ts';
import { type DescribedResponse, headers } from './answers.ts';
import { describeDiscovery } from './discovery-operations.ts';
import { describeOAuth } from './oauth-operations.ts';
import { type DescribedOperation, describeOperation, type Operation, securitySchemes } from './operation.ts';
import { describeResources } from './resource-operations.ts';
import { schemas } from './schemas.ts';
import { type Shared, shareResponses } from './shared-responses.ts';
import { describeForwardAuth } from './verify-operations.ts';

export interface DocumentFacts {
  readonly issuer: string;
  readonly catalogue: Pick<Catalogue, 'controllers'>;
  /** Of the service. */
  readonly version: string;
}

export function createOpenApiDocument({ issuer, catalogue, version }: DocumentFacts) {
  const operations = nameApart([
    ...describeOAuth(),
    ...describeAdmin(),
    ...describeForwardAuth(),
    ...describeDiscovery(issuer),
    ...describeResources(catalogue),
  ]);
  const { references, responses } = shareResponses(operations.map(describeOperation));
  return {
    openapi: '3.1.0',
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    info: { title: 'Keyturn', version, description },
    servers: [{ url: issuer }],
    tags: [...new Set(operations.map(({ tag }) => tag))].map(name => ({ name })),
    paths: collectPaths(operations, references),
    components: { schemas, responses, headers, securitySchemes },
  };
}

export type OpenApiDocument = ReturnType<typeof createOpenApiDocument>;
export type DocumentedOperation = Omit<DescribedOperation, 'responses'> & {
  readonly responses: Record<string, DescribedResponse | { readonly $ref: string }>;
};
/** Operations by method. */
type PathItem = Record<string, DocumentedOperation>;

const description = [
  'An API key becomes a short-lived access token, which opens the routes of its feature.',
  'HEAD is answered wherever GET is, OPTIONS on every path; other methods of these paths are 405, other paths 404.',
].join(' ');

/** An id that stands for two routes, as `/a-b` and `/a/b` have it, gets a number in the later one. */
function nameApart(operations: readonly Operation[]): Operation[] {
  const taken = new Set<string>();
  return operations.map(operation => {
    let { id } = operation;
    for (let count = 2; taken.has(id); count += 1) id = `${operation.id}${count}`;
    taken.add(id);
    return { ...operation, id };
  });
}

/** Templates that differ in the names of their parameters alone are one path: the first one's names are taken. */
function collectPaths(
  operations: readonly Operation[],
  references: Shared['references'],
): Record<string, PathItem> {
  const paths: Record<string, PathItem> = {};
  const templates = new Map<string, string>();
  for (const operation of operations) {
    const shape = operation.path.replaceAll(/\{[^}]+\}/g, '{}');
    const path = templates.get(shape) ?? operation.path;
    templates.set(shape, path);
    const { responses, ...rest } = describeOperation(renameParameters(operation, path));
    const shared: DocumentedOperation['responses'] = {};
    for (const [status, response] of Object.entries(responses))
      shared[status] = references.get(JSON.stringify(response)) ?? response;
    paths[path] = { ...paths[path], [operation.method]: { ...rest, responses: shared } };
  }
  return paths;
}

function renameParameters(operation: Operation, path: string): Operation {
  const names = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name = '']) => name);
  const parameters = operation.parameters?.map(parameter =>
    parameter.in === 'path' ? { ...parameter, name: names.shift() ?? parameter.name } : parameter,
  );
  return { ...operation, ...(parameters !== undefined && { parameters }) };
}
