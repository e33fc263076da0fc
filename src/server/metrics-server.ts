/** Where `/metrics` is served: alone on `KEYTURN_METRICS_PORT`, or without that on the main port. */
import Router from '@koa/router';
import Koa from 'koa';
import type { Logger } from 'pino';
import type { AppMiddleware, AppState } from './context.ts';
import { createErrorHandler } from './error-handler.ts';
import { listen } from './http-server.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { createMetricsRoute } from './routes/metrics.ts';
import { securityHeaders } from './security-headers.ts';
import { refuseUnrouted } from './unrouted.ts';

export interface ServedMetrics {
  readonly metrics: Metrics;
  /** For the main port; undefined where there is another for it. */
  readonly metricsRoute: AppMiddleware | undefined;
  close(): Promise<void>;
}

/** @throws the error of `listen`, as `EADDRINUSE` */
export async function serveMetrics(
  { host, metricsPort }: { readonly host: string; readonly metricsPort?: number | undefined },
  logger: Logger,
): Promise<ServedMetrics> {
  const metrics = createMetrics();
  const route = createMetricsRoute(metrics);
  if (metricsPort === undefined) return { metrics, metricsRoute: route, close: async () => undefined };
  const app = createMetricsApp(route, logger);
  const { port, close } = await listen({ host, port: metricsPort }, async (_port, answerWith) =>
    answerWith(app.callback()),
  );
  logger.info({ port }, '/metrics is served on a port of its own');
  return { metrics, metricsRoute: undefined, close: () => close(grace) };
}

/** Milliseconds for a scrape that is under way. */
const grace = 500;

function createMetricsApp(route: AppMiddleware, logger: Logger): Koa<AppState> {
  const app = new Koa<AppState>();
  const router = new Router<AppState>({ sensitive: true, strict: true });
  router.get('/metrics', route);
  app.use(securityHeaders);
  app.use(createErrorHandler(logger));
  app.use(router.routes());
  app.use(refuseUnrouted);
  return app;
}
