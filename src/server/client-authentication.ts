/** How a client sends its API key to an OAuth endpoint: HTTP Basic or the body, never both (RFC 6749 section 2.3). */
import { parseBasic } from '../protocol/authorization.ts';
import { OAuthError } from '../protocol/errors.ts';
import type { Parameters } from './parameters.ts';

export interface ClientCredentials {
  /** The key string. */
  readonly secret: string;
  readonly clientId: string | undefined;
}

/**
 * @returns undefined where the request carries no credentials
 * @throws {OAuthError} `invalid_request` for two ways at once, `invalid_client` for a Basic header that is none
 */
export function readClientCredentials(
  authorization: string | undefined,
  parameters: Parameters,
): ClientCredentials | undefined {
  const basic = parseBasic(authorization);
  const [secret, clientId] = [parameters.get('client_secret'), parameters.get('client_id')];
  if (parameters.get('client_assertion') !== undefined) {
    throw new OAuthError(
      'invalid_client',
      'Client assertions are not offered: send the API key as client_secret.',
    );
  }
  if (basic.kind !== 'none' && secret !== undefined) {
    throw new OAuthError(
      'invalid_request',
      'Authenticate in one way: by HTTP Basic or by client_secret, not by both.',
    );
  }
  if (basic.kind === 'malformed') {
    throw new OAuthError('invalid_client', 'The Basic credentials are not base64 of id:secret.');
  }
  if (basic.kind === 'none') return secret === undefined ? undefined : { secret, clientId };
  if (clientId !== undefined && basic.id !== '' && clientId !== basic.id) {
    throw new OAuthError(
      'invalid_request',
      'The client_id of the body is not that of the Basic credentials.',
    );
  }
  return { secret: basic.secret, clientId: basic.id || clientId };
}
