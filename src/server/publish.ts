/** How public facts are served: for pages of any origin, without credentials, and kept for five minutes. */
import { createHash } from 'node:crypto';
import type Router from '@koa/router';
import type { AppMiddleware, AppState } from './context.ts';

/** Serves it, and lets pages of any origin ask whether they may have it, whatever header fields they add. */
export function addPublication(router: Router<AppState>, path: string, answer: AppMiddleware): void {
  router.get(path, answer);
  router.options(path, ctx => {
    ctx.set('Access-Control-Allow-Origin', '*');
    ctx.set('Access-Control-Allow-Methods', 'GET, HEAD');
    ctx.set('Access-Control-Allow-Headers', '*');
    ctx.set('Access-Control-Max-Age', '600');
    ctx.set('Allow', 'HEAD, GET, OPTIONS');
    ctx.status = 204;
  });
}

/** A JSON document that stays as it is. */
export function publishDocument(facts: object): AppMiddleware {
  return publishText(JSON.stringify(facts), 'application/json');
}

/** A text that stays as it is. */
export function publishText(body: string, type: string): AppMiddleware {
  const etag = `"${createHash('sha256').update(body).digest('base64url')}"`;
  return publish(() => ({ body, etag }), type);
}

/** JSON, or what else `type` says. */
export function publish(
  describe: () => { readonly body: string; readonly etag: string },
  type = 'application/json',
): AppMiddleware {
  return ctx => {
    ctx.set('Access-Control-Allow-Origin', '*');
    ctx.set('Cache-Control', 'public, max-age=300');
    const { body, etag } = describe();
    ctx.set('ETag', etag);
    if (isKnown(etag, ctx.req.headers['if-none-match'])) {
      ctx.status = 304;
      return;
    }
    ctx.type = type;
    ctx.body = body;
  };
}

/** RFC 9110 section 13.1.2, whatever caches on the way are told: `fetch` says no-cache beside every such condition. */
function isKnown(etag: string, ifNoneMatch: string | undefined): boolean {
  const tags = new Set((ifNoneMatch ?? '').split(',').map(tag => tag.trim().replace(/^W\//, '')));
  return tags.has(etag) || tags.has('*');
}
