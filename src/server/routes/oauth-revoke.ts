/** `POST /oauth/revoke` (RFC 7009). Possession is enough; credentials that are sent all the same must be right. */
import type { AssertionAuthenticator } from '../../issuer/authenticate-assertion.ts';
import type { KeyAuthenticator } from '../../issuer/authenticate-key.ts';
import type { Revoker } from '../../issuer/revoke.ts';
import type { Throttle } from '../../issuer/throttle.ts';
import { BadCredential, OAuthError } from '../../protocol/errors.ts';
import { type ClientCredentials, readClientCredentials, slowDownFailures } from '../client-authentication.ts';
import { readParameters } from '../parameters.ts';
import type { AppMiddleware } from '../context.ts';

export interface RevocationOptions {
  readonly revoker: Revoker;
  readonly authenticator: KeyAuthenticator;
  readonly assertions: AssertionAuthenticator;
  readonly throttle: Throttle;
}

export function createRevocationEndpoint(options: RevocationOptions): AppMiddleware {
  return async ctx => {
    const parameters = await readParameters(ctx.req, ctx.querystring);
    const credentials = readClientCredentials(ctx.req.headers.authorization, parameters);
    if (credentials !== undefined)
      await slowDownFailures(checkCredentials(credentials, options), options.throttle, ctx);
    const token = parameters.get('token');
    if (token === undefined)
      throw new OAuthError('invalid_request', 'Send the token, or the API key, as token.');
    const { address, requestId } = ctx.state;
    const revoked = await options.revoker.revoke(token, { address, requestId });
    if (revoked !== undefined) ctx.state.clientId = revoked.clientId;
    ctx.set('Cache-Control', 'no-store');
    ctx.status = 200;
    ctx.type = 'application/json';
    ctx.body = '{}';
  };
}

async function checkCredentials(
  { door, secret, clientId }: ClientCredentials,
  { authenticator, assertions }: RevocationOptions,
): Promise<void> {
  if (door === 'client_assertion') {
    await assertions.authenticate(secret, clientId);
    return;
  }
  if ((await authenticator.authenticate(secret, clientId)) !== undefined) return;
  throw new BadCredential(
    'invalid_client',
    'The client credentials are not valid; none are needed to revoke what you hold.',
  );
}
