/** `Idempotency-Key`: what is sent twice is done once, and answered twice alike. */
import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { beforeAll, describe, expect, test } from 'vitest';
import type { TestService } from '../support/service.ts';
import { describeOnEachStore, type StorePlace } from '../support/stores.ts';

interface Sent {
  readonly status: number;
  readonly location: string | null;
  readonly text: string;
}

const newKey = { name: 'Once', feature: 'connections' };

/** Every byte that the store holds, as one text. */
async function storeBytes({ dataDir, redisUrl }: StorePlace): Promise<string> {
  if (redisUrl === undefined) {
    const files = await readdir(dataDir, { recursive: true, withFileTypes: true });
    const texts = files
      .filter(file => file.isFile())
      .map(file => readFile(join(file.parentPath, file.name), 'latin1'));
    return (await Promise.all(texts)).join('\n');
  }
  const redis = new Redis(redisUrl);
  try {
    const names = await redis.keys('*');
    const dumps = await Promise.all(names.map(name => redis.dumpBuffer(name)));
    const plain = await Promise.all(
      names.map(async name => ((await redis.type(name)) === 'string' ? redis.get(name) : '')),
    );
    return [...names, ...dumps.map(dump => dump?.toString('latin1')), ...plain].join('\n');
  } finally {
    redis.disconnect();
  }
}

