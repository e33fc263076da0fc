/** Sitecore's JSS client as a site uses it: its services with one key, and what each of them tells its caller. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type * as Root from '@sitecore-jss/sitecore-jss';
import type * as I18n from '@sitecore-jss/sitecore-jss/i18n.js';
import type * as Layout from '@sitecore-jss/sitecore-jss/layout.js';
import type * as Tracking from '@sitecore-jss/sitecore-jss/tracking.js';

/** Its ESM build cannot be imported by Node; the other one works there. */
const require = createRequire(import.meta.url);
const { AxiosDataFetcher, GraphQLRequestClient } = require('@sitecore-jss/sitecore-jss') as typeof Root;
const { GraphQLLayoutService, RestLayoutService } =
  require('@sitecore-jss/sitecore-jss/layout') as typeof Layout;
const { GraphQLDictionaryService, RestDictionaryService } =
  require('@sitecore-jss/sitecore-jss/i18n') as typeof I18n;
const { trackingApi } = require('@sitecore-jss/sitecore-jss/tracking') as typeof Tracking;

/** Any constructor of the client's: where it sends what, and as whom. */
export interface JssSettings {
  /** The base URL of the service. */
  readonly url: string;
  /** As in `SITECORE_API_KEY`; an empty text where a site has none. */
  readonly apiKey: string;
  /** Further headers, as a browser or a site adds them. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The path of the GraphQL endpoint. */
  readonly graphql?: string;
}

export type Jss = ReturnType<typeof createJss>;

const [siteName, language] = ['app', 'en'];

export function createJss({ url, apiKey, headers = {}, graphql = '/api/app' }: JssSettings) {
  // The client as it comes, unless it has something to add to every request.
  const fetcher = () => {
    const axios = new AxiosDataFetcher({ headers: { ...headers } });
    return <T>(address: string, data?: unknown) => axios.fetch<T>(address, data);
  };
  const adds = Object.keys(headers).length > 0;
  const rest = { apiHost: url, apiKey, siteName };
  const clientFactory = (options: object = {}) =>
    new GraphQLRequestClient(url + graphql, { ...options, apiKey, headers: { ...headers }, retries: 0 });
  const pages = new RestLayoutService({ ...rest, ...(adds && { dataFetcherResolver: fetcher }) });
  const graphqlPages = new GraphQLLayoutService({ siteName, clientFactory });
  return {
    layout: (path = '/', req?: IncomingMessage, res?: ServerResponse) =>
      pages.fetchLayoutData(path, language, req, res),
    placeholder: () => pages.fetchPlaceholderData('main', '/', language),
    dictionary: () =>
      new RestDictionaryService({
        ...rest,
        cacheEnabled: false,
        ...(adds && { dataFetcher: fetcher() }),
      }).fetchDictionaryData(language),
    track: () =>
      // Out of a browser it sends nothing, unless it is told that this is a test.
      trackingApi.trackEvent([{ goalId: 'Bought' }], {
        host: url,
        querystringParams: { sc_apikey: apiKey, sc_site: siteName },
        fetcher: fetcher(),
        test: true,
      }),
    graphql: (query = '{ layout { item { id } } }') =>
      clientFactory().request<Record<string, unknown>>(query),
    graphqlLayout: (path = '/') => graphqlPages.fetchLayoutData(path, language),
    graphqlDictionary: (useSiteQuery: boolean) =>
      new GraphQLDictionaryService({
        siteName,
        clientFactory,
        useSiteQuery,
        cacheEnabled: false,
      }).fetchDictionaryData(language),
  };
}

/** What each service has to say of the page at `/`. */
export async function everythingOf(jss: Jss): Promise<Record<string, unknown>> {
  return {
    layout: await jss.layout(),
    graphqlLayout: await jss.graphqlLayout(),
    placeholder: await jss.placeholder(),
    dictionary: await jss.dictionary(),
    graphqlDictionary: await jss.graphqlDictionary(false),
    track: await jss.track(),
    graphql: await jss.graphql('{ anything }'),
  };
}

/** What a caller of the client can see of a call that failed. */
export interface Report {
  readonly status: number | undefined;
  /** What there is to read: the `detail` of the answer, or the message of a GraphQL client's error. */
  readonly text: string;
}

/** @throws where the call did not fail */
export async function reportOf(call: Promise<unknown>): Promise<Report> {
  try {
    await call;
  } catch (error) {
    const { message, response } = error as ClientFailure;
    return { status: response?.status, text: response?.data?.detail ?? message };
  }
  throw new Error('the call did not fail');
}

/** By every way that a key can be sent: REST by query, GraphQL by header. */
export async function reportsOf(jss: Jss): Promise<Record<string, Report>> {
  const { layout, placeholder, dictionary, track, graphql, graphqlLayout } = jss;
  const calls = { layout, placeholder, dictionary, track, graphql, graphqlLayout };
  const reports = Object.entries(calls).map(async ([name, call]) => [name, await reportOf(call())] as const);
  return Object.fromEntries(await Promise.all(reports));
}

interface ClientFailure {
  readonly message: string;
  readonly response?: { readonly status: number; readonly data?: { readonly detail?: string } };
}
