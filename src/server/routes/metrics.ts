/** `/metrics`, for a Prometheus server to scrape. */
import type { AppMiddleware } from '../context.ts';
import type { Metrics } from '../metrics.ts';

export function createMetricsRoute(metrics: Pick<Metrics, 'contentType' | 'read'>): AppMiddleware {
  return async ctx => {
    const text = await metrics.read();
    ctx.set('Cache-Control', 'no-store');
    ctx.set('Content-Type', metrics.contentType);
    ctx.body = text;
  };
}
