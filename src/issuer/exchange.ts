/** May this key have this token? A token request becomes an access token, or the reason why not. */
import { randomUUID } from 'node:crypto';
import type { Catalogue } from '../config/catalogue.ts';
import type { AccessTokenClaims } from '../protocol/claims.ts';
import { BadCredential, OAuthError } from '../protocol/errors.ts';
import { parseGuid } from '../protocol/guid.ts';
import { parseScope, scopesBeyond } from '../protocol/scope.ts';
import type { Clock } from '../store/store.ts';
import type { Accounts } from './accounts.ts';
import type { ApiKey } from './api-key.ts';
import {
  type AuthenticatedKey,
  type KeyAuthenticator,
  unusableBecause,
  unusableReasons,
} from './authenticate-key.ts';
import { type Grant, resolveGrant } from './grant.ts';
import type { SettleUse } from './settle-use.ts';
import { type Signer, signToken } from './sign-token.ts';

/** A token request, whichever door it came through. */
export interface TokenRequest {
  /** The key string. */
  readonly secret: string;
  /** The client that the request names beside it; it must be the key's own id. */
  readonly clientId?: string | undefined;
  /** `subject_token`: RFC 8693, which answers a bad key otherwise. */
  readonly door: 'client_secret' | 'subject_token';
  /** Space-separated; absent: all that the key has. */
  readonly scope?: string | undefined;
  /** Audiences and resources together; none: the default one. */
  readonly audiences: readonly string[];
  /** The caller's address. */
  readonly address: string;
}

export interface IssuedToken {
  readonly accessToken: string;
  /** Seconds. */
  readonly expiresIn: number;
  readonly scope: string;
  /** For the log. */
  readonly clientId: string;
}

export interface Exchange {
  /** @throws {OAuthError} with what to do about it */
  issue(request: TokenRequest): Promise<IssuedToken>;
}

export interface ExchangeOptions {
  readonly issuer: string;
  readonly audience: string;
  /** Seconds. */
  readonly tokenTtl: number;
  readonly catalogue: Catalogue;
  readonly authenticator: KeyAuthenticator;
  readonly settleUse: SettleUse;
  readonly accounts: Accounts;
  readonly signer: () => Signer;
  readonly clock: Clock;
}

export function createExchange(options: ExchangeOptions): Exchange {
  return {
    async issue(request) {
      const now = options.clock();
      const presented = await identifyKey(request, options);
      refuseUnusable(presented.key, request, now);
      const { key, secret } = await settle(presented, request, options);
      const grant = await readGrant(key, options);
      const scope = narrowScope(request.scope, grant);
      const audience = chooseAudience(request.audiences, grant, options);
      const life = lifeOf({ key, secret }, now, request, options);
      const claims = claimsOf({ key, grant, scope, audience, now, life }, options);
      const accessToken = await signToken(options.signer(), claims);
      return { accessToken, expiresIn: life, scope, clientId: key.id };
    },
  };
}

/** The key behind the secret. The client id, where it is sent, must be its own. */
async function identifyKey(request: TokenRequest, options: ExchangeOptions): Promise<AuthenticatedKey> {
  const authenticated = await options.authenticator.authenticate(request.secret);
  const named = request.clientId === undefined ? undefined : (parseGuid(request.clientId) ?? 'none');
  if (authenticated === undefined || (named !== undefined && named !== authenticated.key.id)) {
    throw badCredential(request, refusedDescription);
  }
  return authenticated;
}

const refusedDescription =
  'The client credentials are not valid. Send the whole API key as client_secret; client_id, if sent, is its id.';

/** RFC 6749 section 5.2 for client authentication, RFC 8693 section 2.2.2 for a subject token. */
function badCredential({ door }: TokenRequest, description: string): OAuthError {
  return new BadCredential(door === 'subject_token' ? 'invalid_request' : 'invalid_client', description);
}

function refuseUnusable(key: ApiKey, request: TokenRequest, now: number): void {
  const reason = unusableBecause(key, now);
  if (reason !== undefined) throw badCredential(request, reason);
  if (!(key.doors ?? ['token']).includes('token')) {
    throw new OAuthError(
      'unauthorized_client',
      'The API key was made for other doors than the token endpoint.',
    );
  }
}

