/** `/openapi.json`, and `/docs`, which shows it: both made once, at the start. */
import type Router from '@koa/router';
import type { AppState } from '../context.ts';
import { createOpenApiDocument, type DocumentFacts } from '../openapi/document.ts';
import { createDocsPage } from '../openapi/page.ts';
import { publishDocument, publishText } from '../publish.ts';
import { readVersion } from '../version.ts';

export function addApiDocsRoutes(router: Router<AppState>, facts: Omit<DocumentFacts, 'version'>): void {
  const document = createOpenApiDocument({ ...facts, version: readVersion() });
  const { html, contentSecurityPolicy } = createDocsPage(document);
  router.get('/openapi.json', publishDocument(document));
  const page = publishText(html, 'text/html');
  router.get('/docs', (ctx, next) => {
    ctx.set('Content-Security-Policy', contentSecurityPolicy);
    return page(ctx, next);
  });
}
