/**
 * `/auth/verify`: may this request pass? Asked by a proxy in front of somebody else's server, and answered as the
 * request itself would be here.
 */
import type Router from '@koa/router';
import type { Middleware } from 'koa';
import type { ForwardAuth, ForwardedRequest } from '../../gateway/forward-auth.ts';
import { Problem } from '../../protocol/errors.ts';
import type { AppContext, AppMiddleware, AppState } from '../context.ts';
import type { Cors } from '../cors.ts';
import { grantedCaller, type DoorGuardMiddlewareOptions, isLetIn } from '../door-guard.ts';
import type { ResourceTable } from '../resource-table.ts';

export interface AuthVerifyOptions extends DoorGuardMiddlewareOptions {
  readonly forwardAuth: ForwardAuth;
  readonly table: ResourceTable;
  readonly cors: Cors;
  /** Whether the peer may speak for others. */
  readonly isProxyTrusted: (request: AppContext['req']) => boolean;
}

export function addAuthVerifyRoutes(router: Router<AppState>, options: AuthVerifyOptions): void {
  const { forwardAuth } = options;
  const verify = createVerify(ctx => forwardAuth.read(ctx.req.headers), options);
  router.all('/auth/verify', verify);
  router.all(nginxPath, verify);
  // Envoy asks with the method of the request itself, and puts its path behind ours.
  router.all(
    '/auth/verify/envoy',
    envoyPath,
    createVerify(ctx => forwardAuth.describe(ctx.method, ctx.url.replace(envoyPath, '')), options),
  );
}

const nginxPath = '/auth/verify/nginx';
const envoyPath = /^\/auth\/verify\/envoy(?=\/)/;

function createVerify(
  read: (ctx: AppContext) => ForwardedRequest,
  options: AuthVerifyOptions,
): AppMiddleware {
  return async ctx => {
    ctx.set('Cache-Control', 'no-store');
    if (!options.isProxyTrusted(ctx.req)) throw new Problem('proxy_not_trusted');
    const asked = read(ctx);
    const entry = options.table.find(asked.method, asked.path);
    if (entry === undefined)
      throw new Problem('not_found', 'No controller has a route for the forwarded request.');
    const { controller, demandAt } = entry;
    await options.cors.answers(controller.name)(ctx, async () => {
      if (!(await isLetIn(ctx, asked.search, demandAt(asked.path), options))) return;
      ctx.status = 200;
      ctx.set(options.forwardAuth.identify(grantedCaller(ctx.state), controller.name));
      ctx.body = '';
    });
  };
}

/**
 * nginx makes a 500 of everything but 2xx, 401 and 403: whatever is neither is a refusal. It stands outside the routes, for
 * faults and the front door's answers to become one too.
 */
export const answerForNginx: Middleware = async (ctx, next) => {
  await next();
  if (ctx.path !== nginxPath) return;
  const status = ctx.status === 200 ? 204 : ctx.status === 401 ? 401 : 403;
  // Koa writes nothing as JSON where the answer was JSON.
  ctx.remove('Content-Type');
  ctx.body = null;
  ctx.status = status;
};
