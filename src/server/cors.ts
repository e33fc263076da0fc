/**
 * CORS for guarded routes, by two rules. A real request is answered by the caller's own origins; a preflight carries no
 * credential, so it is answered by the key in the query, or by what any active key for that controller would allow.
 */
import { isForPagesOf } from '../issuer/api-key.ts';
import type { ApiKeys } from '../issuer/api-keys.ts';
import { unusableBecause } from '../issuer/authenticate-key.ts';
import { createOriginUnion, type OriginUnion, type OriginUnionOptions } from '../issuer/origin-union.ts';
import { distinctApiKeys, readCredentials } from '../protocol/credentials.ts';
import { parseGuid } from '../protocol/guid.ts';
import { allowsOrigin, parseOrigin } from '../protocol/origin.ts';
import { StoreUnavailable } from '../store/store.ts';
import type { AppContext, AppMiddleware } from './context.ts';

export interface Cors {
  /** Adds the headers to whatever answer follows, errors included. */
  answers(controller: string): AppMiddleware;
  /** Answers `OPTIONS`. */
  preflight(controllers: readonly string[], methods: readonly string[]): AppMiddleware;
}

export interface CorsOptions extends OriginUnionOptions {
  readonly apiKeys: Pick<ApiKeys, 'find'> & OriginUnionOptions['apiKeys'];
}

export function createCors(options: CorsOptions): Cors {
  const union = createOriginUnion(options);
  return {
    answers: controller => async (ctx, next) => {
      ctx.vary(varying);
      try {
        await next();
      } finally {
        const origin = ctx.req.headers.origin;
        if (origin !== undefined && (await mayRead(ctx, origin, controller, union))) allow(ctx, origin);
      }
    },
    preflight: (controllers, methods) => async ctx => {
      ctx.vary(varying);
      ctx.status = 204;
      // Browsers go by `Access-Control-Max-Age`; a proxy that keeps answers to OPTIONS goes by this.
      ctx.set('Cache-Control', 'no-store');
      ctx.set('Allow', [...methods, 'OPTIONS'].join(', '));
      const origin = ctx.req.headers.origin;
      if (origin === undefined || ctx.req.headers['access-control-request-method'] === undefined) return;
      if (!(await mayPreflight(ctx, origin, controllers, union, options))) return;
      allow(ctx, origin);
      ctx.set('Access-Control-Allow-Methods', methods.join(', '));
      ctx.set('Access-Control-Allow-Headers', requestHeaders);
      ctx.set('Access-Control-Max-Age', '600');
    },
  };
}

/** By name: `*` is no wildcard where credentials are allowed. */
const requestHeaders = 'Authorization, Content-Type, sc_apikey, X-SF-Access-Key';
const responseHeaders = 'WWW-Authenticate, Retry-After, ETag, Location';
const varying = ['Origin', 'Authorization', 'sc_apikey', 'X-SF-Access-Key'];

/** Always the exact origin. `null` is every sandboxed page there is: it gets no headers, not even under `*`. */
function allow(ctx: AppContext, origin: string): void {
  const serialised = parseOrigin(origin);
  if (serialised === undefined) return;
  ctx.set('Access-Control-Allow-Origin', origin);
  ctx.set('Access-Control-Allow-Credentials', 'true');
  ctx.set('Access-Control-Expose-Headers', responseHeaders);
}

/** Whether the page may read this answer: by the caller's own origins, or where nobody is known, by the union. */
async function mayRead(
  ctx: AppContext,
  origin: string,
  controller: string,
  union: OriginUnion,
): Promise<boolean> {
  const { access } = ctx.state;
  if (access?.token !== undefined) return allowsOrigin(access.token.origins, origin);
  try {
    return await union(origin, controller);
  } catch (error) {
    if (error instanceof StoreUnavailable) return false;
    throw error;
  }
}

async function mayPreflight(
  ctx: AppContext,
  origin: string,
  controllers: readonly string[],
  union: OriginUnion,
  { apiKeys, clock }: CorsOptions,
): Promise<boolean> {
  const [named, ...others] = distinctApiKeys(readCredentials({}, ctx.querystring));
  if (others.length > 0) return false;
  if (named === undefined) {
    const answers = await Promise.all(controllers.map(controller => union(origin, controller)));
    return answers.includes(true);
  }
  const id = parseGuid(named);
  const key = id === undefined ? undefined : (await apiKeys.find(id))?.value;
  if (key === undefined || unusableBecause(key, clock()) !== undefined) return false;
  return isForPagesOf(key, origin);
}
