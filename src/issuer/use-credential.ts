/** A key that comes to an OAuth endpoint, in whichever way it is shown: by its secret, or by what it has signed. */
import type { ApiKey, KeySecret } from './api-key.ts';
import { useAssertion, type UseAssertionOptions } from './use-assertion.ts';
import { type PresentedKey, useKey, type UseKeyOptions } from './use-key.ts';

export interface UseCredentialOptions extends UseKeyOptions, UseAssertionOptions {}

/**
 * The key, as it is after this use, and the secret that was used, where there was one.
 *
 * @throws {OAuthError} as {@link useKey} and {@link useAssertion}
 */
export function useCredential(
  request: PresentedKey,
  options: UseCredentialOptions,
): Promise<{ readonly key: ApiKey; readonly secret: KeySecret | undefined }> {
  return request.door === 'client_assertion' ? useAssertion(request, options) : useKey(request, options);
}
