/** The guarded resource routes, as the catalogue that is loaded declares them. */
import type {
  Catalogue,
  Controller,
  Method as RouteMethod,
  Operation as Deed,
  Route,
} from '../../config/catalogue.ts';
import type { ProblemCode } from '../../protocol/errors.ts';
import { type Answer, answerJson, answerProblems } from './answers.ts';
import { refusedAtDoors } from './door-refusals.ts';
import { securityAtDoors } from './door-security.ts';
import type { Body, Method, Operation, Parameter } from './operation.ts';
import { refusedAnywhere, refusedBody, tooSlow } from './refusals.ts';
import type { SchemaName } from './schemas.ts';

export function describeResources({ controllers }: Pick<Catalogue, 'controllers'>): Operation[] {
  const answered = [...controllers.values()].filter(
    ({ upstream, collection }) => upstream !== undefined || collection !== undefined,
  );
  return answered.flatMap(controller =>
    controller.routes.flatMap(route => route.methods.map(method => describeRoute(controller, route, method))),
  );
}

function describeRoute(controller: Controller, route: Route, method: RouteMethod): Operation {
  const sendsBody = method !== 'GET' && method !== 'DELETE';
  return {
    method: method.toLowerCase() as Method,
    path: templateOf(route.path),
    id: idOf(method, route.path),
    tag: controller.name,
    ...(route.graphqlPath && {
      description: 'The key needs the controller `GraphQL:` and the path that is called, besides.',
    }),
    security: securityAtDoors(controller, [route.scope]),
    ...(route.operation === undefined
      ? describeBehind(controller, route, sendsBody)
      : describeDeed(deeds[route.operation], controller, route, sendsBody)),
  };
}

type RouteFacts = Pick<Operation, 'summary' | 'parameters' | 'body' | 'answers'>;

/** Whatever the server behind says is handed on, beside refusals of our own. */
function describeBehind({ doors }: Controller, route: Route, sendsBody: boolean): RouteFacts {
  const refusals = [
    ...refusedAtDoors(doors, route.graphqlPath),
    ...answerProblems([...refusedAnywhere, 'request_timeout', 'upstream_unreachable', 'upstream_timeout']),
  ];
  const statuses = new Set(refusals.map(({ status }) => status));
  return {
    summary: 'Answered by the server behind',
    parameters: pathParameters(route.path),
    ...(sendsBody && { body: anyBody }),
    answers: [...refusals, ...[...statuses, 'default' as const].map(answerBehind)],
  };
}

function answerBehind(status: Answer['status']): Answer {
  return { status, description: 'What the server behind answers.', type: '*/*', schema: 'Anything' };
}

function describeDeed(
  facts: DeedFacts,
  controller: Controller,
  route: Route,
  sendsBody: boolean,
): RouteFacts {
  const isGraphql = route.graphqlPath || route.operation === 'graphql';
  return {
    summary: `${facts.summary} (${route.collection})`,
    parameters: [...pathParameters(route.path), ...(sendsBody ? [] : (facts.query ?? []))],
    ...(sendsBody && { body: facts.body ?? anyBody }),
    answers: [
      ...facts.answers,
      ...refusedAtDoors(controller.doors, isGraphql),
      ...answerProblems([...refusedAnywhere, ...(sendsBody ? refusedBody : []), ...(facts.codes ?? [])]),
      ...(sendsBody ? [tooSlow] : []),
    ],
  };
}

/** What a collection does, and how it is asked. */
interface DeedFacts {
  readonly summary: string;
  readonly query?: readonly Parameter[];
  readonly body?: Body;
  readonly answers: readonly Answer[];
  readonly codes?: readonly ProblemCode[];
}

const document = answerJson(200, 'Document', 'The document.');
const newDocument = answerJson(201, 'Document', 'The new document.');
const documents = answerJson(200, 'DocumentList', 'A page of documents, oldest first.');
const body = (schema: SchemaName, example: object): Body => ({
  required: false,
  types: ['application/json'],
  schemas: [schema],
  example,
});
const anyBody: Body = { required: false, types: ['*/*'], schemas: ['Anything'] };
const written = body('AnyDocument', { name: 'Example' });
const query = (name: string, description?: string): Parameter => ({
  name,
  in: 'query',
  ...(description !== undefined && { description }),
  schema: { type: 'string' },
});
const page = [query('limit', 'Documents on a page: 100 where it is absent.'), query('offset')];
const language = query('sc_lang', 'en where it is absent.');

const deeds: Record<Deed, DeedFacts> = {
  list: { summary: 'List documents', query: page, answers: [documents] },
  create: { summary: 'Make a document', body: written, answers: [newDocument] },
  read: { summary: 'Read a document', answers: [document], codes: ['not_found'] },
  update: {
    summary: 'Change a document',
    body: written,
    answers: [document],
    codes: ['not_found', 'conflict'],
  },
  delete: { summary: 'End a document', answers: [document], codes: ['not_found', 'conflict'] },
  test: {
    summary: 'Test a document',
    body: written,
    answers: [answerJson(200, 'TestedDocument', 'What was sent: a collection runs nothing.')],
  },
  'list-children': { summary: 'List documents of another', query: page, answers: [documents] },
  'create-child': {
    summary: 'Make a document of another',
    body: written,
    answers: [newDocument],
    codes: ['not_found'],
  },
  layout: {
    summary: 'Render a page',
    query: [query('item', 'The path of the page: `/` where it is absent.'), language],
    answers: [
      answerJson(200, 'LayoutPage', 'The page.'),
      answerJson(404, 'LayoutPage', 'There is no such page: `route` is null.'),
    ],
  },
  placeholder: {
    summary: 'Render a placeholder',
    query: [language],
    answers: [answerJson(200, 'LayoutPlaceholder', 'What is in it.')],
  },
  dictionary: { summary: 'Read a dictionary', answers: [answerJson(200, 'Dictionary', 'Its phrases.')] },
  graphql: {
    summary: 'Ask by GraphQL',
    query: [query('query', 'A GraphQL query.')],
    body: body('GraphqlRequest', {
      query: '{ layout(routePath: "/", language: "en") { item { rendered } } }',
    }),
    answers: [
      answerJson(200, 'GraphqlAnswer', 'The answer.'),
      answerJson(400, 'GraphqlErrors', 'There is no query.'),
    ],
  },
  event: {
    summary: 'Track events',
    body: body('Anything', [{ type: 'PAGE_VIEW' }]),
    answers: [answerJson(200, 'AnyDocument', 'They were heard.')],
  },
  'odata-item': { summary: 'Read items', answers: [answerJson(200, 'ODataItems', 'The items.')] },
};

/** `:name` and `*name` are `{name}`: OpenAPI has no word for a parameter with slashes in it. */
function templateOf(path: string): string {
  return path.replaceAll(variable, '/{$2}');
}

function pathParameters(path: string): Parameter[] {
  return [...path.matchAll(variable)].map(([, sign, name = '']) => pathParameter(name, sign === '*'));
}

function pathParameter(name: string, hasSlashes: boolean): Parameter {
  return {
    name,
    in: 'path',
    required: true,
    ...(hasSlashes && { description: 'May contain slashes.' }),
    schema: { type: 'string' },
  };
}

const variable = /\/([:*])([^/]+)/g;

/** From the method and the path alone: other routes come and go, and it stays. */
function idOf(method: RouteMethod, path: string): string {
  const words = path.replaceAll(variable, '/by-$2').split(/[^A-Za-z0-9]+/);
  return method.toLowerCase() + words.map(word => word.slice(0, 1).toUpperCase() + word.slice(1)).join('');
}
