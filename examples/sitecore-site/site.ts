/**
 * A small Sitecore-like site to put behind Keyturn: two pages by layout service and GraphQL, a dictionary, tracking, and
 * items by OData. It guards nothing itself: whatever reaches it was let in, and the `X-Keyturn-…` fields say as whom.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { answerGraphql } from './graphql.ts';
import { findPage, findPhrases, items, placeholderOf } from './content.ts';

/** @param say is told of every request, one line each */
export function createSite(say: (line: string) => void): Server {
  return createServer((req, res) => {
    answer(req, res, say).catch((error: unknown) => res.destroy(error as Error));
  });
}

/** One request, as the routes below see it. */
interface Call {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly query: URLSearchParams;
  /** What the groups of the route's path matched. */
  readonly parts: readonly string[];
  readonly body: unknown;
}

type Route = readonly [method: string, path: RegExp, show: (call: Call) => object];

const routes: readonly Route[] = [
  ['GET', /^\/sitecore\/api\/layout\/render\/[^/]+$/, showPage],
  ['GET', /^\/sitecore\/api\/layout\/placeholder\/[^/]+$/, showPlaceholder],
  ['GET', /^\/sitecore\/api\/jss\/dictionary\/([^/]+)\/([^/]+)$/, showDictionary],
  ['POST', /^\/sitecore\/api\/jss\/track\/event$/, takeEvents],
  ['GET', /^\/sitecore\/api\/ssc\/aggregate\/content\/Items$/, listItems],
  ['POST', /^\/(?:sitecore\/api\/graph\/edge|api\/[^/]+)$/, ({ body }) => answerGraphql(body)],
  ['', /^/, showNothing],
];

async function answer(req: IncomingMessage, res: ServerResponse, say: (line: string) => void): Promise<void> {
  const { pathname, searchParams: query } = new URL(req.url ?? '/', 'http://site');
  const body = await readJson(req);
  for (const [method, path, show] of routes) {
    const parts = path.exec(pathname);
    if (parts === null || !['', req.method].includes(method)) continue;
    const text = JSON.stringify(show({ req, res, query, parts: parts.slice(1), body }));
    const { user, feature } = callerOf(req);
    say(`${res.statusCode} ${req.method} ${req.url} for ${user || 'nobody'} (${feature})`);
    res.setHeader('Content-Type', 'application/json; charset=utf-8').end(text);
    return;
  }
}

/** What Keyturn says of the caller. Whoever could reach this server past Keyturn could say it too. */
function callerOf({ headers }: IncomingMessage) {
  const field = (name: string) => decodeURIComponent(String(headers[`x-keyturn-${name}`] ?? ''));
  const customData = Buffer.from(field('custom-data'), 'base64url').toString();
  return {
    keyId: field('key-id'),
    feature: field('feature'),
    scope: field('scope'),
    controller: field('controller'),
    user: field('user'),
    customData: (customData === '' ? {} : JSON.parse(customData)) as Record<string, string>,
  };
}

function showPage({ req, res, query }: Call): object {
  const language = query.get('sc_lang') || 'en';
  const route = findPage(query.get('item') ?? '/', language);
  // The answer to an item that is not there; a client takes any 404 for this one.
  if (route === null) res.statusCode = 404;
  if (query.get('tracking') === 'true') recogniseVisitor(req, res);
  return { sitecore: { context: { pageEditing: false, language, user: callerOf(req).user }, route } };
}

/** Sitecore's cookie of a visitor goes through Keyturn both ways. */
function recogniseVisitor(req: IncomingMessage, res: ServerResponse): void {
  if (req.headers.cookie?.includes('SC_ANALYTICS_GLOBAL_COOKIE=')) return;
  res.setHeader('Set-Cookie', `SC_ANALYTICS_GLOBAL_COOKIE=${randomUUID()}|False; Path=/; HttpOnly`);
}

function showPlaceholder({ query }: Call): object {
  const language = query.get('sc_lang') || 'en';
  const route = findPage(query.get('item') ?? '/', language);
  const elements = placeholderOf(route, query.get('placeholderName') ?? '');
  return { sitecore: { context: { pageEditing: false, language }, elements } };
}

function showDictionary({ parts: [app = '', language = ''] }: Call): object {
  return { app, lang: language, phrases: findPhrases(language) };
}

function takeEvents({ body }: Call): object {
  return { taken: Array.isArray(body) ? body.length : 0 };
}

function showNothing({ res }: Call): object {
  res.statusCode = 404;
  return { message: 'There is nothing here.' };
}

/** A real service would look for what was asked; this one shows it. */
function listItems({ req, query }: Call): object {
  const caller = callerOf(req);
  return {
    '@odata.context': '/sitecore/api/ssc/aggregate/content/$metadata#Items',
    value: items,
    asked: { database: caller.customData['Database'], filter: query.get('$filter') },
    caller,
  };
}

async function readJson(req: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of req.setEncoding('utf8')) text += String(chunk);
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
