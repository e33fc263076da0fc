/** The first owner of a deployment over Redis: made by command, once, by one of many who try. */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runCli, serveCli, type ServingProcess, stopServing } from '../support/built-cli.ts';
import { run, type Said } from '../cli/run.ts';
import { namesIn, type RedisServer, startRedis } from '../support/redis-servers.ts';
import { until } from '../support/until.ts';

/** Milliseconds, on a busy machine. */
const patience = 180_000;
const keyString = /kt_[0-9a-f]{32}_[0-9A-Za-z]{38}/;

let scratch: string;
let redis: RedisServer;
let env: Record<string, string>;

beforeAll(async () => {
  scratch = await mkdtemp(path.join(tmpdir(), 'keyturn-'));
  redis = await startRedis();
  env = {
    KEYTURN_REDIS_URL: redis.url,
    KEYTURN_PEPPER: 'a-pepper-for-the-tests-alone-0001',
    KEYTURN_MASTER_KEY: 'a-master-key-for-the-tests-alone-1',
    KEYTURN_MAX_STALENESS: '1',
  };
}, patience);

afterAll(async () => {
  await redis.stop();
  await rm(scratch, { recursive: true, force: true });
});

beforeEach(() => redis.call('flushall'));

describe('keyturn init', () => {
  it('prints the account and its key as one JSON value, and works once', { timeout: patience }, async () => {
    const first = await init('--json');
    expect(first.code).toBe(0);
    expect(JSON.parse(first.stdout)).toEqual({
      account: expect.objectContaining({ id: 'owner', role: 'owner' }),
      accessKey: expect.stringMatching(keyString),
    });
    expect(first.stderr).not.toMatch(keyString);
    const second = await init('--json');
    expect(second).toMatchObject({ code: 1, stdout: '' });
    expect(second.stderr).toContain('init works once');
    const another = await init('--account', 'somebody-else');
    expect(another).toMatchObject({ code: 1, stdout: '' });
  });

  it('has one winner of two at once, whose key works', { timeout: patience }, async () => {
    const both = await Promise.all(
      ['a', 'b'].map(account => runCli(['init', '--json', '--account', account], { env })),
    );
    const winners = both.filter(({ code }) => code === 0);
    const losers = both.filter(({ code }) => code === 1);
    expect([winners.length, losers.length]).toEqual([1, 1]);
    expect(losers[0]?.stdout).toBe('');
    const { accessKey } = JSON.parse(winners[0]?.stdout ?? '') as { accessKey: string };
    const serving = await serveCli(env);
    expect(await listKeys(serving, accessKey)).toBe(200);
    await stopServing(serving);
  });

  it('writes the key to a file of its own, and nothing secret elsewhere', { timeout: patience }, async () => {
    const out = path.join(scratch, 'owner-key');
    const ended = await init('--json', '--out', out);
    expect(ended.code).toBe(0);
    expect(ended.stdout + ended.stderr).not.toMatch(/kt_/);
    expect(JSON.parse(ended.stdout)).toEqual({ account: expect.objectContaining({ id: 'owner' }) });
    expect((await stat(out)).mode & 0o777).toBe(0o600);
    const accessKey = (await readFile(out, 'utf8')).trim();
    expect(accessKey).toMatch(keyString);
    const serving = await serveCli(env);
    expect(await listKeys(serving, accessKey)).toBe(200);
    await stopServing(serving);
  });

  it('makes no owner where the file is there already', { timeout: patience }, async () => {
    const out = path.join(scratch, 'in-use');
    await writeFile(out, 'precious');
    const refused = await init('--out', out);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('is there already');
    expect(await readFile(out, 'utf8')).toBe('precious');
    expect((await init()).code).toBe(0);
  });

  it('leaves no file behind where there is nothing to write', { timeout: patience }, async () => {
    await init();
    const out = path.join(scratch, 'left-behind');
    expect((await init('--out', out)).code).toBe(1);
    await expect(stat(out)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('ends with 69 where there is no Redis', { timeout: patience }, async () => {
    const ended = await run(['init'], { ...env, KEYTURN_REDIS_URL: 'redis://127.0.0.1:1' });
    expect(ended).toMatchObject({ code: 69, stdout: '' });
    expect(ended.stderr).toContain('The store cannot be used');
  });
});

describe('keyturn serve over Redis', () => {
  let serving: ServingProcess | undefined;

  afterEach(() => {
    serving?.kill('SIGKILL');
    serving = undefined;
  });

  it('answers 503 until the deployment is initialised, then comes alive', { timeout: patience }, async () => {
    serving = await serveCli(env);
    const { url } = serving;
    expect(await statusOf(`${url}/livez`)).toBe(200);
    for (const route of ['/readyz', '/v2/connections', '/admin/keys', '/.well-known/jwks.json', '/nothing']) {
      const response = await fetch(url + route);
      expect([route, response.status]).toEqual([route, 503]);
      expect(await response.json()).toMatchObject({ code: 'not_initialised' });
    }
    expect((await exchange(serving, 'anything')).status).toBe(503);
    // Nobody can become the owner by asking first.
    expect(
      await statusOf(`${url}/admin/accounts`, { method: 'POST', body: '{"id":"me","role":"owner"}' }),
    ).toBe(503);

    const { accessKey } = JSON.parse((await init('--json')).stdout) as { accessKey: string };
    await until('the service is ready', async () => (await statusOf(`${url}/readyz`)) === 200);
    expect(await listKeys(serving, accessKey)).toBe(200);
    expect(serving.stdout + serving.stderr).not.toMatch(/kt_/);
    expect((await stopServing(serving)).stdout).not.toMatch(/kt_/);
  });

  it('refuses to start with another master key, or another pepper', { timeout: patience }, async () => {
    await init();
    const others = {
      KEYTURN_MASTER_KEY: 'another-master-key-than-before',
      KEYTURN_PEPPER: 'another-pepper-than-before',
    };
    for (const [name, value] of Object.entries(others)) {
      const ended = await runCli(['serve'], { env: { ...env, KEYTURN_PORT: '0', [name]: value } });
      expect([name, ended.code]).toEqual([name, 78]);
      expect(ended.stderr).toContain(name);
      expect(ended.stderr).not.toContain(value);
    }
  });

  it(
    'ends where it waits for a deployment that is made with another pepper',
    { timeout: patience },
    async () => {
      const pepper = 'another-pepper-than-before';
      serving = await serveCli({ ...env, KEYTURN_PEPPER: pepper });
      await init();
      const ended = await serving.ended;
      expect(ended.code).toBe(78);
      expect(ended.stderr).toContain('KEYTURN_PEPPER');
      expect(ended.stdout + ended.stderr).not.toContain(pepper);
    },
  );

  it('asks for both secrets', { timeout: patience }, async () => {
    const ended = await runCli(['serve'], { env: { KEYTURN_REDIS_URL: redis.url } });
    expect(ended.code).toBe(78);
    expect(ended.stderr).toMatch(/KEYTURN_PEPPER[^]*KEYTURN_MASTER_KEY|KEYTURN_MASTER_KEY[^]*KEYTURN_PEPPER/);
  });

  it(
    'answers 503 when Redis loses everything under it, and takes no other deployment for its own',
    { timeout: patience },
    async () => {
      const { accessKey } = JSON.parse((await init('--json')).stdout) as { accessKey: string };
      serving = await serveCli(env);
      const { url } = serving;
      const apiKey = await createKey(serving, accessKey);
      const headers = { authorization: `Bearer ${await tokenFor(serving, apiKey)}` };
      expect(await statusOf(`${url}/v2/connections`, { headers })).toBe(200);

      await redis.call('flushall');
      const flushedAt = performance.now();
      const seen = new Set<number>();
      await until('a whole bound of staleness has passed, and a second', async () => {
        const answer = await exchange(serving!, apiKey);
        expect(answer.status).toBe(503);
        expect(await answer.json()).toMatchObject({ error: 'temporarily_unavailable' });
        const status = await statusOf(`${url}/v2/connections`, { headers });
        expect([200, 503]).toContain(status);
        if (performance.now() - flushedAt > 2000) seen.add(status);
        return performance.now() - flushedAt > 4000;
      });
      expect([...seen]).toEqual([503]);
      const guarded = await fetch(`${url}/v2/connections`, { headers });
      expect(await guarded.json()).toMatchObject({ status: 503, code: 'revocation_state_stale' });
      expect(await statusOf(`${url}/readyz`)).toBe(503);
      expect(await statusOf(`${url}/livez`)).toBe(200);
      expect(await namesIn(redis)).toEqual([]);

      const again = await init();
      expect(again.code).toBe(0);
      for (const key of [accessKey, apiKey, again.stdout.trim()])
        expect((await exchange(serving, key)).status).toBe(503);
      expect(await statusOf(`${url}/v2/connections`, { headers })).toBe(503);
      expect(await statusOf(`${url}/readyz`)).toBe(503);
      expect(serving.stdout + serving.stderr).not.toMatch(/kt_/);
    },
  );
});

function init(...options: string[]): Promise<Said> {
  return run(['init', ...options], env);
}

async function statusOf(url: string, request?: RequestInit): Promise<number> {
  const response = await fetch(url, request);
  await response.text();
  return response.status;
}

function exchange({ url }: ServingProcess, apiKey: string): Promise<Response> {
  const body = new URLSearchParams({ grant_type: 'client_credentials', client_secret: apiKey });
  return fetch(`${url}/oauth/token`, { method: 'POST', body });
}

async function tokenFor(serving: ServingProcess, apiKey: string): Promise<string> {
  return ((await (await exchange(serving, apiKey)).json()) as { access_token: string }).access_token;
}

async function createKey(serving: ServingProcess, accessKey: string): Promise<string> {
  const response = await fetch(`${serving.url}/admin/keys`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await tokenFor(serving, accessKey)}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ name: 'A key', feature: 'connections' }),
  });
  return ((await response.json()) as { apiKey: string }).apiKey;
}

async function listKeys(serving: ServingProcess, accessKey: string): Promise<number> {
  const headers = { authorization: `Bearer ${await tokenFor(serving, accessKey)}` };
  return statusOf(`${serving.url}/admin/keys`, { headers });
}
