/** google-auth-library 10: its external accounts are true RFC 8693 clients, and an API key is their subject token. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ExternalAccountClient } from 'google-auth-library';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startService, type TestService } from '../support/service.ts';
import { connectionScopes } from './guarded-route.ts';

let service: TestService;
let apiKey: string;
let directory: string;

beforeAll(async () => {
  service = await startService();
  apiKey = (await service.createKey({ name: 'google-auth-library' })).apiKey;
  directory = await mkdtemp(path.join(tmpdir(), 'keyturn-'));
});

afterAll(async () => {
  await service.stop();
  await rm(directory, { recursive: true, force: true });
});

describe('google-auth-library', () => {
  it('exchanges a key from a supplier, and calls a guarded route', async () => {
    const client = connect({ subject_token_supplier: { getSubjectToken: async () => apiKey } });
    client.scopes = [connectionScopes.read];
    const { status, data } = await client.request({ url: `${service.url}/v2/connections` });
    expect(status).toBe(200);
    expect(data).toEqual({ href: `${service.url}/v2/connections`, items: [] });
  });

  it('exchanges a key from a file', async () => {
    const file = path.join(directory, 'api-key');
    await writeFile(file, apiKey, { mode: 0o600 });
    const client = connect({ credential_source: { file } });
    client.scopes = [connectionScopes.read];
    const { status } = await client.request({ url: `${service.url}/v2/connections` });
    expect(status).toBe(200);
  });

  it('reads why a request is refused, as for the scope that it asks for when it is given none', async () => {
    const client = connect({ subject_token_supplier: { getSubjectToken: async () => apiKey } });
    await expect(client.getAccessToken()).rejects.toThrow(
      /invalid_scope: The API key does not have the scope/,
    );
  });

  it('reads that the key is not valid', async () => {
    const client = connect({ subject_token_supplier: { getSubjectToken: async () => `${apiKey}\n` } });
    client.scopes = [connectionScopes.read];
    await expect(client.getAccessToken()).rejects.toThrow(/invalid_request/);
  });
});

function connect(source: object) {
  const client = ExternalAccountClient.fromJSON({
    type: 'external_account',
    audience: service.url,
    subject_token_type: 'urn:keyturn:params:oauth:token-type:api-key',
    token_url: `${service.url}/oauth/token`,
    ...source,
  });
  if (client === null) throw new Error('these are no options of an external account');
  return client;
}
