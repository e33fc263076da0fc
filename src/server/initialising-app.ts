/** What is served while the store holds no deployment: that the process lives, and what its operator has to do. */
import Koa from 'koa';
import type { Logger } from 'pino';
import { Problem } from '../protocol/errors.ts';
import type { AppState } from './context.ts';
import { createErrorHandler } from './error-handler.ts';

export function createInitialisingApp(logger: Logger): Koa<AppState> {
  const app = new Koa<AppState>();
  app.use(createErrorHandler(logger));
  app.use(ctx => {
    if (ctx.path !== '/livez') throw new Problem('not_initialised');
    ctx.type = 'application/json';
    ctx.body = '{"status":"ok"}';
  });
  return app;
}
