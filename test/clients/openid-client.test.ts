/** openid-client 6, which most Node programs use. */
import * as client from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startService, type TestService } from '../support/service.ts';
import { connectionScopes, expectConnections, expectLetIn, expectRefused } from './guarded-route.ts';

let service: TestService;
let apiKey: string;
let clientId: string;

beforeAll(async () => {
  service = await startService();
  const created = await service.createKey({ name: 'openid-client' });
  apiKey = created.apiKey;
  clientId = created.key.id;
});

afterAll(() => service.stop());

describe.each(['oidc', 'oauth2'] as const)('openid-client after %s discovery', algorithm => {
  it.each([
    ['client_secret_post', client.ClientSecretPost],
    ['client_secret_basic', client.ClientSecretBasic],
  ])('gets a token by %s that opens a guarded route', async (_method, authentication) => {
    const config = await discover(authentication(apiKey));
    const tokens = await client.clientCredentialsGrant(config);
    expect(tokens.token_type).toBe('bearer');
    expect(tokens.expiresIn()).toBeGreaterThan(890);
    expect(tokens.scope).toBe(connectionScopes.all);
    const url = new URL(`${service.url}/v2/connections`);
    const response = await client.fetchProtectedResource(config, tokens.access_token, url, 'GET');
    await expectConnections(service, response);
  });

  it('exchanges the key as a subject token of RFC 8693', async () => {
    const config = await discover(client.None());
    const tokens = await client.genericGrantRequest(
      config,
      'urn:ietf:params:oauth:grant-type:token-exchange',
      {
        subject_token: apiKey,
        subject_token_type: 'urn:keyturn:params:oauth:token-type:api-key',
        scope: connectionScopes.read,
      },
    );
    expect(tokens['issued_token_type']).toBe('urn:ietf:params:oauth:token-type:access_token');
    expect(tokens.scope).toBe(connectionScopes.read);
    await expectLetIn(service, tokens.access_token);
  });

  it('narrows the token by scope and resource', async () => {
    const config = await discover(client.ClientSecretPost(apiKey));
    const tokens = await client.clientCredentialsGrant(config, {
      scope: connectionScopes.read,
      resource: service.url,
    });
    expect(tokens.scope).toBe(connectionScopes.read);
    await expectLetIn(service, tokens.access_token);
  });

  it('revokes a token', async () => {
    const config = await discover(client.ClientSecretPost(apiKey));
    const tokens = await client.clientCredentialsGrant(config);
    await expectLetIn(service, tokens.access_token);
    await expect(client.tokenRevocation(config, tokens.access_token)).resolves.toBeUndefined();
    await expectRefused(service, tokens.access_token);
  });

  async function discover(authentication: client.ClientAuth): Promise<client.Configuration> {
    return client.discovery(new URL(service.url), clientId, undefined, authentication, {
      algorithm,
      execute: [client.allowInsecureRequests],
    });
  }
});

describe('openid-client, refused', () => {
  it('reads the error of a wrong scope', async () => {
    const config = await discover(apiKey);
    const refusal = client.clientCredentialsGrant(config, { scope: 'personalize.flows:read' });
    await expect(refusal).rejects.toMatchObject({
      error: 'invalid_scope',
      status: 400,
      error_description: expect.stringContaining('personalize.flows:read'),
    });
  });

  it('reads the error of a wrong audience', async () => {
    const config = await discover(apiKey);
    const refusal = client.clientCredentialsGrant(config, { resource: 'https://elsewhere.example' });
    await expect(refusal).rejects.toMatchObject({ error: 'invalid_target', status: 400 });
  });

  it('reads the error of a wrong secret', async () => {
    const stranger = await service.createKey({ name: 'Another key' });
    const config = await discover(stranger.apiKey);
    await expect(client.clientCredentialsGrant(config)).rejects.toMatchObject({
      error: 'invalid_client',
      status: 401,
    });
  });

  it('reads the challenge of a guarded route', async () => {
    const config = await discover(apiKey);
    const url = new URL(`${service.url}/v2/connections`);
    const refusal = client.fetchProtectedResource(config, 'no.such.token', url, 'GET');
    await expect(refusal).rejects.toMatchObject({
      status: 401,
      cause: [{ scheme: 'bearer', parameters: { error: 'invalid_token' } }],
    });
  });

  async function discover(secret: string): Promise<client.Configuration> {
    return client.discovery(new URL(service.url), clientId, undefined, client.ClientSecretPost(secret), {
      execute: [client.allowInsecureRequests],
    });
  }
});
