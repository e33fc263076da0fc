/** What is served while there is nothing to serve from: that the process lives, how it fares, and what it waits for. */
import Router from '@koa/router';
import Koa from 'koa';
import type { Logger } from 'pino';
import { Problem } from '../protocol/errors.ts';
import { createClientAddress } from './client-address.ts';
import type { AppMiddleware, AppState } from './context.ts';
import { createErrorHandler } from './error-handler.ts';
import type { Metrics } from './metrics.ts';
import { createRequestLog } from './request-log.ts';
import { answerForNginx } from './routes/auth-verify.ts';
import { livez } from './routes/health.ts';
import { securityHeaders } from './security-headers.ts';

export interface WaitingAppOptions {
  readonly logger: Logger;
  readonly settings: { readonly trustedProxies: readonly string[] };
  readonly metrics: Pick<Metrics, 'count'>;
  /** Answers `/metrics`, where that is not on a port of its own. */
  readonly metricsRoute: AppMiddleware | undefined;
}

/** @param waitingFor `store_unavailable`: the store; `not_initialised`: a deployment in it */
export function createWaitingApp(
  waitingFor: 'store_unavailable' | 'not_initialised',
  { logger, settings: { trustedProxies }, metrics, metricsRoute }: WaitingAppOptions,
): Koa<AppState> {
  const app = new Koa<AppState>();
  const router = new Router<AppState>({ sensitive: true, strict: true });
  router.get('/livez', livez);
  if (metricsRoute !== undefined) router.get('/metrics', metricsRoute);
  app.use(createRequestLog(logger, createClientAddress(trustedProxies), metrics));
  app.use(securityHeaders);
  app.use(answerForNginx);
  app.use(createErrorHandler(logger));
  app.use(router.routes());
  app.use(() => {
    throw new Problem(
      waitingFor,
      waitingFor === 'store_unavailable' ? 'The store is not reachable: try again.' : undefined,
    );
  });
  return app;
}
