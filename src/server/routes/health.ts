/** `/livez`: the process answers. `/readyz`: it can do its work, or says what keeps it from that. */
import { problemDocument, problemMediaType } from '../../protocol/problem-document.ts';
import type { AppMiddleware } from '../context.ts';

export const livez: AppMiddleware = ctx => {
  ctx.type = 'application/json';
  ctx.body = '{"status":"ok"}';
};

/** @param check resolves with what keeps the service from working, if anything does */
export function createReadyz(check: () => Promise<string | undefined>): AppMiddleware {
  return async ctx => {
    const obstacle = await check();
    if (obstacle === undefined) {
      ctx.type = 'application/json';
      ctx.body = '{"status":"ready"}';
      return;
    }
    ctx.status = 503;
    ctx.set('Retry-After', '1');
    ctx.set('Content-Type', problemMediaType);
    ctx.body = JSON.stringify(problemDocument('store_unavailable', obstacle));
  };
}
