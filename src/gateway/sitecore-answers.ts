/** What a Sitecore site with one empty page would answer, in the shapes that its clients parse. */
import type { CollectionAnswer, CollectionCall } from './collection-call.ts';

export function answerSitecore({ route, parameters, query, body }: CollectionCall): CollectionAnswer {
  switch (route.operation) {
    case 'layout':
      return layout(query);
    case 'placeholder':
      return { status: 200, body: { sitecore: { context: contextIn(query.get('sc_lang')) }, elements: [] } };
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
  const page = pageAt(query.get('item'), query.get('sc_lang'));
  return { status: page.sitecore.route === null ? 404 : 200, body: page };
}

function pageAt(item: string | null | undefined, language: string | null | undefined) {
  const home = { name: 'home', displayName: 'Home', fields: {}, placeholders: {} };
  return { sitecore: { context: contextIn(language), route: (item ?? '/') === '/' ? home : null } };
}

function contextIn(language: string | null | undefined): Record<string, unknown> {
  return { pageEditing: false, language: language ?? 'en' };
}

function graphql(query: URLSearchParams, body: Readonly<Record<string, unknown>>): CollectionAnswer {
  const text = body['query'] ?? query.get('query');
  return typeof text === 'string' && text !== ''
    ? { status: 200, body: { data: graphqlData(text) } }
    : { status: 400, body: { errors: [{ message: 'A GraphQL query is required.' }] } };
}

/** No GraphQL is read here: what clients ask for a page, its site's root and the dictionary is told by their words. */
function graphqlData(text: string): Record<string, unknown> {
  const none = { pageInfo: { hasNext: false, endCursor: '' }, results: [] };
  return {
    ...(/\blayout\s*\(/.test(text) && { layout: graphqlLayout(text) }),
    ...(/\bsearch\s*\(/.test(text) && { search: { total: 0, ...none } }),
    ...(/\bsiteInfo\s*\(/.test(text) && { site: { siteInfo: { dictionary: none } } }),
  };
}

function graphqlLayout(text: string): Record<string, unknown> {
  const argument = (name: string) => new RegExp(`\\b${name}:\\s*"([^"]{0,1000})"`).exec(text)?.[1];
  const rendered = pageAt(argument('routePath'), argument('language'));
  return {
    item: rendered.sitecore.route === null ? null : { rendered },
    homePage: { rootItem: [{ id: '00000000000000000000000000000001' }] },
  };
}
