/** A key that signs for itself, as a caller of the token endpoint: whether it may be used now, and its being used. */
import type { Clock } from '../store/store.ts';
import type { ApiKey } from './api-key.ts';
import { type AssertionAuthenticator, refused } from './authenticate-assertion.ts';
import { type PresentedKey, refuseUnusable } from './use-key.ts';

export interface UseAssertionOptions {
  readonly assertions: AssertionAuthenticator;
  readonly clock: Clock;
}

/**
 * The key, as it is after this use; there is no secret to it.
 *
 * @throws {BadCredential} where the assertion is not valid, was used before, or the key may not be used now
 * @throws {OAuthError} `unauthorized_client` where the key was made for other doors
 */
export async function useAssertion(
  request: PresentedKey,
  { assertions, clock }: UseAssertionOptions,
): Promise<{ key: ApiKey; secret: undefined }> {
  const presented = await assertions.authenticate(request.secret, request.clientId);
  refuseUnusable(presented, request, clock());
  const key = await assertions.settle(presented, request.address);
  if (key === undefined) throw refused();
  if (key !== presented) refuseUnusable(key, request, clock());
  return { key, secret: undefined };
}
