/** The same guarded routes behind Koa, Express, Hono and plain fetch, each on a port of its own. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import Router from '@koa/router';
import express from 'express';
import { Hono } from 'hono';
import Koa from 'koa';
import * as expressGuard from '../../src/middleware/express.ts';
import * as fetchGuard from '../../src/middleware/fetch.ts';
import * as koaGuard from '../../src/middleware/koa.ts';

export type GuardOptions = koaGuard.GuardOptions;
export type RouteDemand = koaGuard.RouteDemand;

export interface GuardedRoute {
  /** Without parameters: every router spells those in its own way. */
  readonly path: string;
  readonly demand: RouteDemand;
}

export interface Doorway {
  readonly name: string;
  readonly url: string;
  readonly port: number;
  ready(): Promise<void>;
  close(): Promise<void>;
}

export async function openDoorways(
  options: GuardOptions,
  routes: readonly GuardedRoute[],
): Promise<Doorway[]> {
  const doorways = [behindKoa, behindExpress, behindHono, behindFetch].map(open => open(options, routes));
  return Promise.all(doorways);
}

/** What a route answers: who was let in. */
function describeCaller(caller: koaGuard.Caller): object {
  const { door, clientId, keyVersion, feature, user, customData, visitor } = caller;
  const lists = [caller.audiences, caller.scopes, caller.controllers, caller.origins].map(list =>
    Array.from(list),
  );
  return { door, clientId, keyVersion, feature, user, customData, visitor, lists };
}

async function behindKoa(options: GuardOptions, routes: readonly GuardedRoute[]): Promise<Doorway> {
  const guard = koaGuard.createGuard(options);
  const router = new Router<koaGuard.GuardState>();
  for (const { path, demand } of routes) {
    router.all(path, guard(demand), ctx => {
      ctx.body = describeCaller(koaGuard.grantedCaller(ctx));
    });
  }
  return serve('koa', new Koa<koaGuard.GuardState>().use(router.routes()).callback(), guard);
}

async function behindExpress(options: GuardOptions, routes: readonly GuardedRoute[]): Promise<Doorway> {
  const guard = expressGuard.createGuard(options);
  // A router within an application: the guard must see the whole URL, not what is left of it.
  const [app, router] = [express(), express.Router()];
  for (const { path, demand } of routes) {
    router.all(path, guard(demand), (req, res) => {
      res.json(describeCaller(expressGuard.grantedCaller(req)));
    });
  }
  return serve('express', app.use('/', router), guard);
}

async function behindHono(options: GuardOptions, routes: readonly GuardedRoute[]): Promise<Doorway> {
  const guard = fetchGuard.createGuard(options);
  const app = new Hono<{ Variables: { caller: koaGuard.Caller } }>();
  for (const { path, demand } of routes) {
    app.use(path, async (c, next) => {
      const { caller, response } = await guard(c.req.raw, demand);
      if (response !== undefined) return response;
      c.set('caller', caller);
      return next();
    });
    app.all(path, c => c.json(describeCaller(c.get('caller'))));
  }
  return serve('hono', getRequestListener(app.fetch), guard);
}

async function behindFetch(options: GuardOptions, routes: readonly GuardedRoute[]): Promise<Doorway> {
  const guard = fetchGuard.createGuard(options);
  const answer = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    const route = routes.find(({ path }) => path === pathname);
    if (route === undefined) return new Response(null, { status: 404 });
    const access = await guard(request, route.demand);
    return access.response ?? Response.json(describeCaller(access.caller));
  };
  return serve('fetch', getRequestListener(answer), guard);
}

async function serve(
  name: string,
  answer: (req: IncomingMessage, res: ServerResponse) => unknown,
  guard: Pick<koaGuard.KoaGuard, 'ready' | 'close'>,
): Promise<Doorway> {
  const server = createServer((req, res) => void answer(req, res));
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    name,
    port,
    url: `http://127.0.0.1:${port}`,
    ready: () => guard.ready(),
    async close() {
      guard.close();
      await end(server);
    },
  };
}

function end(server: Server): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
