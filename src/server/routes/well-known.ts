/** Discovery: RFC 8414, its OpenID Connect twin, RFC 7517 and RFC 9728. It lists what works, and nothing else. */
import type { Catalogue } from '../../config/catalogue.ts';
import type { SigningKeys } from '../../issuer/signing-keys.ts';
import type { AppMiddleware } from '../context.ts';
import { tokenExchangeGrant } from './oauth-token.ts';

export interface DiscoveryOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly catalogue: Catalogue;
  readonly signingKeys: SigningKeys;
}

/** RFC 8414, with the members that OIDC parsers demand: a half document is worse for them than none. */
export function createServerMetadata({ issuer, catalogue, signingKeys }: DiscoveryOptions): AppMiddleware {
  return publish(() => ({
    issuer,
    token_endpoint: `${issuer}/oauth/token`,
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    revocation_endpoint: `${issuer}/oauth/revoke`,
    grant_types_supported: ['client_credentials', tokenExchangeGrant],
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    revocation_endpoint_auth_methods_supported: ['none', 'client_secret_basic', 'client_secret_post'],
    scopes_supported: scopesOf(catalogue),
    response_types_supported: [],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [signingKeys.signer().alg],
    claims_supported: ['iss', 'sub', 'aud', 'exp', 'iat', 'jti', 'client_id', 'scope', 'act'],
  }));
}

export function createResourceMetadata({ issuer, audience, catalogue }: DiscoveryOptions): AppMiddleware {
  return publish(() => ({
    resource: audience,
    authorization_servers: [issuer],
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    scopes_supported: scopesOf(catalogue),
    bearer_methods_supported: ['header'],
  }));
}

export function createJwks({ signingKeys }: DiscoveryOptions): AppMiddleware {
  return publish(() => signingKeys.jwks());
}

/** Public facts, for pages of any origin, without credentials; kept for five minutes. */
function publish(describe: () => object): AppMiddleware {
  return ctx => {
    ctx.set('Access-Control-Allow-Origin', '*');
    ctx.set('Cache-Control', 'public, max-age=300');
    ctx.type = 'application/json';
    ctx.body = JSON.stringify(describe());
  };
}

function scopesOf({ features }: Catalogue): string[] {
  return [...new Set([...features.values()].flatMap(feature => feature.scopes))].toSorted();
}
