/** What an upstream answers: the guarded call is sent on, and its answer becomes the route's. */
import type { ServerResponse } from 'node:http';
import type { UpstreamController } from '../../config/catalogue.ts';
import type { ReverseProxy } from '../../gateway/reverse-proxy.ts';
import type { DescribeAccess, UpstreamDemand } from '../../gateway/upstream-access.ts';
import type { UpstreamAnswer, UpstreamCall } from '../../gateway/upstream-call.ts';
import { liftBodyLimit } from '../body-deadline.ts';
import type { AppContext, AppMiddleware } from '../context.ts';
import { grantedCaller } from '../door-guard.ts';
import { upgradeOf } from '../upgrades.ts';

export interface UpstreamRouteOptions {
  readonly proxy: Pick<ReverseProxy, 'forward' | 'upgrade'>;
  /** Seconds, for controllers that name none. */
  readonly upstreamTimeout: number;
  readonly isProxyTrusted: (req: AppContext['req']) => boolean;
  /** Of a call that the guard has let in. */
  readonly upstreamAccess: DescribeAccess;
}

/** Makes what answers for a controller, behind a guard: it sends on whatever it is asked. */
export function createUpstreamRoute({
  proxy,
  upstreamTimeout,
  isProxyTrusted,
  upstreamAccess,
}: UpstreamRouteOptions) {
  return (controller: UpstreamController, demandAt: (path: string) => UpstreamDemand): AppMiddleware => {
    const { upstream, name, timeout = upstreamTimeout } = controller;
    return async ctx => {
      const access = await upstreamAccess(grantedCaller(ctx.state), controller, demandAt(ctx.path));
      const client = { address: ctx.state.address, isProxyTrusted: isProxyTrusted(ctx.req) };
      const answer = await ask(ctx, proxy, { ...access, upstream, timeout, controller: name, client });
      if (answer === undefined) return;
      ctx.state.upstreamMs = answer.ms;
      handOver(ctx, answer);
    };
  };
}

async function ask(
  ctx: AppContext,
  proxy: UpstreamRouteOptions['proxy'],
  call: UpstreamCall,
): Promise<UpstreamAnswer | undefined> {
  const upgrade = upgradeOf(ctx.req);
  if (upgrade === undefined) {
    liftBodyLimit(ctx.req);
    return proxy.forward(ctx.req, ctx.res, call);
  }
  const answer = await proxy.upgrade(ctx.req, upgrade.socket, upgrade.head, call);
  if (answer !== undefined) return answer;
  upgrade.take();
  ctx.respond = false;
  ctx.res.statusCode = 101;
  return undefined;
}

/** The head goes out with Koa's own, so that what comes round this route still adds to it. */
function handOver(ctx: AppContext, { status, fields, body }: UpstreamAnswer): void {
  ctx.status = status;
  if (body !== undefined) {
    ctx.body = body;
    // Koa's guess; the upstream's own follows, if it has one.
    ctx.remove('Content-Type');
    flushSoon(ctx.res);
  }
  for (const { name, values } of fields) {
    if (/^vary$/i.test(name)) ctx.vary(values.join(', '));
    else if (!/^x-content-type-options$/i.test(name)) ctx.set(name, [...values]);
  }
}

/** An event stream may have nothing to say for long: its head is an answer by itself. */
function flushSoon(res: ServerResponse): void {
  res.once('pipe', () => {
    setImmediate(() => {
      if (!res.headersSent && !res.destroyed) res.flushHeaders();
    });
  });
}
