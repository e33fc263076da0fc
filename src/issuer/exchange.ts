/** May this key have this token? A token request becomes an access token, or the reason why not. */
import { randomUUID } from 'node:crypto';
import { longestToken } from '../access/token-text.ts';
import type { AccessTokenClaims } from '../protocol/claims.ts';
import { OAuthError } from '../protocol/errors.ts';
import { parseScope, scopesBeyond } from '../protocol/scope.ts';
import type { SigningAlgorithm } from '../protocol/token-header.ts';
import type { ApiKey, KeySecret } from './api-key.ts';
import { unusableReasons } from './authenticate-key.ts';
import { findGrant, type FindGrantOptions } from './find-grant.ts';
import type { Grant } from './grant.ts';
import { claimsOfKey } from './key-claims.ts';
import { narrowLists, type WantedLists } from './narrow-lists.ts';
import { type Signer, signToken } from './sign-token.ts';
import type { TokenForm, TokenForms } from './token-forms.ts';
import { useCredential, type UseCredentialOptions } from './use-credential.ts';
import { badCredential, type PresentedKey } from './use-key.ts';

/** A token request, whichever door it came through. */
export interface TokenRequest extends PresentedKey, WantedLists {
  /** Space-separated; absent: all that the key has. */
  readonly scope?: string | undefined;
  /** Audiences and resources together; none: the default one. */
  readonly audiences: readonly string[];
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

export interface ExchangeOptions extends FindGrantOptions, UseCredentialOptions {
  /** Seconds. */
  readonly tokenTtl: number;
  readonly forms: TokenForms;
  /** The key that signs at this moment. */
  readonly signer: (alg: SigningAlgorithm) => Signer;
}

export function createExchange(options: ExchangeOptions): Exchange {
  return {
    async issue(request) {
      const now = options.clock();
      const { key, secret } = await useCredential(request, options);
      const grant = narrowLists(request, await readGrant(key, options));
      const scope = narrowScope(request.scope, grant);
      const audience = chooseAudience(request.audiences, grant, options);
      const life = lifeOf({ key, secret }, now, request, options);
      const claims = claimsOf({ key, grant, scope, audience, now, life }, options);
      const { alg, typ } = formOf(audience, options);
      const accessToken = await signToken(options.signer(alg), claims, typ);
      requireFit(accessToken);
      return { accessToken, expiresIn: life, scope, clientId: key.id };
    },
  };
}

async function readGrant(key: ApiKey, options: ExchangeOptions): Promise<Grant> {
  const grant = await findGrant(key, options);
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

/** How the audience wants its tokens; several that want them otherwise cannot share one. */
function formOf(audience: string | readonly string[], { forms }: ExchangeOptions): TokenForm {
  if (typeof audience === 'string') return forms(audience);
  const wanted = audience.map(forms);
  if (new Set(wanted.map(({ alg, typ }) => `${alg} ${typ}`)).size > 1) {
    throw new OAuthError(
      'invalid_target',
      'These audiences want tokens of different forms: ask for a token for each of them.',
    );
  }
  return wanted[0]!;
}

/**
 * Seconds: never past the expiry of the key or the deadline of its secret, and never none (a client would keep such a
 * token for ever).
 */
function lifeOf(
  { key, secret }: { key: ApiKey; secret: KeySecret | undefined },
  now: number,
  request: TokenRequest,
  { tokenTtl }: ExchangeOptions,
): number {
  const end = Math.min(key.expiresAt ?? Infinity, secret?.retiresAt ?? Infinity);
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
  { issuer }: ExchangeOptions,
): AccessTokenClaims {
  const iat = Math.floor(now / 1000);
  return {
    ...claimsOfKey(key, grant, issuer),
    aud: audience,
    exp: iat + life,
    iat,
    jti: randomUUID(),
    scope,
  };
}

/** A pattern of the key may be narrowed to more names than a header has room for. */
function requireFit(accessToken: string): void {
  if (accessToken.length <= longestToken) return;
  throw new OAuthError(
    'invalid_request',
    `The token would have more than ${longestToken} characters: ask for fewer controllers and origins.`,
  );
}
