/** oauth4webapi 3, the strictest of the clients: whatever an RFC says that a server must, it checks. */
import * as oauth from 'oauth4webapi';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startService, type TestService } from '../support/service.ts';
import { connectionScopes, expectConnections, expectLetIn, expectRefused } from './guarded-route.ts';

const insecure = { [oauth.allowInsecureRequests]: true };

let service: TestService;
let apiKey: string;
let client: oauth.Client;
let server: oauth.AuthorizationServer;

beforeAll(async () => {
  service = await startService();
  const created = await service.createKey({ name: 'oauth4webapi' });
  apiKey = created.apiKey;
  client = { client_id: created.key.id };
  server = await discover('oauth2');
});

afterAll(() => service.stop());

describe('oauth4webapi', () => {
  it.each(['oidc', 'oauth2'] as const)('finds the endpoints by %s discovery', async algorithm => {
    expect(await discover(algorithm)).toMatchObject({
      issuer: service.url,
      token_endpoint: `${service.url}/oauth/token`,
      revocation_endpoint: `${service.url}/oauth/revoke`,
      jwks_uri: `${service.url}/.well-known/jwks.json`,
    });
  });

  it('finds the authorization server from the metadata of the resource', async () => {
    const resource = new URL(service.url);
    const response = await oauth.resourceDiscoveryRequest(resource, insecure);
    const metadata = await oauth.processResourceDiscoveryResponse(resource, response);
    expect(metadata.authorization_servers).toEqual([service.url]);
  });

  it.each([
    ['client_secret_post', () => oauth.ClientSecretPost(apiKey)],
    ['client_secret_basic', () => oauth.ClientSecretBasic(apiKey)],
  ])('gets a token by %s that opens a guarded route', async (_method, authentication) => {
    const tokens = await grant(authentication());
    expect(tokens).toMatchObject({ token_type: 'bearer', expires_in: 900, scope: connectionScopes.all });
    const url = new URL(`${service.url}/v2/connections`);
    const response = await oauth.protectedResourceRequest(
      tokens.access_token,
      'GET',
      url,
      undefined,
      undefined,
      insecure,
    );
    await expectConnections(service, response);
  });

  it('exchanges the key as a subject token of RFC 8693', async () => {
    const parameters = {
      subject_token: apiKey,
      subject_token_type: 'urn:keyturn:params:oauth:token-type:api-key',
    };
    const grantType = 'urn:ietf:params:oauth:grant-type:token-exchange';
    const response = await oauth.genericTokenEndpointRequest(
      server,
      client,
      oauth.None(),
      grantType,
      parameters,
      insecure,
    );
    const tokens = await oauth.processGenericTokenEndpointResponse(server, client, response);
    expect(tokens['issued_token_type']).toBe('urn:ietf:params:oauth:token-type:access_token');
    await expectLetIn(service, tokens.access_token);
  });

  it('finds the token to be one of RFC 9068', async () => {
    const { access_token } = await grant(oauth.ClientSecretPost(apiKey));
    const claims = await oauth.validateJwtAccessToken(server, bearing(access_token), service.url, insecure);
    expect(claims).toMatchObject({
      iss: service.url,
      sub: client.client_id,
      client_id: client.client_id,
      scope: connectionScopes.all,
    });
  });

  it('refuses the token for another audience, or with another signature', async () => {
    const { access_token } = await grant(oauth.ClientSecretPost(apiKey));
    const elsewhere = 'https://elsewhere.example';
    await expect(
      oauth.validateJwtAccessToken(server, bearing(access_token), elsewhere, insecure),
    ).rejects.toMatchObject({ code: 'OAUTH_JWT_CLAIM_COMPARISON_FAILED' });
    const [head, body, signature] = access_token.split('.') as [string, string, string];
    const forged = [head, body, (signature.startsWith('A') ? 'B' : 'A') + signature.slice(1)].join('.');
    await expect(
      oauth.validateJwtAccessToken(server, bearing(forged), service.url, insecure),
    ).rejects.toBeInstanceOf(oauth.OperationProcessingError);
  });

  it('revokes a token, and a key', async () => {
    const created = await service.createKey({ name: 'To be revoked' });
    const owner = { client_id: created.key.id };
    const authentication = oauth.ClientSecretPost(created.apiKey);
    const { access_token } = await grant(authentication, {}, owner);
    await expectLetIn(service, access_token);
    await revoke(access_token, owner, authentication);
    await expectRefused(service, access_token);

    await revoke(created.apiKey, owner, oauth.None());
    await expect(grant(authentication, {}, owner)).rejects.toMatchObject({
      error: 'invalid_client',
      error_description: expect.stringContaining('revoked'),
    });
  });

  it('is told nothing about a token of another issuer, or about a text that is none', async () => {
    const other = await startService();
    const foreign = await other.token(other.sampleKey);
    await other.stop();
    for (const text of [foreign, 'a-text', 'no.such.token']) {
      await expect(revoke(text, client, oauth.ClientSecretPost(apiKey))).resolves.toBeUndefined();
    }
  });

  it.each([
    ['invalid_scope', { scope: 'personalize.flows:read' }],
    ['invalid_target', { resource: 'https://elsewhere.example' }],
  ])('reads the error %s from the body', async (error, parameters) => {
    await expect(grant(oauth.ClientSecretPost(apiKey), parameters)).rejects.toMatchObject({
      error,
      status: 400,
      error_description: expect.any(String),
    });
  });

  it('reads the error of a wrong secret: from the body, and with Basic from the challenge', async () => {
    const { apiKey: another } = await service.createKey({ name: 'Another key' });
    await expect(grant(oauth.ClientSecretPost(another))).rejects.toMatchObject({
      error: 'invalid_client',
      status: 401,
    });
    await expect(grant(oauth.ClientSecretBasic(another))).rejects.toMatchObject({
      code: 'OAUTH_WWW_AUTHENTICATE_CHALLENGE',
      status: 401,
      cause: [{ scheme: 'basic', parameters: { error: 'invalid_client' } }],
    });
  });
});

async function discover(algorithm: 'oidc' | 'oauth2'): Promise<oauth.AuthorizationServer> {
  const issuer = new URL(service.url);
  const response = await oauth.discoveryRequest(issuer, { algorithm, ...insecure });
  return oauth.processDiscoveryResponse(issuer, response);
}

async function grant(
  authentication: oauth.ClientAuth,
  parameters: Record<string, string> = {},
  owner = client,
): Promise<oauth.TokenEndpointResponse> {
  const response = await oauth.clientCredentialsGrantRequest(
    server,
    owner,
    authentication,
    parameters,
    insecure,
  );
  return oauth.processClientCredentialsResponse(server, owner, response);
}

async function revoke(token: string, owner: oauth.Client, authentication: oauth.ClientAuth): Promise<void> {
  const response = await oauth.revocationRequest(server, owner, authentication, token, insecure);
  await oauth.processRevocationResponse(response);
}

function bearing(token: string): Request {
  return new Request(`${service.url}/v2/connections`, { headers: { authorization: `Bearer ${token}` } });
}
