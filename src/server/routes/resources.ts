/** The guarded resource routes that the catalogue declares. */
import type Router from '@koa/router';
import {
  type CollectionController,
  type CollectionRoute,
  METHODS,
  type UpstreamController,
} from '../../config/catalogue.ts';
import type { Collections } from '../../gateway/collections.ts';
import { Problem } from '../../protocol/errors.ts';
import { grantedCaller } from '../door-guard.ts';
import type { Cors } from '../cors.ts';
import type { AppContext, AppMiddleware, AppState } from '../context.ts';
import type { ResourceRoute, ResourceTable } from '../resource-table.ts';
import { mediaType, parseJson, parseJsonObject, readText } from '../read-body.ts';

export interface ResourceOptions {
  readonly table: ResourceTable;
  readonly guarded: (demandAt: ResourceRoute['demandAt']) => AppMiddleware;
  readonly collections: Collections;
  /** What answers in an upstream's name. */
  readonly upstream: (controller: UpstreamController, demandAt: ResourceRoute['demandAt']) => AppMiddleware;
  readonly cors: Cors;
}

export function addResourceRoutes(router: Router<AppState>, options: ResourceOptions): void {
  const paths = new Map<string, { controllers: Set<string>; methods: Set<string> }>();
  const { cors, guarded } = options;
  for (const entry of options.table.routes) {
    const { controller, route, demandAt } = entry;
    router.register(
      route.path,
      [...route.methods],
      [cors.answers(controller.name), guarded(demandAt), answerOf(entry, options)],
    );
    const path = paths.get(route.path) ?? { controllers: new Set(), methods: new Set() };
    path.controllers.add(controller.name);
    for (const method of route.methods) path.methods.add(method);
    paths.set(route.path, path);
  }
  for (const [path, { controllers, methods }] of paths) {
    router.register(path, ['OPTIONS'], [cors.preflight([...controllers], [...methods])]);
    const others = METHODS.filter(method => !methods.has(method));
    if (others.length === 0) continue;
    const [controller = ''] = controllers;
    router.register(path, others, [cors.answers(controller), refuseMethod([...methods, 'OPTIONS'])]);
  }
}

/** Here and not behind the routes: a page that may read the answers of this path may read this one too. */
function refuseMethod(methods: readonly string[]): AppMiddleware {
  const allow = methods.join(', ');
  return () => {
    throw new Problem('method_not_allowed', `Use one of ${allow}.`, { headers: { Allow: allow } });
  };
}

function answerOf({ controller, route, demandAt }: ResourceRoute, options: ResourceOptions): AppMiddleware {
  if (controller.upstream !== undefined) return options.upstream(controller, demandAt);
  if (controller.collection !== undefined && route.collection !== undefined)
    return answerFromCollection(controller, route, options.collections);
  throw new Error('nothing here answers for the controller');
}

/** Bytes: templates hold whole pages. */
const longestBody = 1_048_576;

function answerFromCollection(
  controller: CollectionController,
  route: CollectionRoute,
  collections: Collections,
): AppMiddleware {
  const ownPath = itemPathOf(controller, route);
  return async ctx => {
    const { status, body } = await collections.answer({
      route,
      parentCollection: controller.collection,
      path: ctx.path,
      itemPath: ownPath ?? ctx.path,
      parameters: Object.values(ctx.params),
      query: new URLSearchParams(ctx.querystring),
      body: await readResource(ctx, route),
      clientId: grantedCaller(ctx.state).clientId,
    });
    ctx.status = status;
    ctx.set('Cache-Control', 'private, no-store');
    ctx.type = 'application/json';
    ctx.body = JSON.stringify(body);
  };
}

/** Where the collection's documents are read, where that does not follow from the path that was called. */
function itemPathOf({ routes }: CollectionController, { collection }: CollectionRoute): string | undefined {
  const reading = routes.find(route => route.operation === 'read' && route.collection === collection);
  const base = reading?.path.replace(/\/:[^/]+$/, '');
  return base?.includes(':') === true ? undefined : base;
}

/** JSON under the label of a form is what documented curl commands send; other types are refused. */
async function readResource(
  ctx: AppContext,
  { operation }: CollectionRoute,
): Promise<Record<string, unknown>> {
  if (ctx.method === 'GET' || ctx.method === 'HEAD' || ctx.method === 'DELETE') return {};
  const type = mediaType(ctx.req);
  if (
    type !== undefined &&
    type !== 'application/x-www-form-urlencoded' &&
    !/^application\/(?:[\w.-]+\+)?json$/.test(type)
  ) {
    throw new Problem('unsupported_media_type');
  }
  const text = await readText(ctx.req, longestBody);
  if (text === '') return {};
  // The tracker sends a list of events; everything else is one object.
  return operation === 'event' ? { events: parseJson(text) } : parseJsonObject(text);
}
