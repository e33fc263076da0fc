/** The edges between accounts, keys and tokens: what one must never become by way of another. */
import { beforeAll, expect, it } from 'vitest';
import type { TestService } from '../support/service.ts';
import { describeOnEachStore } from '../support/stores.ts';

describeOnEachStore('at the edges', store => {
  let service: TestService;

  beforeAll(async () => {
    service = await store.start();
  });

  const rotateSelf = (authorization: string) =>
    fetch(`http://127.0.0.1:${service.port}/keys/self/rotations`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: '{"mode":"overlap","grace":60}',
    });

  it('a token that was narrowed does not rotate its key, a whole one does', async () => {
    const { apiKey } = await service.createKey({ feature: 'multiple-resources' });
    const narrow = await service.token(apiKey, { scope: 'personalize.flows:read' });
    const refused = await rotateSelf(`Bearer ${narrow}`);
    expect(refused.status).toBe(403);
    expect(await refused.json()).toMatchObject({ code: 'insufficient_scope' });
    expect((await rotateSelf(`Bearer ${await service.token(apiKey)}`)).status).toBe(201);
  });

  it('a key that was not made for the token endpoint does not rotate itself', async () => {
    const { apiKey } = await service.createKey({ feature: 'services-client', doors: ['sc_apikey'] });
    const basic = `Basic ${Buffer.from(`:${apiKey}`).toString('base64')}`;
    const refused = await rotateSelf(basic);
    expect(refused.status).toBe(401);
    expect(await refused.json()).toMatchObject({ code: 'key_invalid' });
  });

  it('a key that acts as an account is not that account in the audit', async () => {
    const { key, apiKey } = await service.createKey({ impersonationUser: 'owner' });
    expect((await rotateSelf(`Bearer ${await service.token(apiKey)}`)).status).toBe(201);
    const audit = await service.admin('GET', `/admin/audit?key=${key.id}&action=key.rotation.overlap`);
    const { items } = (await audit.json()) as { items: Record<string, unknown>[] };
    expect(items).toHaveLength(1);
    expect(items[0]).toMatchObject({ clientId: key.id });
    expect(items[0]).not.toHaveProperty('account');
  });

  it('an owner of an external provider does not count as one', async () => {
    const ghost = { id: 'ghost', role: 'owner', provider: 'external' };
    expect((await service.admin('POST', '/admin/accounts', ghost)).status).toBe(201);
    expect((await service.admin('DELETE', '/admin/accounts/owner')).status).toBe(409);
    expect((await service.admin('PATCH', '/admin/accounts/owner', { provider: 'external' })).status).toBe(
      409,
    );
    expect((await service.admin('DELETE', '/admin/accounts/owner/access-key')).status).toBe(409);
    expect((await service.admin('GET', '/admin/accounts')).status).toBe(200);
  });

  it('an account that takes a name again does not own what the one before it owned', async () => {
    await service.admin('POST', '/admin/accounts', { id: 'mm' });
    const { key } = await service.createKey({ owner: 'mm' });
    expect((await service.admin('DELETE', '/admin/accounts/mm')).status).toBe(204);
    await service.admin('POST', '/admin/accounts', { id: 'mm' });
    const shown = await service.admin('GET', `/admin/keys/${key.id}`);
    expect(await shown.json()).not.toHaveProperty('owner');
  });

  it.each(['\u017fitecore\\admin', 'sitecore\\admin\u200b', 'SITECORE\\ADMIN'])(
    'no key acts as %j',
    async impersonationUser => {
      const refused = await service.admin('POST', '/admin/keys', {
        name: 'x',
        feature: 'connections',
        impersonationUser,
      });
      expect(refused.status).toBe(422);
    },
  );

  it('a page that may read a path may read that a method is not offered there', async () => {
    await service.createKey({ corsOrigins: ['https://page.example'] });
    const headers = { origin: 'https://page.example' };
    const refused = await fetch(`http://127.0.0.1:${service.port}/v2/connections`, {
      method: 'PATCH',
      headers,
    });
    expect(refused.status).toBe(405);
    expect(refused.headers.get('allow')).toBe('GET, POST, OPTIONS');
    expect(refused.headers.get('access-control-allow-origin')).toBe('https://page.example');
    expect(refused.headers.get('vary')).toContain('Origin');
  });

  it('the making of the deployment stands first in the audit', async () => {
    const verified = await service.admin('GET', '/admin/audit/verification');
    expect(await verified.json()).toMatchObject({ faults: [] });
    const first = await service.admin('GET', '/admin/audit?action=deployment.initialise');
    const { items } = (await first.json()) as { items: unknown[] };
    expect(items).toEqual([expect.objectContaining({ seq: 1, target: 'account/owner' })]);
  });
});
