/** `/openapi.json`, and `/docs`, which shows it: each made once, when somebody first asks for it. */
import type Router from '@koa/router';
import type { AppMiddleware, AppState } from '../context.ts';
import { createOpenApiDocument, type DocumentFacts } from '../openapi/document.ts';
import { createDocsPage } from '../openapi/page.ts';
import { addPublication, publishDocument, publishText } from '../publish.ts';
import { readVersion } from '../version.ts';

export function addApiDocsRoutes(router: Router<AppState>, facts: Omit<DocumentFacts, 'version'>): void {
  const describe = once(() => createOpenApiDocument({ ...facts, version: readVersion() }));
  const document = once(() => publishDocument(describe()));
  const page = once(() => publishPage(createDocsPage(describe())));
  addPublication(router, '/openapi.json', (ctx, next) => document()(ctx, next));
  router.get('/docs', (ctx, next) => page()(ctx, next));
}

function publishPage({ html, contentSecurityPolicy }: ReturnType<typeof createDocsPage>): AppMiddleware {
  const publish = publishText(html, 'text/html');
  return (ctx, next) => {
    ctx.set('Content-Security-Policy', contentSecurityPolicy);
    return publish(ctx, next);
  };
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
