/** The whole document: OpenAPI 3.1 of the service as it is configured. */
import type { Catalogue } from '../../config/catalogue.ts';
import { describeAdmin } from './admin-operations.ts';
import { headers } from './answers.ts';
import { describeDiscovery } from './discovery-operations.ts';
import { describeOAuth } from './oauth-operations.ts';
import { describeOperation, type Operation, securitySchemes } from './operation.ts';
import { describeResources } from './resource-operations.ts';
import { schemas } from './schemas.ts';
import { type DocumentedOperation, shareResponses } from './shared-responses.ts';
import { describeForwardAuth } from './verify-operations.ts';

export interface DocumentFacts {
  readonly issuer: string;
  /** Whether `/metrics` is served here, and not on a port of its own. */
  readonly hasMetrics: boolean;
  readonly catalogue: Pick<Catalogue, 'controllers'>;
  /** Of the service. */
  readonly version: string;
}

export function createOpenApiDocument({ issuer, hasMetrics, catalogue, version }: DocumentFacts) {
  const operations = shareTemplates(
    nameApart([
      ...describeOAuth(),
      ...describeAdmin(),
      ...describeForwardAuth(),
      ...describeDiscovery(issuer, hasMetrics),
      ...describeResources(catalogue),
    ]),
  );
  const { documented, responses } = shareResponses(operations.map(describeOperation));
  return {
    openapi: '3.1.0',
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    info: { title: 'Keyturn', version, description },
    servers: [{ url: issuer }],
    tags: [...new Set(operations.map(({ tag }) => tag))].map(name => ({ name })),
    paths: collectPaths(operations, documented),
    components: { schemas, responses, headers, securitySchemes },
  };
}

export type OpenApiDocument = ReturnType<typeof createOpenApiDocument>;

const description = [
  'An API key becomes a short-lived access token, which opens the routes of its feature.',
  'HEAD is answered wherever GET is, and OPTIONS on each of these paths; their other methods are 405, other paths 404.',
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
function shareTemplates(operations: readonly Operation[]): Operation[] {
  const templates = new Map<string, string>();
  return operations.map(operation => {
    const shape = operation.path.replaceAll(/\{[^}]+\}/g, '{}');
    const path = templates.get(shape) ?? operation.path;
    templates.set(shape, path);
    return path === operation.path ? operation : renameParameters(operation, path);
  });
}

function renameParameters(operation: Operation, path: string): Operation {
  const names = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name = '']) => name);
  const parameters = operation.parameters?.map(parameter =>
    parameter.in === 'path' ? { ...parameter, name: names.shift() ?? parameter.name } : parameter,
  );
  return { ...operation, path, ...(parameters !== undefined && { parameters }) };
}

/** By path, and there by method. */
function collectPaths(
  operations: readonly Operation[],
  documented: readonly DocumentedOperation[],
): Record<string, Record<string, DocumentedOperation>> {
  const paths: Record<string, Record<string, DocumentedOperation>> = {};
  for (const [place, operation] of documented.entries()) {
    const { path = '', method = '' } = operations[place] ?? {};
    paths[path] = { ...paths[path], [method]: operation };
  }
  return paths;
}
