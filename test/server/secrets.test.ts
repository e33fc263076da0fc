/** Secrets are shown once, to whom they belong, and stand nowhere else: not in the log, not in the store, not in an answer. */
import { createHash, createPrivateKey, generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { beforeAll, describe, expect, test } from 'vitest';
import { requestText, sendRaw } from '../support/raw-http.ts';
import type { TestService } from '../support/service.ts';
import { describeOnEachStore, type StorePlace } from '../support/stores.ts';
import { readSecrets, type StolenKey, stealSigningKey } from './forged-tokens.ts';

describeOnEachStore('a session', store => {
  let place: StorePlace;
  let service: TestService;
  let stolen: StolenKey;
  /** A signing key that its owner brought. */
  let brought: JsonWebKey;
  /** What was said, by name: key strings, tokens, what only the service knows. */
  const secrets = new Map<string, string>();
  const answers: string[] = [];

  beforeAll(async () => {
    place = await store.place();
    service = await store.start({}, place);
    stolen = await stealSigningKey(place);
    await runSession();
    const { peppers, masterKey } = await readSecrets(place);
    secrets.set('the pepper', peppers[0]!);
    secrets.set('the master key', masterKey);
    secrets.set('the private part of the key that was brought', brought.d!);
  }, 30_000);

  const tell = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(service.url + path, init);
    const text = await response.text();
    answers.push(`${[...response.headers].flat().join('\n')}\n${text}`);
    return text;
  };
  const form = (fields: Record<string, string>): RequestInit => ({
    method: 'POST',
    body: new URLSearchParams(fields),
  });

  /** Everything that goes right, and as much that goes wrong, with each secret in each place where it might be sent. */
  async function runSession(): Promise<void> {
    const created = await service.createKey({
      name: 'One',
      corsOrigins: '*',
      impersonationUser: 'extranet\\Visitor',
    });
    const revoked = await service.createKey({ name: 'Two' });
    secrets.set("the owner's key", service.ownerKey);
    secrets.set('the sample key', service.sampleKey);
    secrets.set('a created key', created.apiKey);
    secrets.set('a revoked key', revoked.apiKey);
    secrets.set('a token', await service.token(created.apiKey));
    secrets.set('a revoked token', await service.token(created.apiKey));
    secrets.set('a token of a revoked key', await service.token(revoked.apiKey));
    brought = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
    await bringKey({ jwk: { ...brought, kid: 'brought' } }, 201);
    await bringKey({ jwk: { ...brought, y: brought.x } }, 422);
    await bringKey(brought, 422);
    await bringKey({ jwk: brought.d }, 422);
    await bringKey(`{"jwk": ${JSON.stringify(brought).slice(0, -1)}`, 400);
    secrets.set("the owner's token", await service.token(service.ownerKey));
    await tell('/oauth/revoke', form({ token: secrets.get('a revoked token')! }));
    await tell('/oauth/revoke', form({ token: revoked.apiKey }));
    for (const secret of secrets.values()) {
      const headers = { authorization: `Bearer ${secret}` };
      await tell('/v2/connections', { headers });
      await tell(`/v2/connections?access_token=${secret}`);
      await tell(`/v2/connections?sc_apikey=${secret}`, {
        headers: { sc_apikey: secret, 'x-sf-access-key': secret },
      });
      await tell(`/${encodeURIComponent(secret)}/x?y=${encodeURIComponent(secret)}#z`);
      await tell(`/admin/keys/${secret}`, { headers });
      for (const spoilt of [
        'Transfer-Encoding: xchunked',
        'Transfer-Encoding: chunked',
        'X-Y : z',
        'Content-Length: x',
      ]) {
        const lines = ['POST /v2/connections HTTP/1.1', 'Host: x', `Authorization: Bearer ${secret}`, spoilt];
        await sendRaw(service.port, requestText(lines, `+5\r\n${secret}\r\n0\r\n\r\n`));
      }
      await tell(`/admin/keys?q=${secret}`, { headers });
      await tell('/oauth/token', form({ grant_type: 'client_credentials', client_secret: `${secret}x` }));
      await tell('/oauth/token', form({ grant_type: secret, scope: secret, client_id: secret }));
      await tell('/oauth/token', {
        ...form({}),
        headers: { authorization: `Basic ${btoa(`x:${secret}!`)}` },
      });
      await tell('/oauth/token', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: `{"a":"${secret}"`,
      });
      await tell('/v2/connections', {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: `{"a":"${secret.slice(0, 20)}`,
      });
    }
  }

  async function bringKey(body: object | string, status: number): Promise<void> {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const response = await fetch(`${service.url}/admin/signing-keys`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${await service.token(service.ownerKey)}`,
        'content-type': 'application/json',
        'idempotency-key': `bring ${text.length}`.replaceAll(' ', '-'),
      },
      body: text,
    });
    answers.push(await response.text());
    expect(response.status).toBe(status);
  }

  /** The part of each that nobody may see. Of a token the signature, for its claims are no secret. */
  const hidden = () =>
    [...secrets].map(([name, text]): [string, string] => [
      name,
      text.startsWith('kt_') ? text.slice(36, 68) : (text.split('.')[2] ?? text),
    ]);

  test('leaves no secret in the log, in any spelling', () => {
    const log = service.log.join('\n');
    expect(log).toContain('"status":401');
    for (const [name, text] of hidden()) {
      expect(log.includes(text), name).toBe(false);
      expect(log.includes([...Buffer.from(text)].join(',')), `${name} in bytes`).toBe(false);
      for (const form of ['base64', 'base64url', 'hex'] as const) {
        expect(log.includes(Buffer.from(text).toString(form)), `${name} in ${form}`).toBe(false);
      }
    }
    expect(log.includes(stolen.privateJwk.d!)).toBe(false);
    expect(log).not.toMatch(/"d":|PRIVATE KEY/);
  });
  test('names keys in the log by their ids', () => {
    const ids = service.log
      .map(line => (JSON.parse(line) as { clientId?: string }).clientId)
      .filter(id => id !== undefined);
    expect(new Set(ids).size).toBeGreaterThanOrEqual(3);
  });

  test('leaves no secret in the store, nor a hash that a thief could try guesses on', async () => {
    const kept = await readEverything(place);
    expect(kept.length).toBeGreaterThan(1000);
    for (const [name, whole] of secrets) {
      const parts = whole.startsWith('kt_')
        ? [
            whole,
            whole.slice(3),
            whole.slice(36, 68),
            whole.slice(36),
            `${whole.slice(3, 35)}_${whole.slice(36)}`,
          ]
        : [whole, whole.split('.')[2] ?? whole];
      for (const part of parts) {
        for (const [form, bytes] of spellingsOf(part)) {
          expect(kept.includes(bytes), `${name}: ${form}`).toBe(false);
        }
      }
    }
  });
  test.each<[string, () => JsonWebKey]>([
    ['of its own', () => stolen.privateJwk],
    ['that was brought', () => brought],
  ])('leaves no private key %s in the store, but sealed', async (_, privateJwk) => {
    const kept = await readEverything(place);
    const key = createPrivateKey({ key: privateJwk(), format: 'jwk' });
    const d = Buffer.from(privateJwk().d!, 'base64url');
    for (const [form, bytes] of [
      ['its member of the JWK', Buffer.from(privateJwk().d!)],
      ['its bytes', d],
      ['its bytes in hex', Buffer.from(d.toString('hex'))],
      ['its bytes in base64', Buffer.from(d.toString('base64'))],
      ['PKCS 8', key.export({ type: 'pkcs8', format: 'der' })],
      ['SEC 1', key.export({ type: 'sec1', format: 'der' })],
      ['the name of the member', Buffer.from('"d":')],
      ['the name of the member, escaped', Buffer.from('\\"d\\":')],
      ['a PEM header', Buffer.from('PRIVATE KEY')],
    ] as [string, Buffer][]) {
      expect(kept.includes(bytes), form).toBe(false);
    }
    for (const kid of [stolen.kid, 'brought']) expect(kept.includes(Buffer.from(kid))).toBe(true);
  });

  test('answers with a secret to whom it was made for alone', () => {
    const said = answers.join('\n');
    for (const [name, text] of hidden()) expect(said.includes(text), name).toBe(false);
    expect(said).not.toMatch(/"hash"|"pepper"|"secret"|"sealed"/);
  });
  test('answers no fault with a stack, a path or the address of the store', () => {
    const said = answers.join('\n');
    expect(said).not.toMatch(/\bat \/|node_modules|\.ts:\d|ioredis|lmdb|ECONN|SyntaxError|TypeError/);
    expect(said.includes(place.dataDir)).toBe(false);
    expect(place.redisUrl !== undefined && said.includes(place.redisUrl)).toBe(false);
  });

  describe('the directory of its data', () => {
    test('is for its owner alone, as is every file in it', async () => {
      expect((await stat(place.dataDir)).mode & 0o077).toBe(0);
      for (const name of await readdir(place.dataDir)) {
        expect((await stat(join(place.dataDir, name))).mode & 0o077, name).toBe(0);
      }
    });
  });
});

/** Each text as itself, and as every digest that is quick to try, in each way of writing bytes. */
function spellingsOf(text: string): [string, Buffer][] {
  const digests = ['md5', 'sha1', 'sha256', 'sha384', 'sha512', 'sha3-256'].map((name): [string, Buffer] => [
    name,
    createHash(name).update(text).digest(),
  ]);
  return [['itself', Buffer.from(text)] as [string, Buffer], ...digests].flatMap(
    ([name, bytes]): [string, Buffer][] => [
      [name, bytes],
      [`${name} in hex`, Buffer.from(bytes.toString('hex'))],
      [`${name} in base64`, Buffer.from(bytes.toString('base64').replace(/=+$/, ''))],
      [`${name} in base64url`, Buffer.from(bytes.toString('base64url'))],
    ],
  );
}

/** All bytes that the store holds, but for the files of secrets beside the embedded one. */
async function readEverything({ dataDir, redisUrl }: StorePlace): Promise<Buffer> {
  if (redisUrl !== undefined) return readRedis(redisUrl);
  const names = await readdir(dataDir);
  const files = names.filter(name => name !== 'pepper' && name !== 'master-key');
  return Buffer.concat(await Promise.all(files.map(name => readFile(join(dataDir, name)))));
}

async function readRedis(url: string): Promise<Buffer> {
  const redis = new Redis(url);
  const parts: Buffer[] = [];
  try {
    let cursor = '0';
    do {
      const [next, keys] = await redis.scanBuffer(cursor, 'COUNT', 1000);
      cursor = next.toString();
      for (const key of keys) parts.push(key, ...(await readRedisValue(redis, key)));
    } while (cursor !== '0');
  } finally {
    redis.disconnect();
  }
  return Buffer.concat(parts);
}

async function readRedisValue(redis: Redis, key: Buffer): Promise<Buffer[]> {
  switch (await redis.type(key)) {
    case 'string':
      return [(await redis.getBuffer(key)) ?? Buffer.alloc(0)];
    case 'zset':
      return redis.zrangeBuffer(key, '0', '-1');
    case 'set':
      return redis.smembersBuffer(key);
    case 'list':
      return redis.lrangeBuffer(key, 0, -1);
    case 'hash':
      return Object.entries(await redis.hgetall(key))
        .flat()
        .map(text => Buffer.from(text));
    case 'stream':
      return (await redis.xrangeBuffer(key, '-', '+')).flatMap(([, fields]) => fields);
    default:
      throw new Error(`a kind of value that the test does not read: ${key.toString()}`);
  }
}