/** What the use does to the key; it may have been ended in that very moment. */
async function settle(
  presented: AuthenticatedKey,
  request: TokenRequest,
  options: ExchangeOptions,
): Promise<AuthenticatedKey> {
  const settled = await options.settleUse(presented, request.secret, request.address);
  if (settled === undefined) throw badCredential(request, refusedDescription);
  if (settled.key !== presented.key) refuseUnusable(settled.key, request, options.clock());
  return settled;
}

async function readGrant(key: ApiKey, options: ExchangeOptions): Promise<Grant> {
  const account = key.account === undefined ? undefined : await options.accounts.find(key.account);
  const grant = resolveGrant(key, account?.value, options.catalogue, options);
  if (grant === undefined) {
    throw new OAuthError(
      'unauthorized_client',
      'The feature or account of the API key does not exist any more.',
    );
  }
  return grant;
}

function narrowScope(requested: string | undefined, grant: Grant): string {
  if (requested === undefined) return grant.scopes.join(' ');
  const scopes = parseScope(requested);
  if (scopes === undefined || scopes.length === 0) {
    throw new OAuthError('invalid_scope', 'The scope is malformed: send scopes separated by single spaces.');
  }
  const beyond = scopesBeyond(grant.scopes, scopes);
  if (beyond.length > 0) {
    throw new OAuthError(
      'invalid_scope',
      `The API key does not have the scope ${beyond.join(' ')}: ask for less, or leave scope out.`,
    );
  }
  return scopes.join(' ');
}

/** Exactly what was asked for, each one granted; else the deployment's own, or the key's first. */
function chooseAudience(
  requested: readonly string[],
  { audiences }: Grant,
  options: ExchangeOptions,
): string | readonly string[] {
  const beyond = requested.filter(audience => !audiences.includes(audience));
  if (beyond.length > 0) {
    throw new OAuthError(
      'invalid_target',
      `The API key may not have the audience ${beyond.join(' ')}: ask for another, or have it added to the key.`,
    );
  }
  const chosen = [...new Set(requested)];
  if (chosen.length > 1) return chosen;
  const [fallback] = audiences;
  const standard = audiences.includes(options.audience) ? options.audience : fallback;
  const audience = chosen[0] ?? standard;
  if (audience === undefined)
    throw new OAuthError('invalid_target', 'The API key may not have any audience.');
  return audience;
}

/**
 * Seconds: never past the expiry of the key or the deadline of its secret, and never none (a client would keep such a
 * token for ever).
 */
function lifeOf(
  { key, secret }: AuthenticatedKey,
  now: number,
  request: TokenRequest,
  { tokenTtl }: ExchangeOptions,
): number {
  const end = Math.min(key.expiresAt ?? Infinity, secret.retiresAt ?? Infinity);
  const left = Math.floor(end / 1000) - Math.floor(now / 1000);
  if (left < 1) throw badCredential(request, unusableReasons.expired);
  return Math.min(key.tokenTtl ?? tokenTtl, left);
}

interface TokenFacts {
  readonly key: ApiKey;
  readonly grant: Grant;
  readonly scope: string;
  readonly audience: string | readonly string[];
  readonly now: number;
  readonly life: number;
}

function claimsOf(
  { key, grant, scope, audience, now, life }: TokenFacts,
  options: ExchangeOptions,
): AccessTokenClaims {
  const iat = Math.floor(now / 1000);
  const sub = grant.actsAs ?? key.id;
  const data = (key.customDataInToken ?? []).map(name => [name, key.customData?.[name] ?? '']);
  return {
    ...key.claims,
    iss: options.issuer,
    sub,
    aud: audience,
    exp: iat + life,
    iat,
    jti: randomUUID(),
    client_id: key.id,
    scope,
    feature: grant.feature,
    allowed_controllers: grant.controllers,
    allowed_origins: grant.origins,
    key_version: key.version,
    ...(sub !== key.id && { act: { sub: key.id } }),
    ...(data.length > 0 && { custom_data: Object.fromEntries(data) }),
  };
}
