/** What is served while there is nothing to serve from: that the process lives, and what it waits for. */
import Koa from 'koa';
import type { Logger } from 'pino';
import { Problem } from '../protocol/errors.ts';
import { createClientAddress } from './client-address.ts';
import type { AppState } from './context.ts';
import { createErrorHandler } from './error-handler.ts';
import { createRequestLog } from './request-log.ts';
import { answerForNginx } from './routes/auth-verify.ts';

/** @param waitingFor `store_unavailable`: the store; `not_initialised`: a deployment in it */
export function createWaitingApp(
  logger: Logger,
  waitingFor: 'store_unavailable' | 'not_initialised',
): Koa<AppState> {
  const app = new Koa<AppState>();
  app.use(createRequestLog(logger, createClientAddress([])));
  app.use(answerForNginx);
  app.use(createErrorHandler(logger));
  app.use(ctx => {
    if (ctx.path !== '/livez') throw new Problem(waitingFor);
    ctx.type = 'application/json';
    ctx.body = '{"status":"ok"}';
  });
  return app;
}
