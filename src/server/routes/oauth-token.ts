/** `POST /oauth/token`: an API key becomes an access token (RFC 6749 section 4.4, RFC 7523 section 2.2, RFC 8693). */
import { type Static, Type } from 'typebox';
import type { Exchange, IssuedToken, TokenRequest } from '../../issuer/exchange.ts';
import type { Throttle } from '../../issuer/throttle.ts';
import { OAuthError } from '../../protocol/errors.ts';
import { apiKeyType } from '../../protocol/token-type.ts';
import { readClientCredentials, slowDownFailures } from '../client-authentication.ts';
import { type Parameters, readParameters } from '../parameters.ts';
import type { AppMiddleware } from '../context.ts';

export const tokenExchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';

export function createTokenEndpoint(exchange: Exchange, throttle: Throttle): AppMiddleware {
  return async ctx => {
    const parameters = await readParameters(ctx.req, ctx.querystring);
    const request = {
      ...readTokenRequest(ctx.req.headers.authorization, parameters),
      address: ctx.state.address,
    };
    const issued = await slowDownFailures(exchange.issue(request), throttle, ctx);
    ctx.state.clientId = issued.clientId;
    ctx.set('Cache-Control', 'no-store');
    ctx.type = 'application/json';
    ctx.body = JSON.stringify(answer(issued, request.door));
  };
}

function readTokenRequest(
  authorization: string | undefined,
  parameters: Parameters,
): Omit<TokenRequest, 'address'> {
  const grant = parameters.get('grant_type');
  if (grant === undefined) {
    throw new OAuthError('invalid_request', `Send grant_type: client_credentials, or ${tokenExchangeGrant}.`);
  }
  const shared = {
    scope: parameters.get('scope'),
    controllers: parameters.get('controllers'),
    origins: parameters.get('origins'),
    audiences: [...parameters.all('audience'), ...parameters.all('resource')],
  };
  if (grant === 'client_credentials') return { ...shared, ...clientCredentials(authorization, parameters) };
  if (grant === tokenExchangeGrant) return { ...shared, ...subjectToken(authorization, parameters) };
  throw new OAuthError('unsupported_grant_type', `Use client_credentials, or ${tokenExchangeGrant}.`);
}

type Credential = Pick<TokenRequest, 'secret' | 'clientId' | 'door'>;

function clientCredentials(authorization: string | undefined, parameters: Parameters): Credential {
  const credentials = readClientCredentials(authorization, parameters);
  if (credentials !== undefined) return credentials;
  throw new OAuthError(
    'invalid_client',
    'Send the API key, as client_secret or as the password of HTTP Basic; or a client_assertion signed with its key pair.',
  );
}

/** RFC 8693 section 2.1. Client authentication is not needed, for the subject is the client; if sent, it must be it. */
function subjectToken(authorization: string | undefined, parameters: Parameters): Credential {
  const secret = parameters.get('subject_token');
  if (secret === undefined || parameters.get('subject_token_type') !== apiKeyType) {
    throw new OAuthError(
      'invalid_request',
      `Send the API key as subject_token, with subject_token_type ${apiKeyType}.`,
    );
  }
  const requested = parameters.get('requested_token_type') ?? accessTokenType;
  if (!issuedTypes.some(type => type === requested)) {
    throw new OAuthError('invalid_request', `Only ${accessTokenType} can be requested.`);
  }
  if (parameters.get('actor_token') !== undefined) {
    throw new OAuthError('invalid_request', 'An actor_token is not supported.');
  }
  const client = readClientCredentials(authorization, parameters);
  if (client !== undefined && client.secret !== secret) {
    throw new OAuthError(
      'invalid_request',
      'The client credentials and the subject_token have to be the same API key.',
    );
  }
  return { secret, clientId: client?.clientId ?? parameters.get('client_id'), door: 'subject_token' };
}

const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';
/** What may be requested: an access token, which is a JWT. */
export const issuedTypes = [accessTokenType, 'urn:ietf:params:oauth:token-type:jwt'] as const;

/** What a client gets (RFC 6749 section 5.1, RFC 8693 section 2.2.1). */
export const tokenAnswerSchema = Type.Object({
  access_token: Type.String({ description: 'A JWT (RFC 9068).' }),
  issued_token_type: Type.Optional(
    Type.Literal(accessTokenType, { description: 'In the answer to a token exchange.' }),
  ),
  token_type: Type.Literal('Bearer'),
  expires_in: Type.Integer({ minimum: 1, description: 'Seconds.' }),
  scope: Type.String({ description: 'Space-separated.' }),
});

function answer(issued: IssuedToken, door: TokenRequest['door']): Static<typeof tokenAnswerSchema> {
  return {
    access_token: issued.accessToken,
    ...(door === 'subject_token' && { issued_token_type: accessTokenType }),
    token_type: 'Bearer',
    expires_in: issued.expiresIn,
    scope: issued.scope,
  };
}
