/** Real clients that sign for themselves instead of sending a secret: openid-client 6 and oauth4webapi 3. */
import type { CryptoKey } from 'jose';
import * as oauth from 'oauth4webapi';
import * as client from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type KeyPair, makeKeyPair } from '../support/key-pairs.ts';
import { startService, type TestService } from '../support/service.ts';
import { connectionScopes, expectConnections, expectLetIn, expectRefused } from './guarded-route.ts';

const insecure = { [oauth.allowInsecureRequests]: true };

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

describe.each([
  ['ES256', {}],
  ['Ed25519', {}],
  ['RS256', {}],
  ['PS256', { alg: 'PS256' }],
  ['ES256', { kid: 'with a name' }],
])('with %s and %j', (alg, extra) => {
  let pair: KeyPair;
  let clientId: string;
  beforeAll(async () => {
    pair = await makeKeyPair(alg, extra);
    clientId = (await service.createKey({ publicJwk: pair.publicJwk })).key.id;
  });

  describe.each(['oidc', 'oauth2'] as const)('openid-client after %s discovery', algorithm => {
    const discover = (id: string, authentication = client.PrivateKeyJwt(signer())) =>
      client.discovery(new URL(service.url), id, undefined, authentication, {
        algorithm,
        execute: [client.allowInsecureRequests],
      });

    it('gets tokens that open a guarded route, one after the other', async () => {
      const config = await discover(clientId);
      for (let round = 0; round < 3; round += 1) {
        const tokens = await client.clientCredentialsGrant(config);
        expect(tokens.scope).toBe(connectionScopes.all);
        const url = new URL(`${service.url}/v2/connections`);
        const response = await client.fetchProtectedResource(config, tokens.access_token, url, 'GET');
        await expectConnections(service, response);
      }
    });

    it('narrows a token, and revokes it', async () => {
      const config = await discover(clientId.replaceAll('-', ''));
      const tokens = await client.clientCredentialsGrant(config, { scope: connectionScopes.read });
      expect(tokens.scope).toBe(connectionScopes.read);
      await expectLetIn(service, tokens.access_token);
      await expect(client.tokenRevocation(config, tokens.access_token)).resolves.toBeUndefined();
      await expectRefused(service, tokens.access_token);
    });

    it('reads why it is refused', async () => {
      const tooLong = client.PrivateKeyJwt(signer(), {
        [client.modifyAssertion]: (_header, payload) => {
          payload['exp'] = Number(payload['iat']) + 3600;
        },
      });
      const refusal = client.clientCredentialsGrant(await discover(clientId, tooLong));
      await expect(refusal).rejects.toMatchObject({
        error: 'invalid_client',
        status: 401,
        error_description: expect.stringContaining('lives too long') as string,
      });
    });
  });

  it('oauth4webapi gets a token, and revokes it', async () => {
    const issuer = new URL(service.url);
    const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
    const server = await oauth.processDiscoveryResponse(issuer, found);
    expect(server.token_endpoint_auth_methods_supported).toContain('private_key_jwt');
    expect(server.token_endpoint_auth_signing_alg_values_supported).toContain(pair.alg);
    expect(server.revocation_endpoint_auth_signing_alg_values_supported).toContain(pair.alg);
    const me = { client_id: clientId };
    const authentication = oauth.PrivateKeyJwt(signer());
    const answer = await oauth.clientCredentialsGrantRequest(server, me, authentication, {}, insecure);
    const tokens = await oauth.processClientCredentialsResponse(server, me, answer);
    await expectLetIn(service, tokens.access_token);
    const revocation = await oauth.revocationRequest(
      server,
      me,
      authentication,
      tokens.access_token,
      insecure,
    );
    await oauth.processRevocationResponse(revocation);
    await expectRefused(service, tokens.access_token);
  });

  it('oauth4webapi is refused with the key pair of another', async () => {
    const issuer = new URL(service.url);
    const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
    const server = await oauth.processDiscoveryResponse(issuer, found);
    const me = { client_id: clientId };
    const stranger = oauth.PrivateKeyJwt((await makeKeyPair(alg)).privateKey);
    const answer = await oauth.clientCredentialsGrantRequest(server, me, stranger, {}, insecure);
    await expect(oauth.processClientCredentialsResponse(server, me, answer)).rejects.toMatchObject({
      error: 'invalid_client',
      status: 401,
    });
  });

  function signer(): { key: CryptoKey; kid?: string } {
    return { key: pair.privateKey, ...(pair.publicJwk.kid !== undefined && { kid: pair.publicJwk.kid }) };
  }
});
