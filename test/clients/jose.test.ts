/** jose 6 as a resource server uses it: a remote key set, and the checks of RFC 9068. */
import { createRemoteJWKSet, decodeProtectedHeader, errors, jwtVerify } from 'jose';
import { afterEach, describe, expect, it } from 'vitest';
import { startService, type TestService } from '../support/service.ts';

let service: TestService | undefined;

afterEach(async () => {
  await service?.stop();
  service = undefined;
});

describe.each(['ES256', 'RS256', 'EdDSA'])('jose, verifying %s', alg => {
  it('accepts a token by the published keys, and refuses it for another audience', async () => {
    service = await startService({ env: { KEYTURN_SIGNING_ALG: alg } });
    const { key, apiKey } = await service.createKey({ name: 'jose' });
    const token = await service.token(apiKey);
    const metadata = await fetch(`${service.url}/.well-known/oauth-authorization-server`);
    const { issuer, jwks_uri } = (await metadata.json()) as { issuer: string; jwks_uri: string };
    const keys = createRemoteJWKSet(new URL(jwks_uri));
    const demands = { issuer, audience: service.url, typ: 'at+jwt' };

    const { payload, protectedHeader } = await jwtVerify(token, keys, demands);
    expect(decodeProtectedHeader(token)).toMatchObject({ typ: 'at+jwt', kid: protectedHeader.kid });
    expect(payload).toMatchObject({
      iss: service.url,
      sub: key.id,
      client_id: key.id,
      feature: 'connections',
      scope: 'personalize.external_webservices:manage',
      allowed_controllers: ['Personalize.Connections'],
      allowed_origins: [],
      key_version: 1,
    });
    await expect(
      jwtVerify(token, keys, { ...demands, audience: 'https://elsewhere.example' }),
    ).rejects.toBeInstanceOf(errors.JWTClaimValidationFailed);
  });
});
