/** Owns the catalogue's words: what a feature, a controller and a route are. parse-catalogue.ts reads the two files. */
import type { Door } from '../protocol/doors.ts';
import type { SigningAlgorithm, TokenType } from '../protocol/token-header.ts';

/** What the two files declare, checked against each other. Lookups are by exact name. */
export interface Catalogue {
  readonly features: ReadonlyMap<string, Feature>;
  /** Those of controllers.json, in its order. The service's own are {@link SERVICE_CONTROLLERS}. */
  readonly controllers: ReadonlyMap<string, Controller>;
  /** Those of controllers.json that want their tokens otherwise than the rest. */
  readonly audiences: ReadonlyMap<string, Audience>;
}

/** A named set of scopes and controllers. One with a `role` belongs to accounts of that role: no key is made with it. */
export interface Feature {
  readonly name: string;
  readonly title?: string;
  readonly scopes: readonly string[];
  /** Names of controllers; also `GraphQL:*` (any GraphQL path) and `GraphQL:/path`. */
  readonly controllers: readonly string[];
  readonly role?: Role;
  /** Names in a key's `customData` without which the key is not saved. */
  readonly requiredCustomData: readonly string[];
}

/** What an audience wants of its tokens; what is absent is as for all. */
export interface Audience {
  readonly audience: string;
  readonly alg?: SigningAlgorithm;
  readonly typ?: TokenType;
}

/** What answers: `upstream` (a reverse proxy), `collection` (documents in the store), or a server that guards itself. */
export type Controller = UpstreamController | CollectionController | ElsewhereController;

export interface UpstreamController extends ControllerBase {
  /** An http or https base URL, without credentials, query or fragment. */
  readonly upstream: string;
  readonly collection?: undefined;
  readonly elsewhere?: undefined;
  readonly forward?: 'jwt';
  /** Seconds. */
  readonly timeout?: number;
  readonly routes: readonly UpstreamRoute[];
}

export interface CollectionController extends ControllerBase {
  readonly upstream?: undefined;
  readonly collection: string;
  readonly elsewhere?: undefined;
  readonly forward?: undefined;
  readonly timeout?: undefined;
  readonly routes: readonly CollectionRoute[];
}

/** Its routes, if it has any, are for proxies that ask whether a call may pass. */
export interface ElsewhereController extends ControllerBase {
  readonly upstream?: undefined;
  readonly collection?: undefined;
  readonly elsewhere: true;
  readonly forward?: undefined;
  readonly timeout?: undefined;
  readonly routes: readonly UpstreamRoute[];
}

interface ControllerBase {
  readonly name: string;
  /** The audience its tokens need, where it is not the service's default. */
  readonly audience?: string;
  readonly doors: readonly Door[];
  /** What lacks a valid `sc_apikey` is refused, whatever else it has. */
  readonly requireApiKey: boolean;
}

export type Route = UpstreamRoute | CollectionRoute;

export interface UpstreamRoute extends RouteBase {
  readonly collection?: undefined;
  readonly operation?: undefined;
}

export interface CollectionRoute extends RouteBase {
  /** The route's own collection, else its controller's. */
  readonly collection: string;
  readonly operation: Operation;
}

interface RouteBase {
  /** Never HEAD: GET implies it. */
  readonly methods: readonly Method[];
  readonly path: string;
  readonly scope: string;
  /** The called path needs an entry `GraphQL:<path>` besides the controller. */
  readonly graphqlPath: boolean;
}

export type Role = (typeof ROLES)[number];
export type Method = (typeof METHODS)[number];
export type Operation = (typeof OPERATIONS)[number];
export type ServiceController = (typeof SERVICE_CONTROLLERS)[number];

export const ROLES = ['owner', 'admin', 'member'] as const;
export const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
/** What a route does with its collection. */
export const OPERATIONS = [
  'list',
  'create',
  'read',
  'update',
  'delete',
  'test',
  'list-children',
  'create-child',
  'layout',
  'placeholder',
  'dictionary',
  'graphql',
  'event',
  'odata-item',
] as const;

/** Guarded by the code itself: features name them, controllers.json cannot declare them. */
export const SERVICE_CONTROLLERS = [
  'Keyturn.Keys',
  'Keyturn.Accounts',
  'Keyturn.SigningKeys',
  'Keyturn.Audit',
  'Keyturn.Catalogue',
  'Keyturn.Introspection',
] as const;

/**
 * What a route that names no operation does: without a parameter `list` or `create`, with one at its end `read`,
 * `update` or `delete`. Undefined where its methods ask for none of these or for several.
 */
export function inferOperation(methods: readonly Method[], path: string): Operation | undefined {
  return operationsFor(path).find(name => methods.every(method => OPERATION_METHODS[name].includes(method)));
}

/** The methods that may ask for an operation. */
export const OPERATION_METHODS: Readonly<Record<Operation, readonly Method[]>> = {
  list: ['GET'],
  create: ['POST'],
  read: ['GET'],
  update: ['PUT', 'PATCH'],
  delete: ['DELETE'],
  test: ['POST'],
  'list-children': ['GET'],
  'create-child': ['POST'],
  layout: ['GET'],
  placeholder: ['GET'],
  dictionary: ['GET'],
  graphql: ['GET', 'POST'],
  event: ['POST'],
  'odata-item': ['GET'],
};

function operationsFor(path: string): Operation[] {
  if (/\/:[^/]+$/.test(path)) return ['read', 'update', 'delete'];
  return /\/[:*]/.test(path) ? [] : ['list', 'create'];
}
