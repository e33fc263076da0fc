/** Which route of the catalogue a call belongs to, and what it asks of its caller: the same for every doorway. */
import Router from '@koa/router';
import type { Controller, Route } from '../config/catalogue.ts';
import type { ResourceDemand } from '../middleware/judge.ts';
import { graphqlEndpoint } from '../protocol/controllers.ts';

export interface ResourceRoute {
  readonly controller: Controller;
  readonly route: Route;
  /** What the route asks of its caller; a GraphQL endpoint is one beside its controller. */
  readonly demandAt: (path: string) => ResourceDemand;
}

export interface ResourceTable {
  /** Those that are answered here. */
  readonly routes: readonly ResourceRoute[];
  /** The route of a call, wherever it is answered; undefined where there is none. `HEAD` is asked for as `GET`. */
  find(method: string, path: string): ResourceRoute | undefined;
}

/** @param standard the audience of controllers that name none */
export function createResourceTable(controllers: Iterable<Controller>, standard: string): ResourceTable {
  const routes = [...controllers].flatMap(controller =>
    controller.routes.map(route => ({ controller, route, demandAt: demandOf(controller, route, standard) })),
  );
  const router = new Router({ sensitive: true, strict: true });
  const byLayer = new Map<unknown, ResourceRoute>();
  for (const entry of routes) {
    byLayer.set(
      router.register(entry.route.path, [...entry.route.methods], () => undefined),
      entry,
    );
  }
  return {
    routes: routes.filter(({ controller }) => controller.elsewhere === undefined),
    find: (method, path) => byLayer.get(router.match(path, method).pathAndMethod[0]),
  };
}

function demandOf(
  { name, doors, requireApiKey, audience }: Controller,
  { scope, graphqlPath, operation }: Route,
  standard: string,
): ResourceRoute['demandAt'] {
  const isGraphql = graphqlPath || operation === 'graphql';
  const demand = {
    audience: audience ?? standard,
    controllers: [name],
    scope,
    doors,
    requireApiKey,
    isGraphql,
  };
  if (!graphqlPath) return () => demand;
  return path => ({ ...demand, controllers: [name, graphqlEndpoint(path)] });
}