describeOnEachStore('Idempotency-Key', store => {
  let service: TestService;
  let place: StorePlace;

  beforeAll(async () => {
    place = await store.place();
    service = await store.start({}, place);
  });

  async function send(
    key: string | undefined,
    path: string,
    body?: unknown,
    authorization?: string,
    method = 'POST',
  ): Promise<Sent> {
    const answer = await fetch(`http://127.0.0.1:${service.port}${path}`, {
      method,
      headers: {
        authorization: authorization ?? `Bearer ${await service.token(service.ownerKey)}`,
        'content-type': 'application/json',
        ...(key !== undefined && { 'idempotency-key': key }),
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    expect(answer.headers.get('cache-control')).toBe('no-store');
    return { status: answer.status, location: answer.headers.get('location'), text: await answer.text() };
  }

  const codeOf = ({ text }: Sent) => (JSON.parse(text) as { code?: string }).code;

  async function keysNamed(name: string): Promise<number> {
    const answer = await service.admin('GET', `/admin/keys?limit=100&q=${name}`);
    return ((await answer.json()) as { items: unknown[] }).items.length;
  }

  async function audited(id: string): Promise<string[]> {
    const answer = await service.admin('GET', `/admin/audit?limit=100&key=${id}`);
    return ((await answer.json()) as { items: { action: string }[] }).items.map(({ action }) => action);
  }

  test('the same request again: the same answer to the byte, and no second key', async () => {
    const [key, name] = [randomUUID(), `n${randomUUID()}`];
    const first = await send(key, '/admin/keys', { ...newKey, name });
    expect(first.status).toBe(201);
    const { apiKey, key: made } = JSON.parse(first.text) as { apiKey: string; key: { id: string } };
    expect(first.location).toBe(`/admin/keys/${made.id}`);
    // What became of the key in the meantime does not change the answer.
    await service.admin('PATCH', `/admin/keys/${made.id}`, { tokenTtl: 60 });
    for (let time = 0; time < 3; time += 1) {
      expect(await send(key, '/admin/keys', { ...newKey, name })).toEqual(first);
    }
    expect(await keysNamed(name)).toBe(1);
    expect(await audited(made.id)).toEqual(['key.update', 'key.create']);
    expect((await service.exchange(apiKey)).status).toBe(200);
  });

  test('without the header, or with another: a key each', async () => {
    const name = `n${randomUUID()}`;
    for (const key of [undefined, undefined, randomUUID(), randomUUID()]) {
      expect((await send(key, '/admin/keys', { ...newKey, name })).status).toBe(201);
    }
    expect(await keysNamed(name)).toBe(4);
  });

  test.each<[string, string, object]>([
    ['a rotation', '/rotations', { mode: 'overlap', grace: 60 }],
    ['a rotation now', '/rotations', { mode: 'now' }],
    ['a step', '/disable', {}],
    ['the last step', '/revoke', {}],
  ])('%s, asked for twice, is done once', async (_, path, body) => {
    const { key } = await service.createKey({});
    const [header, target] = [randomUUID(), `/admin/keys/${key.id}${path}`];
    const first = await send(header, target, body);
    expect(first.status).toBeLessThan(300);
    expect(await send(header, target, body)).toEqual(first);
    expect(await audited(key.id)).toHaveLength(2);
  });

  test('an account and its access key too', async () => {
    const id = randomUUID();
    const [one, other] = [randomUUID(), randomUUID()];
    const account = await send(one, '/admin/accounts', { id });
    expect(account.status).toBe(201);
    expect(await send(one, '/admin/accounts', { id })).toEqual(account);
    const accessKey = await send(other, `/admin/accounts/${id}/access-key`);
    expect(accessKey.status).toBe(201);
    expect(await send(other, `/admin/accounts/${id}/access-key`)).toEqual(accessKey);
    const { accessKey: text } = JSON.parse(accessKey.text) as { accessKey: string };
    expect((await service.exchange(text)).status).toBe(200);
  });

  test('a rotation script that lost the answer gets its secret, and no third one lives', async () => {
    const { key, apiKey } = await service.createKey({});
    const basic = `Basic ${btoa(`:${apiKey}`)}`;
    const header = randomUUID();
    const body = { mode: 'first-use', grace: 60 };
    const first = await send(header, '/keys/self/rotations', body, basic);
    expect(first.status).toBe(201);
    expect(await send(header, '/keys/self/rotations', body, basic)).toEqual(first);
    expect((await send(randomUUID(), '/keys/self/rotations', body, basic)).status).toBe(409);
    const { apiKey: fresh } = JSON.parse(first.text) as { apiKey: string };
    expect((await service.exchange(fresh)).status).toBe(200);
    const answer = await service.admin('GET', `/admin/keys/${key.id}`);
    expect(((await answer.json()) as { secrets: unknown[] }).secrets).toHaveLength(2);
  });

  test.each<[string, string, unknown]>([
    ['another body', '/admin/keys', { ...newKey, tokenTtl: 60 }],
    ['the same body otherwise written', '/admin/keys', JSON.stringify(newKey, undefined, 1)],
    ['another address', '/admin/accounts', newKey],
    ['a query', '/admin/keys?dry=true', newKey],
  ])('the same key for %s: 422, and nothing is done', async (_, path, body) => {
    const key = randomUUID();
    const first = await send(key, '/admin/keys', newKey);
    const second = await send(key, path, body);
    expect([second.status, codeOf(second)]).toEqual([422, 'idempotency_key_reused']);
    expect(second.text).not.toContain('kt_');
    expect(await send(key, '/admin/keys', newKey)).toEqual(first);
  });

  test("another caller's key is another key", async () => {
    const id = randomUUID();
    await service.admin('POST', '/admin/accounts', { id, role: 'admin' });
    const made = await service.admin('POST', `/admin/accounts/${id}/access-key`);
    const { accessKey } = (await made.json()) as { accessKey: string };
    const [key, name] = [randomUUID(), `n${randomUUID()}`];
    const first = await send(key, '/admin/keys', { ...newKey, name });
    const second = await send(
      key,
      '/admin/keys',
      { ...newKey, name },
      `Bearer ${await service.token(accessKey)}`,
    );
    expect(second.status).toBe(201);
    expect(second.text).not.toBe(first.text);
    expect(await keysNamed(name)).toBe(2);
  });

  test('whoever may not do it any more is not told what came of it', async () => {
    const id = randomUUID();
    await service.admin('POST', '/admin/accounts', { id, role: 'admin' });
    const made = await service.admin('POST', `/admin/accounts/${id}/access-key`);
    const { accessKey } = (await made.json()) as { accessKey: string };
    const key = randomUUID();
    const first = await send(key, '/admin/keys', newKey, `Bearer ${await service.token(accessKey)}`);
    expect(first.status).toBe(201);
    await service.admin('PATCH', `/admin/accounts/${id}`, { role: 'member' });
    const second = await send(key, '/admin/keys', newKey, `Bearer ${await service.token(accessKey)}`);
    expect([second.status, second.text.includes('kt_')]).toEqual([403, false]);
  });

  test.each([
    ['keys', () => '/admin/keys'],
    ['accounts', () => '/admin/accounts'],
  ])('%s, twenty at once: one deed; the others get its answer, or are told to wait', async (what, pathOf) => {
    const [key, name] = [randomUUID(), `n${randomUUID()}`];
    const body = what === 'keys' ? { ...newKey, name } : { id: name };
    const answers = await Promise.all(Array.from({ length: 20 }, () => send(key, pathOf(), body)));
    const done = answers.filter(({ status }) => status === 201);
    expect(done.length).toBeGreaterThanOrEqual(1);
    expect(new Set(done.map(({ text }) => text)).size).toBe(1);
    const others = answers.filter(({ status }) => status !== 201);
    expect(others.map(other => [other.status, codeOf(other)])).toEqual(
      others.map(() => [409, 'idempotency_outcome_unknown']),
    );
    expect(await send(key, pathOf(), body)).toEqual(done[0]);
    expect(await keysNamed(name)).toBe(what === 'keys' ? 1 : 0);
  });

  test.each<[string, string, unknown, number]>([
    ['a value that is not acceptable', '/admin/keys', { ...newKey, feature: 'nothing' }, 422],
    ['a key that is not there', `/admin/keys/${randomUUID()}/rotations`, { mode: 'now' }, 404],
    ['a name that is taken', '/admin/accounts', { id: 'owner' }, 409],
  ])('a request that was refused for %s may be mended and sent again', async (_, path, body, status) => {
    const key = randomUUID();
    expect((await send(key, path, body)).status).toBe(status);
    expect((await send(key, path, body)).status).toBe(status);
    expect((await send(key, '/admin/keys', newKey)).status).toBe(201);
  });

  test('a refused step is done once it can be', async () => {
    const { key } = await service.createKey({ draft: true });
    const header = randomUUID();
    expect((await send(header, `/admin/keys/${key.id}/disable`)).status).toBe(409);
    await service.admin('POST', `/admin/keys/${key.id}/publish`);
    expect((await send(header, `/admin/keys/${key.id}/disable`)).status).toBe(200);
  });

  test.each([
    ['empty', ''],
    ['too long', 'x'.repeat(256)],
    ['with a space', 'a b'],
    ['with a letter beyond ASCII', 'schlüssel'],
    ['with a control character', 'a\tb'],
  ])('a key that is %s: 400, and nothing is done', async (_, key) => {
    const name = `n${randomUUID()}`;
    const answer = await send(key, '/admin/keys', { ...newKey, name });
    expect([answer.status, codeOf(answer)]).toEqual([400, 'malformed_request']);
    expect(await keysNamed(name)).toBe(0);
  });

  test.each([['x'.repeat(255)], ['"quoted,;={}"'], ['~']])('a key may be %s', async own => {
    const key = `${own}${store.kind}`.slice(-255);
    const first = await send(key, '/admin/keys', newKey);
    expect(first.status).toBe(201);
    expect(await send(key, '/admin/keys', newKey)).toEqual(first);
  });

  test('only POST heeds it: a PATCH is the same twice anyway, and a GET does nothing', async () => {
    const { key } = await service.createKey({});
    const header = randomUUID();
    for (const name of ['One', 'Two']) {
      const answer = await send(header, `/admin/keys/${key.id}`, { name }, undefined, 'PATCH');
      expect((JSON.parse(answer.text) as { name: string }).name).toBe(name);
    }
    expect((await send(header, `/admin/keys/${key.id}`, undefined, undefined, 'GET')).status).toBe(200);
  });

  test('an answer is kept for a day', async () => {
    const key = randomUUID();
    const first = await send(key, '/admin/keys', newKey);
    service.clock.advance(86_400 - 60);
    expect(await send(key, '/admin/keys', newKey)).toEqual(first);
    service.clock.advance(61);
    const second = await send(key, '/admin/keys', newKey);
    expect(second.status).toBe(201);
    expect(second.text).not.toBe(first.text);
    // And the new one for a day of its own.
    service.clock.advance(3600);
    expect(await send(key, '/admin/keys', newKey)).toEqual(second);
  });

  describe('the store', () => {
    test('holds no secret in the clear, whatever was answered', async () => {
      const own = await store.place();
      const other = await store.start({}, own);
      const token = await other.token(other.ownerKey);
      const post = async (path: string, body: object) => {
        const answer = await fetch(`http://127.0.0.1:${other.port}${path}`, {
          method: 'POST',
          headers: {
            authorization: `Bearer ${token}`,
            'content-type': 'application/json',
            'idempotency-key': randomUUID(),
          },
          body: JSON.stringify(body),
        });
        expect(answer.status).toBe(201);
        return answer.text();
      };
      const texts = [await post('/admin/keys', { ...newKey, name: 'A-name-to-be-found' })];
      const { key } = JSON.parse(texts[0] ?? '') as { key: { id: string } };
      texts.push(
        await post(`/admin/keys/${key.id}/rotations`, { mode: 'first-use' }),
        await post('/admin/accounts', { id: 'alice' }),
        await post('/admin/accounts/alice/access-key', {}),
      );
      const secrets = [...texts, other.ownerKey, other.sampleKey].flatMap(
        text => text.match(/kt_\w+/g) ?? [],
      );
      expect(secrets).toHaveLength(5);
      await Promise.all(secrets.slice(0, 3).map(secret => other.exchange(secret)));
      await other.stop();
      const bytes = await storeBytes(own);
      expect(bytes).toContain('A-name-to-be-found');
      expect(bytes).toContain(key.id);
      for (const secret of secrets) {
        expect(bytes).not.toContain(secret);
        expect(bytes).not.toContain(secret.slice(36));
        expect(bytes).not.toContain(secret.slice(36, 68));
      }
      expect(bytes).not.toContain(token);
      // Nor a private key: a JWK would have its member `d`.
      expect(bytes).not.toMatch(/"d":"[\w-]{20,}"/);
    });
  });
});
