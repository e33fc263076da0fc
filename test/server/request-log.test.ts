/** The line that each request leaves in the log: why it failed is told in the words of the list that its code is from. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startService, type TestService } from '../support/service.ts';

describe('why a request failed', () => {
  let service: TestService;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  const lastLine = () => JSON.parse(service.log.findLast(line => line.includes('"request"'))!) as object;

  test('a scope that the token lacks, refused by the guard of a resource', async () => {
    const scope = 'personalize.external_webservices:create';
    const token = await service.token(service.sampleKey, { scope });
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(`${service.url}/v2/connections`, { headers });
    expect(response.status).toBe(403);
    expect(lastLine()).toMatchObject({
      code: 'insufficient_scope',
      reason: 'the scope of the route is not granted',
    });
  });

  test('a key that may not do it, refused by an endpoint of OAuth with the same code', async () => {
    const { key, apiKey } = await service.createKey({});
    const authorization = `Basic ${Buffer.from(`${key.id}:${apiKey}`).toString('base64')}`;
    const response = await fetch(`${service.url}/oauth/introspect`, {
      method: 'POST',
      headers: { authorization },
      body: new URLSearchParams({ token: 'any' }),
    });
    expect(response.status).toBe(403);
    expect(lastLine()).toMatchObject({ code: 'insufficient_scope', reason: 'the client may not do this' });
  });

  test('an address that is not there', async () => {
    await fetch(`${service.url}/nowhere`);
    expect(lastLine()).toMatchObject({ code: 'not_found', reason: 'there is nothing at the address' });
  });
});
