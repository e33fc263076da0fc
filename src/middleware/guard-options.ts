/** What a resource server says when it sets up its guard, and what each of its routes asks. */
import { type Door, DOORS } from '../protocol/doors.ts';
import { graphqlEndpoint } from '../protocol/controllers.ts';
import { checkNames } from '../protocol/known-names.ts';
import type { TokenType } from '../protocol/token-header.ts';
import type { ResourceDemand } from './judge.ts';
import type { WhenStale } from './remote/remote-guard.ts';
import type { ApiKeySource } from './remote/service-calls.ts';

export interface GuardOptions {
  /** Who issues the tokens: the `KEYTURN_ISSUER` of the service, to the letter. */
  readonly issuer: string;
  /** What tokens call this resource server (`aud`). */
  readonly audience: string;
  /**
   * The API key by which this server learns of revocations, of the feature `resource-server`; or a function that reads it,
   * which is asked again where the key is refused.
   */
  readonly apiKey: ApiKeySource;
  /** Where the service is reached from here. By default at the issuer. */
  readonly url?: string;
  /**
   * What becomes of a good token while nothing has been heard of revocations for `maxStaleness`: `refuse` it (503, the
   * default), `introspect` it at the service (503 where that does not answer), or `accept` it.
   */
  readonly stale?: WhenStale;
  /** Seconds, 3 to 3600; 10 by default. */
  readonly maxStaleness?: number;
  /**
   * Whether to keep a connection to the service and hear of revocations on it, which is the default. Where the runtime keeps
   * none between requests: `false`, with `stale: 'introspect'`.
   */
  readonly listen?: boolean;
  /** `JWT` where the service issues tokens of that type for this audience. */
  readonly tokenType?: TokenType;
  /** The address of this server's own metadata (RFC 9728), for its challenges. By default the service's. */
  readonly resourceMetadata?: string;
  /** Milliseconds that the service has to answer; 2,000 by default. */
  readonly timeout?: number;
  /** Told in one line when the service is lost, and when it is back. By default the console is. */
  readonly warn?: (message: string) => void;
  readonly fetch?: typeof globalThis.fetch;
}

/** `<resource>:<action>`. `manage` contains the other four. */
export type Scope = `${string}:${'create' | 'read' | 'update' | 'delete' | 'manage'}`;

/** What a route asks of its caller. */
export interface RouteDemand {
  /** The controller that the route belongs to, as features and keys name it. */
  readonly controller: string;
  readonly scope: Scope;
  /** Where it is another than the server's. */
  readonly audience?: string;
  /** The credentials that count; a token alone by default. */
  readonly doors?: readonly [Door, ...Door[]];
  /** Sitecore's `[RequiredApiKey]`: what lacks a valid `sc_apikey` is refused, whatever else it has. It needs that door. */
  readonly requireApiKey?: boolean;
  /** The path of a GraphQL endpoint: keys have to name it as `GraphQL:/path`, and an `sc_apikey` is refused with GraphQL errors. */
  readonly graphqlPath?: string;
}

/** @throws {TypeError} where the demand says what cannot be: a route must not be guarded otherwise than it says */
export function readDemand(demand: RouteDemand, audience: string): ResourceDemand {
  checkNames(demand, demandNames, 'a route');
  const { controller, scope, doors = ['bearer'], requireApiKey = false, graphqlPath } = demand;
  if (!controllerShape.test(controller ?? ''))
    throw new TypeError(
      `controller: the name of one, without ";" and ","; not ${JSON.stringify(controller)}`,
    );
  if (!scopeShape.test(scope ?? ''))
    throw new TypeError(`scope: <resource>:<action>; not ${JSON.stringify(scope)}`);
  if (doors.length === 0 || !doors.every(door => DOORS.includes(door)))
    throw new TypeError(`doors: one or more of ${DOORS.join(', ')}; not ${JSON.stringify(doors)}`);
  if (requireApiKey && !doors.includes('sc_apikey'))
    throw new TypeError('requireApiKey: it needs the door sc_apikey');
  if (graphqlPath !== undefined && !graphqlPath.startsWith('/'))
    throw new TypeError(`graphqlPath: a path from / on; not ${JSON.stringify(graphqlPath)}`);
  return {
    audience: demand.audience ?? audience,
    controllers: graphqlPath === undefined ? [controller] : [controller, graphqlEndpoint(graphqlPath)],
    scope,
    doors,
    requireApiKey,
    isGraphql: graphqlPath !== undefined,
  };
}

const demandNames = [
  'controller',
  'scope',
  'audience',
  'doors',
  'requireApiKey',
  'graphqlPath',
] satisfies (keyof RouteDemand)[];

const controllerShape = /^[^\s;,][^;,]*$/;
const scopeShape = /^[\x21\x23-\x5b\x5d-\x7e]+:(?:create|read|update|delete|manage)$/;
