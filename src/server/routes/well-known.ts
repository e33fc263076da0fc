/** Discovery: RFC 8414, its OpenID Connect twin, RFC 7517 and RFC 9728. It lists what works, and nothing else. */
import { type Static, Type } from 'typebox';
import type { Catalogue } from '../../config/catalogue.ts';
import type { Frozen } from '../../config/frozen.ts';
import type { KeySet } from '../../issuer/open-ring.ts';
import { assertionAlgorithms } from '../../issuer/public-jwk.ts';
import { requiredClaims } from '../../protocol/claims.ts';
import { scopesBeyond } from '../../protocol/scope.ts';
import type { SigningAlgorithm } from '../../protocol/token-header.ts';
import type { AppMiddleware } from '../context.ts';
import { publish, publishDocument } from '../publish.ts';
import { tokenExchangeGrant } from './oauth-token.ts';

export interface DiscoveryOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly catalogue: Catalogue;
  /** Those that tokens may be signed with, the usual one first. */
  readonly signingAlgs: readonly SigningAlgorithm[];
  readonly publishedKeys: () => KeySet;
}

const url = () => Type.String({ format: 'uri' });
const texts = () => Type.Array(Type.String());

export const serverMetadataSchema = Type.Object({
  issuer: url(),
  token_endpoint: url(),
  jwks_uri: url(),
  revocation_endpoint: url(),
  grant_types_supported: texts(),
  token_endpoint_auth_methods_supported: texts(),
  token_endpoint_auth_signing_alg_values_supported: texts(),
  revocation_endpoint_auth_methods_supported: texts(),
  revocation_endpoint_auth_signing_alg_values_supported: texts(),
  introspection_endpoint: url(),
  introspection_endpoint_auth_methods_supported: texts(),
  introspection_endpoint_auth_signing_alg_values_supported: texts(),
  keyturn_revocation_events_uri: url(),
  scopes_supported: texts(),
  response_types_supported: texts(),
  subject_types_supported: texts(),
  id_token_signing_alg_values_supported: texts(),
  claims_supported: texts(),
});

export const resourceMetadataSchema = Type.Object({
  resource: Type.String(),
  authorization_servers: Type.Array(url()),
  jwks_uri: url(),
  scopes_supported: texts(),
  bearer_methods_supported: texts(),
});

const clientMethods = ['client_secret_basic', 'client_secret_post', 'private_key_jwt'];

/** RFC 8414, with the members that OIDC parsers demand: a half document is worse for them than none. */
export function createServerMetadata({ issuer, catalogue, signingAlgs }: DiscoveryOptions): AppMiddleware {
  const facts: Frozen<Static<typeof serverMetadataSchema>> = {
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
    claims_supported: [...requiredClaims, 'act', 'custom_data'],
  };
  return publishDocument(facts);
}

export function createResourceMetadata({ issuer, audience, catalogue }: DiscoveryOptions): AppMiddleware {
  const facts: Frozen<Static<typeof resourceMetadataSchema>> = {
    resource: audience,
    authorization_servers: [issuer],
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    scopes_supported: scopesOf(catalogue),
    bearer_methods_supported: ['header'],
  };
  return publishDocument(facts);
}

export function createJwks({ publishedKeys }: DiscoveryOptions): AppMiddleware {
  return publish(publishedKeys);
}

/** Those of features, and of routes what none of them covers: accounts may have it. */
function scopesOf({ features, controllers }: Catalogue): string[] {
  const ofFeatures = [...features.values()].flatMap(feature => feature.scopes);
  const ofRoutes = [...controllers.values()].flatMap(({ routes }) => routes.map(({ scope }) => scope));
  return [...new Set([...ofFeatures, ...scopesBeyond(ofFeatures, ofRoutes)])].toSorted();
}
