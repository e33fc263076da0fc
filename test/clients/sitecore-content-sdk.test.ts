/** Sitecore's own client for tokens, pointed at this service instead of Sitecore's. */
import { createRequire } from 'node:module';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startService, type TestService } from '../support/service.ts';
import { expectLetIn } from './guarded-route.ts';

interface NodeTools {
  auth: {
    clientCredentialsFlow(options: Record<string, string>): Promise<Record<string, unknown>>;
  };
}

/** Its ESM build cannot be imported by Node 20; the other one works there. */
const require = createRequire(import.meta.url);
const { auth } = require('@sitecore-content-sdk/core/node-tools') as NodeTools;

const audience = 'https://api.sitecorecloud.io';
const claims = {
  'https://auth.sitecorecloud.io/claims/tenant_id': 'a-tenant',
  'https://auth.sitecorecloud.io/claims/tenant_name': 'A tenant',
  'https://auth.sitecorecloud.io/claims/org_id': 'org_1234',
};

let service: TestService;

beforeAll(async () => {
  service = await startService({ env: { KEYTURN_AUDIENCE: audience } });
});

afterAll(() => service.stop());

describe("the Sitecore Content SDK's clientCredentialsFlow", () => {
  it('gets a token that names tenant and organisation, and opens a guarded route', async () => {
    const key = await service.createKey({ name: 'Content SDK', claims, audiences: [audience] });
    const answer = await request(key);
    expect(answer).toMatchObject({
      tokenTenantId: 'a-tenant',
      tokenTenantName: 'A tenant',
      tokenOrgId: 'org_1234',
      data: { token_type: 'Bearer', expires_in: 900, scope: 'personalize.external_webservices:manage' },
    });
    await expectLetIn(service, String(answer['accessToken']));
  });

  it('is content with the tenant and organisation that it asks for, and refuses others', async () => {
    const key = await service.createKey({ name: 'Content SDK', claims, audiences: [audience] });
    const right = { tenantId: 'a-tenant', organizationId: 'org_1234' };
    await expect(request(key, right)).resolves.toMatchObject({ tokenOrgId: 'org_1234' });
    await expect(request(key, { ...right, tenantId: 'another' })).rejects.toThrow('Mismatch');
  });

  it('refuses a token without the two claims', async () => {
    const key = await service.createKey({ name: 'No claims', audiences: [audience] });
    await expect(request(key)).rejects.toThrow('Token is missing required claims tenant_id or org_id.');
  });

  it('shows the description of an error', async () => {
    const key = await service.createKey({
      name: 'Another audience',
      audiences: ['https://elsewhere.example'],
    });
    await expect(request(key)).rejects.toThrow(`The API key may not have the audience ${audience}`);
  });
});

function request(
  { key, apiKey }: { key: { id: string }; apiKey: string },
  more: Record<string, string> = {},
) {
  const options = { clientId: key.id, clientSecret: apiKey, authority: service.url, audience, ...more };
  return auth.clientCredentialsFlow(options);
}
