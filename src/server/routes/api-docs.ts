/** `/openapi.json`, and `/docs`, which shows it: both made once, at the start. */
import { readFileSync } from 'node:fs';
import type Router from '@koa/router';
import type { AppState } from '../context.ts';
import { createOpenApiDocument, type DocumentFacts } from '../openapi/document.ts';
import { createDocsPage } from '../openapi/page.ts';
import { publishDocument, publishText } from '../publish.ts';

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

/** Of the package, from its source as from what is built of it. */
function readVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return version;
}
