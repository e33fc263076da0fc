/** The token client and the real service: a key's and a token's whole life, as a caller sees it. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTokenClient, type TokenClient, type TokenClientOptions } from '../../src/client/index.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
/** Token requests. */
let requests: number;
let key: { id: string; apiKey: string };

beforeEach(async () => {
  service = await startService({ failuresPerMinute: 3 });
  requests = 0;
  const made = await service.createKey({ name: 'A service' });
  key = { id: made.key.id, apiKey: made.apiKey };
});

afterEach(() => service.stop());

describe('a token', () => {
  it('opens a guarded route, for a thousand callers with one request', async () => {
    const client = open();
    const statuses = await Promise.all(Array.from({ length: 1000 }, () => list(client)));
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(requests).toBe(1);
  });

  it('that was revoked is replaced', async () => {
    const client = open();
    const revoked = await client.getToken();
    const answer = await fetch(`${service.url}/oauth/revoke`, {
      method: 'POST',
      body: new URLSearchParams({ token: revoked }),
    });
    expect(answer.status).toBe(200);
    expect(await list(client)).toBe(200);
    expect(await client.getToken()).not.toBe(revoked);
    expect(requests).toBe(2);
  });

  it('that has expired by the clock of the server is replaced', async () => {
    const client = open();
    expect(await list(client)).toBe(200);
    service.clock.advance(901);
    expect(await list(client)).toBe(200);
    expect(requests).toBe(2);
  });

  it('of less than the key has may do less', async () => {
    const { fetch } = open();
    const narrow = { scope: 'personalize.external_webservices:read' };
    const create = {
      method: 'POST',
      body: '{"name":"One"}',
      headers: { 'content-type': 'application/json' },
    };
    expect((await fetch(`${service.url}/v2/connections`, create, narrow)).status).toBe(403);
    expect((await fetch(`${service.url}/v2/connections`, create)).status).toBe(201);
    expect(requests).toBe(2);
  });
});

describe('a key', () => {
  it('that was revoked is told as such, and hardly asked for', async () => {
    const client = open();
    expect(await list(client)).toBe(200);
    expect((await service.admin('POST', `/admin/keys/${key.id}/revoke`)).status).toBe(200);
    for (let call = 0; call < 100; call += 1)
      await expect(list(client)).rejects.toMatchObject({
        name: 'TokenRefused',
        code: 'invalid_client',
        status: 401,
        message: expect.stringMatching(/revoked/) as string,
      });
    expect(requests).toBe(2);
  });

  it('that was replaced at once is picked up through its function, with no call lost', async () => {
    let current = key.apiKey;
    const client = open({ apiKey: () => Promise.resolve(`${current}\n`) });
    expect(await list(client)).toBe(200);
    const answer = await service.admin('POST', `/admin/keys/${key.id}/rotations`, { mode: 'now' });
    expect(answer.status).toBe(201);
    ({ apiKey: current } = (await answer.json()) as { apiKey: string });
    const statuses = await Promise.all(Array.from({ length: 100 }, () => list(client)));
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(requests).toBe(2);
  });

  it('that comes a moment after the old one was refused is picked up by the same request', async () => {
    const { key: doomed, apiKey: old } = await service.createKey({});
    await service.admin('POST', `/admin/keys/${doomed.id}/revoke`);
    const given = [old, key.apiKey];
    expect(await list(open({ apiKey: () => given.shift() ?? key.apiKey }))).toBe(200);
    expect(requests).toBe(2);
  });

  it('asked for more than it has is refused', async () => {
    const client = open();
    await expect(client.getToken({ scope: 'personalize.flows:read' })).rejects.toMatchObject({
      code: 'invalid_scope',
      status: 400,
    });
    await expect(client.getToken({ audience: 'https://b.example' })).rejects.toMatchObject({
      code: 'invalid_target',
    });
  });

  it('that is guessed is slowed down, and the pause kept', async () => {
    const wrong = `${key.apiKey.slice(0, -1)}?`;
    const guess = () => open({ apiKey: wrong }).getToken();
    for (let time = 0; time < 3; time += 1)
      await expect(guess()).rejects.toMatchObject({ code: 'invalid_client' });
    const client = open({ apiKey: wrong });
    requests = 0;
    for (let call = 0; call < 20; call += 1)
      await expect(client.getToken()).rejects.toMatchObject({
        name: 'TokenUnavailable',
        code: 'temporarily_unavailable',
        status: 429,
      });
    expect(requests).toBe(1);
  });
});

/** In a time that stands still: how often one is asked does not hang on how fast the machine is. */
function open(options: Partial<TokenClientOptions> = {}): TokenClient {
  return createTokenClient({
    issuer: service.url,
    apiKey: key.apiKey,
    now: () => 0,
    fetch(input, init) {
      if (input === `${service.url}/oauth/token`) requests += 1;
      return fetch(input, init);
    },
    ...options,
  });
}

async function list(client: TokenClient): Promise<number> {
  const response = await client.fetch(`${service.url}/v2/connections`);
  await response.text();
  return response.status;
}
