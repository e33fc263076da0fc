/** simple-oauth2 5, which knows no discovery. */
import { createRequire } from 'node:module';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startService, type TestService } from '../support/service.ts';
import { connectionScopes, expectLetIn } from './guarded-route.ts';

/** What we use of it: the package brings no types. */
interface SimpleOAuth2 {
  ClientCredentials: new (config: object) => {
    getToken(parameters: { scope?: string | string[] }): Promise<{
      token: Record<string, unknown>;
      expired(window?: number): boolean;
    }>;
  };
}

const require = createRequire(import.meta.url);
const { ClientCredentials } = require('simple-oauth2') as SimpleOAuth2;

let service: TestService;
let apiKey: string;
let clientId: string;

beforeAll(async () => {
  service = await startService();
  const created = await service.createKey({ name: 'simple-oauth2' });
  apiKey = created.apiKey;
  clientId = created.key.id;
});

afterAll(() => service.stop());

describe.each([
  ['form', 'body'],
  ['form', 'header'],
  ['json', 'body'],
] as const)('simple-oauth2 with a %s and the secret in the %s', (bodyFormat, authorizationMethod) => {
  it('gets a token that opens a guarded route', async () => {
    const { token, expired } = await request(apiKey);
    expect(token).toMatchObject({ token_type: 'Bearer', expires_in: 900, scope: connectionScopes.read });
    expect(expired()).toBe(false);
    await expectLetIn(service, String(token['access_token']));
  });

  it('reads why a request is refused', async () => {
    await expect(request(`${apiKey.slice(0, -1)}?`)).rejects.toMatchObject({
      output: { statusCode: 401 },
      data: { payload: { error: 'invalid_client' } },
    });
  });

  async function request(secret: string) {
    const client = new ClientCredentials({
      client: { id: clientId, secret },
      auth: { tokenHost: service.url, tokenPath: '/oauth/token' },
      options: { bodyFormat, authorizationMethod },
    });
    const answer = await client.getToken({ scope: connectionScopes.read });
    return { token: answer.token, expired: () => answer.expired() };
  }
});
