/** What every answer says to browsers, whatever it is. */
import type { Middleware } from 'koa';

export const securityHeaders: Middleware = (ctx, next) => {
  ctx.set('X-Content-Type-Options', 'nosniff');
  ctx.set('Referrer-Policy', 'no-referrer');
  return next();
};
