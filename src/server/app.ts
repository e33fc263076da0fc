/** The service as a Koa application: the onion, and the table of its routes, to be read from top to bottom. */
import Router from '@koa/router';
import Koa from 'koa';
import type { Logger } from 'pino';
import type { Demand } from '../access/decide.ts';
import type { DoorGuard } from '../access/doors.ts';
import type { Guard } from '../access/guard.ts';
import type { Collections } from '../gateway/collections.ts';
import type { ForwardAuth } from '../gateway/forward-auth.ts';
import type { ReverseProxy } from '../gateway/reverse-proxy.ts';
import type { DescribeAccess } from '../gateway/upstream-access.ts';
import type { AssertionAuthenticator } from '../issuer/authenticate-assertion.ts';
import type { Exchange } from '../issuer/exchange.ts';
import type { Introspector } from '../issuer/introspect.ts';
import type { KeyGuard } from '../issuer/key-guard.ts';
import type { RevocationFeed } from '../issuer/revocation-feed.ts';
import type { Revoker } from '../issuer/revoke.ts';
import { createClientAddress, createProxyTrust } from './client-address.ts';
import type { AppMiddleware, AppState } from './context.ts';
import { createCors } from './cors.ts';
import { createDoorGuardMiddleware, demandToken } from './door-guard.ts';
import { createErrorHandler } from './error-handler.ts';
import { createFrontDoor } from './front-door.ts';
import { createCallerCheck } from './introspecting-caller.ts';
import { locateMetadata } from './metadata-paths.ts';
import type { Metrics } from './metrics.ts';
import { addPublication } from './publish.ts';
import { createRequestLog } from './request-log.ts';
import { createResourceTable } from './resource-table.ts';
import { type AdminServices, addAdminRoutes } from './routes/admin.ts';
import { addApiDocsRoutes } from './routes/api-docs.ts';
import { addAuthVerifyRoutes, answerForNginx } from './routes/auth-verify.ts';
import { createReadyz, livez } from './routes/health.ts';
import { createIntrospectionEndpoint } from './routes/oauth-introspect.ts';
import { createRevocationEvents } from './routes/oauth-revocations.ts';
import { createRevocationEndpoint } from './routes/oauth-revoke.ts';
import { createTokenEndpoint } from './routes/oauth-token.ts';
import { addResourceRoutes } from './routes/resources.ts';
import { createUpstreamRoute } from './routes/upstream.ts';
import {
  createJwks,
  createResourceMetadata,
  createServerMetadata,
  type DiscoveryOptions,
} from './routes/well-known.ts';
import { securityHeaders } from './security-headers.ts';
import { refuseUnrouted } from './unrouted.ts';

export interface AppServices extends AdminServices, DiscoveryOptions {
  readonly trustedProxies: readonly string[];
  readonly guard: Guard;
  readonly doorGuard: DoorGuard;
  readonly keyGuard: KeyGuard;
  readonly exchange: Exchange;
  readonly revoker: Revoker;
  readonly assertions: AssertionAuthenticator;
  readonly introspector: Introspector;
  readonly revocationFeed: RevocationFeed;
  readonly collections: Collections;
  readonly proxy: ReverseProxy;
  /** Seconds, for controllers that name none. */
  readonly upstreamTimeout: number;
  readonly upstreamAccess: DescribeAccess;
  readonly forwardAuth: ForwardAuth;
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, 'count'>;
  /** Answers `/metrics`, where that is not on a port of its own. */
  readonly metricsRoute: AppMiddleware | undefined;
  /** Resolves with what keeps the service from working, if anything does. */
  readonly readiness: () => Promise<string | undefined>;
}

export function createApp(services: AppServices): Koa<AppState> {
  const app = new Koa<AppState>();
  app.on('error', error => {
    services.logger[isOfConnection(error) ? 'info' : 'error']({ err: error }, 'the answer broke off');
  });
  app.use(createRequestLog(services.logger, createClientAddress(services.trustedProxies), services.metrics));
  app.use(securityHeaders);
  app.use(answerForNginx);
  app.use(createErrorHandler(services.logger));
  app.use(createFrontDoor());
  const router = createRoutes(services);
  app.use(router.routes());
  app.use(refuseUnrouted);
  return app;
}

function createRoutes(services: AppServices): Router<AppState> {
  const { issuer, audience, catalogue } = services;
  const router = new Router<AppState>({ sensitive: true, strict: true });

  const resourceMetadata = `${issuer}/.well-known/oauth-protected-resource`;
  const doorGuarded = createDoorGuardMiddleware({ ...services, resourceMetadata });
  const guarded = (demand: Demand) => doorGuarded(() => demandToken(demand));

  const token = createTokenEndpoint(services.exchange, services.throttle);
  router.post('/oauth/token', token);
  router.post('/v2/oauth/token', token);
  router.post('/oauth/revoke', createRevocationEndpoint(services));
  const callers = createCallerCheck({ ...services, guarded });
  router.post('/oauth/introspect', createIntrospectionEndpoint(callers, services.introspector));
  router.get('/oauth/revocations', createRevocationEvents(callers, services.revocationFeed));

  const publish = (path: string, answer: AppMiddleware) => addPublication(router, path, answer);
  const metadata = createServerMetadata(services);
  const { ofIssuer, ofHost = {} } = locateMetadata(issuer);
  for (const path of [...Object.values(ofIssuer), ...Object.values<string>(ofHost)]) publish(path, metadata);
  publish('/.well-known/oauth-protected-resource', createResourceMetadata(services));
  publish('/.well-known/jwks.json', createJwks(services));
  addApiDocsRoutes(router, { issuer, catalogue, hasMetrics: services.metricsRoute !== undefined });
  router.get('/livez', livez);
  router.get('/readyz', createReadyz(services.readiness));
  if (services.metricsRoute !== undefined) router.get('/metrics', services.metricsRoute);

  addAdminRoutes(router, services, guarded);
  const table = createResourceTable(catalogue.controllers.values(), audience);
  const cors = createCors(services);
  const isProxyTrusted = createProxyTrust(services.trustedProxies);
  addAuthVerifyRoutes(router, { ...services, table, cors, resourceMetadata, isProxyTrusted });
  addResourceRoutes(router, {
    table,
    guarded: doorGuarded,
    collections: services.collections,
    upstream: createUpstreamRoute({ ...services, isProxyTrusted }),
    cors,
  });
  return router;
}

/** A caller who hangs up, or whose bytes are no HTTP, is no fault of ours. */
function isOfConnection(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    /^(?:HPE_|ECONNRESET$|EPIPE$|ERR_STREAM_PREMATURE_CLOSE$)/.test(String(error.code))
  );
}
