/**
 * The site's GraphQL endpoint, for the queries that JSS sends: a page, the site's root, the dictionary. It reads no GraphQL,
 * but tells them by their words; a real site has a GraphQL server here.
 */
import { findPage, findPhrases } from './content.ts';

interface Query {
  readonly query?: string;
  readonly variables?: { readonly language?: string };
}

export function answerGraphql(body: unknown): object {
  const { query = '', variables = {} } = (body ?? {}) as Query;
  const argument = (name: string) => new RegExp(`\\b${name}:\\s*"([^"]*)"`).exec(query)?.[1];
  const language = variables.language ?? argument('language') ?? 'en';
  return {
    data: {
      ...(query.includes('layout(') && { layout: findLayout(argument('routePath') ?? '/', language) }),
      ...(query.includes('search(') && { search: searchDictionary(language) }),
    },
  };
}

function findLayout(path: string, language: string): object {
  const route = findPage(path, language);
  const rendered = { sitecore: { context: { pageEditing: false, language }, route } };
  return { item: route && { rendered }, homePage: { rootItem: [{ id: root }] } };
}

const root = '00000000000000000000000000000001';

function searchDictionary(language: string): object {
  const results = Object.entries(findPhrases(language)).map(([key, phrase]) => ({
    key: { value: key },
    phrase: { value: phrase },
  }));
  return { total: results.length, pageInfo: { hasNext: false, endCursor: '' }, results };
}
