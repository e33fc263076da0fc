/** A key that is sent as itself to an OAuth endpoint: whose it is, whether it may be used now, and its being used. */
import { BadCredential, OAuthError } from '../protocol/errors.ts';
import type { Clock } from '../store/store.ts';
import { type ApiKey, doorsOf } from './api-key.ts';
import { type AuthenticatedKey, type KeyAuthenticator, unusableBecause } from './authenticate-key.ts';
import type { SettleUse } from './settle-use.ts';

export interface PresentedKey {
  /** The key string; at the door `client_assertion` the assertion. */
  readonly secret: string;
  /** The client that the request names beside it; it must be the key's own id. */
  readonly clientId?: string | undefined;
  /** `subject_token`: RFC 8693, which answers a bad key otherwise. */
  readonly door: 'client_secret' | 'client_assertion' | 'subject_token';
  /** The caller's address. */
  readonly address: string;
}

export interface UseKeyOptions {
  readonly authenticator: KeyAuthenticator;
  readonly settleUse: SettleUse;
  readonly clock: Clock;
}

/**
 * The key, as it is after this use.
 *
 * @throws {BadCredential} where it is none, or may not be used now
 * @throws {OAuthError} `unauthorized_client` where it was made for other doors
 */
export async function useKey(request: PresentedKey, options: UseKeyOptions): Promise<AuthenticatedKey> {
  const now = options.clock();
  const presented = await identifyKey(request, options);
  refuseUnusable(presented.key, request, now);
  // What the use does to the key; it may have been ended in that very moment.
  const settled = await options.settleUse(presented, request.secret, request.address);
  if (settled === undefined) throw badCredential(request, refusedDescription);
  if (settled.key !== presented.key) refuseUnusable(settled.key, request, options.clock());
  return settled;
}

/** RFC 6749 section 5.2 for client authentication, RFC 8693 section 2.2.2 for a subject token. */
export function badCredential({ door }: Pick<PresentedKey, 'door'>, description: string): OAuthError {
  return new BadCredential(door === 'subject_token' ? 'invalid_request' : 'invalid_client', description);
}

/** The key behind the secret. The client id, where it is sent, must be its own. */
async function identifyKey(
  request: PresentedKey,
  { authenticator }: UseKeyOptions,
): Promise<AuthenticatedKey> {
  const authenticated = await authenticator.authenticate(request.secret, request.clientId);
  if (authenticated === undefined) throw badCredential(request, refusedDescription);
  return authenticated;
}

const refusedDescription =
  'The client credentials are not valid. Send the whole API key as client_secret; client_id, if sent, is its id.';

/**
 * @throws {BadCredential} with the reason: for whoever has shown that the key is his
 * @throws {OAuthError} `unauthorized_client`
 */
export function refuseUnusable(key: ApiKey, request: PresentedKey, now: number): void {
  const reason = unusableBecause(key, now);
  if (reason !== undefined) throw badCredential(request, reason);
  if (!doorsOf(key).includes('token')) {
    throw new OAuthError(
      'unauthorized_client',
      'The API key was made for other doors than the token endpoint.',
    );
  }
}
