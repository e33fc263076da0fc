/** Discovery: RFC 8414, its OpenID Connect twin, RFC 7517 and RFC 9728. It lists what works, and nothing else. */
import { createHash } from 'node:crypto';
import type { Catalogue } from '../../config/catalogue.ts';
import type { KeySet } from '../../issuer/open-ring.ts';
import { assertionAlgorithms } from '../../issuer/public-jwk.ts';
import type { SigningAlgorithm } from '../../protocol/token-header.ts';
import type { AppMiddleware } from '../context.ts';
import { tokenExchangeGrant } from './oauth-token.ts';

export interface DiscoveryOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly catalogue: Catalogue;
  /** Those that tokens may be signed with, the usual one first. */
  readonly signingAlgs: readonly SigningAlgorithm[];
  readonly publishedKeys: () => KeySet;
}

const clientMethods = ['client_secret_basic', 'client_secret_post', 'private_key_jwt'];

/** RFC 8414, with the members that OIDC parsers demand: a half document is worse for them than none. */
export function createServerMetadata({ issuer, catalogue, signingAlgs }: DiscoveryOptions): AppMiddleware {
  return publishDocument({
    issuer,
    token_endpoint: `${issuer}/oauth/token`,
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    revocation_endpoint: `${issuer}/oauth/revoke`,
    grant_types_supported: ['client_credentials', tokenExchangeGrant],
    token_endpoint_auth_methods_supported: clientMethods,
    token_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
    revocation_endpoint_auth_methods_supported: ['none', ...clientMethods],
    revocation_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
    introspection_endpoint: `${issuer}/oauth/introspect`,
    introspection_endpoint_auth_methods_supported: clientMethods,
    introspection_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
    keyturn_revocation_events_uri: `${issuer}/oauth/revocations`,
    scopes_supported: scopesOf(catalogue),
    response_types_supported: [],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: signingAlgs,
    claims_supported: ['iss', 'sub', 'aud', 'exp', 'iat', 'jti', 'client_id', 'scope', 'act'],
  });
}

export function createResourceMetadata({ issuer, audience, catalogue }: DiscoveryOptions): AppMiddleware {
  return publishDocument({
    resource: audience,
    authorization_servers: [issuer],
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    scopes_supported: scopesOf(catalogue),
    bearer_methods_supported: ['header'],
  });
}

export function createJwks({ publishedKeys }: DiscoveryOptions): AppMiddleware {
  return publish(publishedKeys);
}

function publishDocument(facts: object): AppMiddleware {
  const body = JSON.stringify(facts);
  const etag = `"${createHash('sha256').update(body).digest('base64url')}"`;
  return publish(() => ({ body, etag }));
}

/** Public facts, for pages of any origin, without credentials; kept for five minutes. */
function publish(describe: () => { readonly body: string; readonly etag: string }): AppMiddleware {
  return ctx => {
    ctx.set('Access-Control-Allow-Origin', '*');
    ctx.set('Cache-Control', 'public, max-age=300');
    const { body, etag } = describe();
    ctx.set('ETag', etag);
    if (isKnown(etag, ctx.req.headers['if-none-match'])) {
      ctx.status = 304;
      return;
    }
    ctx.type = 'application/json';
    ctx.body = body;
  };
}

/** RFC 9110 section 13.1.2, whatever caches on the way are told: `fetch` says no-cache beside every such condition. */
function isKnown(etag: string, ifNoneMatch: string | undefined): boolean {
  const tags = new Set((ifNoneMatch ?? '').split(',').map(tag => tag.trim().replace(/^W\//, '')));
  return tags.has(etag) || tags.has('*');
}

function scopesOf({ features }: Catalogue): string[] {
  return [...new Set([...features.values()].flatMap(feature => feature.scopes))].toSorted();
}
