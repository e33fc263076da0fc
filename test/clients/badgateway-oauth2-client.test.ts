/** @badgateway/oauth2-client 3, with discovery, and its fetch that renews tokens. */
import { OAuth2Client, OAuth2Fetch } from '@badgateway/oauth2-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startService, type TestService } from '../support/service.ts';
import { connectionScopes, expectConnections, expectLetIn, expectRefused } from './guarded-route.ts';

let service: TestService;
let apiKey: string;
let clientId: string;

beforeAll(async () => {
  service = await startService();
  const created = await service.createKey({ name: 'oauth2-client' });
  apiKey = created.apiKey;
  clientId = created.key.id;
});

afterAll(() => service.stop());

describe.each(['client_secret_basic', 'client_secret_basic_interop', 'client_secret_post'] as const)(
  '@badgateway/oauth2-client by %s',
  authenticationMethod => {
    it('gets a token that opens a guarded route, and revokes it', async () => {
      const client = connect(apiKey);
      const token = await client.clientCredentials({ scope: [connectionScopes.read], resource: service.url });
      expect(token.expiresAt).toBeGreaterThan(Date.now() + 800_000);
      await expectLetIn(service, token.accessToken);
      await client.revoke(token);
      await expectRefused(service, token.accessToken);
    });

    it('reads why a request is refused', async () => {
      const refusal = connect(apiKey).clientCredentials({ scope: ['personalize.flows:read'] });
      await expect(refusal).rejects.toMatchObject({ oauth2Code: 'invalid_scope', httpCode: 400 });
    });

    function connect(clientSecret: string): OAuth2Client {
      return new OAuth2Client({
        server: service.url,
        discoveryEndpoint: '/.well-known/oauth-authorization-server',
        clientId,
        clientSecret,
        authenticationMethod,
      });
    }
  },
);

describe("@badgateway/oauth2-client's fetch", () => {
  it('asks for a new token when the one it has is revoked', async () => {
    const client = new OAuth2Client({ server: service.url, clientId, clientSecret: apiKey });
    const fetcher = new OAuth2Fetch({ client, getNewToken: () => client.clientCredentials() });
    await expectConnections(service, await fetcher.fetch(`${service.url}/v2/connections`));
    const first = await fetcher.getToken();
    await client.revoke(first);
    await expectConnections(service, await fetcher.fetch(`${service.url}/v2/connections`));
    expect(await fetcher.getToken()).not.toEqual(first);
  });
});
