/** What a Sitecore site with one empty page would answer, in the shapes that its clients parse. */
import type { CollectionAnswer, CollectionCall } from './collection-call.ts';

export function answerSitecore({ route, parameters, query, body }: CollectionCall): CollectionAnswer {
  switch (route.operation) {
    case 'layout':
      return layout(query);
    case 'placeholder':
      return { status: 200, body: { sitecore: { context: context(query) }, elements: [] } };
    case 'dictionary':
      return { status: 200, body: { app: parameters[0], lang: parameters[1], phrases: {} } };
    case 'graphql':
      return graphql(query, body);
    case 'odata-item':
      return { status: 200, body: { value: [] } };
    default:
      return { status: 200, body: {} };
  }
}

/** Clients take a 404 with a body for layout data: it is the answer to a missing item, and to nothing else. */
function layout(query: URLSearchParams): CollectionAnswer {
  const item = query.get('item') ?? '/';
  if (item !== '/') return { status: 404, body: { sitecore: { context: context(query), route: null } } };
  const route = { name: 'home', displayName: 'Home', fields: {}, placeholders: {} };
  return { status: 200, body: { sitecore: { context: context(query), route } } };
}

function context(query: URLSearchParams): Record<string, unknown> {
  return { pageEditing: false, language: query.get('sc_lang') ?? 'en' };
}

function graphql(query: URLSearchParams, body: Readonly<Record<string, unknown>>): CollectionAnswer {
  const text = body['query'] ?? query.get('query');
  return typeof text === 'string' && text !== ''
    ? { status: 200, body: { data: {} } }
    : { status: 400, body: { errors: [{ message: 'A GraphQL query is required.' }] } };
}
