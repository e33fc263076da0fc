/** The first start of an embedded deployment, as a newcomer sees it: real processes, a real shell, real signals. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Ended,
  runCli,
  serveCli,
  type ServingProcess,
  spawnCli,
  stopServing,
} from '../support/built-cli.ts';
import { freePort } from '../support/free-port.ts';
import { redisSecrets } from '../support/stores.ts';
import { until } from '../support/until.ts';

/** Milliseconds, on a busy machine. */
const patience = 180_000;

let scratch: string;
let directories = 0;

beforeAll(async () => {
  scratch = await mkdtemp(path.join(tmpdir(), 'keyturn-'));
});

afterAll(() => rm(scratch, { recursive: true, force: true }));

describe('the first start', () => {
  it('prints two keys, and three commands that work as they stand', { timeout: patience }, async () => {
    const serving = await serveCli({ KEYTURN_DATA_DIR: newDirectory() });
    const commands = serving.stdout.split('\n').filter(line => /^(?:TOKEN=|curl )/.test(line));
    expect(commands).toHaveLength(3);
    expect(new Set(serving.stdout.match(/kt_\w+/g)).size).toBe(2);
    const [exchange, call, revoke] = commands as [string, string, string];

    const { stdout, stderr } = await shell([
      exchange,
      'echo "$TOKEN"',
      `${call}; echo " $?"`,
      `${revoke}; echo " $?"`,
      `${call}; echo " $?"`,
      `${exchange}; echo "\${#TOKEN}"`,
    ]);
    const [token = '', list = '', revoked, callAfter, exchangeAfter] = stdout.split('\n');
    expect(token).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
    expect(JSON.parse(list.replace(/ 0$/, ''))).toEqual({
      href: `${serving.url}/v2/connections`,
      items: [],
    });
    expect(revoked).toBe('{} 0');
    expect(callAfter).toBe(' 22');
    expect(exchangeAfter).toBe('0');
    expect(stderr.match(/returned error: 401/g)).toHaveLength(2);

    const refused = await listConnections(serving, token);
    expect(refused.status).toBe(401);
    expect(await refused.json()).toMatchObject({ code: 'token_revoked' });
    await stopServing(serving);
  });

  it('is the only one that prints keys', { timeout: patience }, async () => {
    const environment = { KEYTURN_DATA_DIR: newDirectory() };
    const first = await stopServing(await serveCli(environment));
    expect(first.stdout).toMatch(/kt_/);
    const second = await stopServing(await serveCli(environment));
    expect(second.stdout + second.stderr).not.toMatch(/kt_|curl/);
  });

  it('makes a data directory that is closed to others', { timeout: patience }, async () => {
    const directory = newDirectory();
    const serving = await serveCli({ KEYTURN_DATA_DIR: directory });
    expect(await modeOf(directory)).toBe('700');
    const files = await readdir(directory);
    expect(files).toEqual(expect.arrayContaining(['in-service', 'keyturn.lmdb', 'master-key', 'pepper']));
    for (const file of files) expect([file, await modeOf(path.join(directory, file))]).toEqual([file, '600']);
    await stopServing(serving);
  });

  it('leaves no way in but the keys that it printed', { timeout: patience }, async () => {
    const serving = await serveCli({ KEYTURN_DATA_DIR: newDirectory() });
    const strangers: Record<string, string>[] = [
      {},
      { authorization: 'Bearer owner' },
      { authorization: `Basic ${Buffer.from('admin:admin').toString('base64')}` },
      { authorization: `Basic ${Buffer.from('owner:').toString('base64')}` },
      { 'x-admin': 'true', 'x-forwarded-for': '127.0.0.1' },
    ];
    for (const headers of strangers) {
      for (const route of ['/admin/keys', '/v2/connections']) {
        expect((await fetch(serving.url + route, { headers })).status).toBe(401);
      }
    }
    for (const secret of ['', 'owner', 'admin', 'keyturn', `kt_${'0'.repeat(70)}`]) {
      const response = await exchange(serving, secret);
      expect(response.status).toBe(401);
      expect(await response.json()).toMatchObject({ error: 'invalid_client' });
    }
    await stopServing(serving);
  });
});

describe.concurrent('the end', () => {
  it('comes with 0 on SIGTERM, when the request in flight is answered', { timeout: patience }, async () => {
    const serving = await serveCli({ KEYTURN_DATA_DIR: newDirectory() });
    const body = `grant_type=client_credentials&client_secret=${printedKeys(serving).sampleKey}`;
    const socket = await openSocket(serving.port);
    socket.write(`${tokenRequestHead(body.length)}${body.slice(0, 20)}`);
    await untilHeard(serving);

    const askedAt = performance.now();
    serving.kill('SIGTERM');
    await until('nobody is let in any more', () => isRefused(serving.port));
    socket.write(body.slice(20));
    const answer = await readToEnd(socket);
    const ended = await serving.ended;
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer).toContain('"access_token":"');
    expect(ended).toMatchObject({ code: 0, signal: null });
    expect(performance.now() - askedAt).toBeLessThan(10_000);
  });

  it('comes within ten seconds of SIGTERM where Redis is waited for', { timeout: patience }, async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const port = String(await freePort());
    const redisUrl = `redis://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const env = { KEYTURN_PORT: port, KEYTURN_REDIS_URL: redisUrl, ...redisSecrets };
    const waiting = await spawnCli(['serve'], { env });
    const ask = () => fetch(`http://127.0.0.1:${port}/livez`);
    await until('it lives', () =>
      ask().then(
        () => true,
        () => false,
      ),
    );
    const askedAt = performance.now();
    waiting.kill('SIGTERM');
    expect(await waiting.ended).toMatchObject({ code: 0, signal: null });
    expect(performance.now() - askedAt).toBeLessThan(10_000);
    silent.close();
  });

  it('comes within ten seconds of SIGTERM, whatever a client does', { timeout: patience }, async () => {
    const serving = await serveCli({ KEYTURN_DATA_DIR: newDirectory() });
    const silent = await openSocket(serving.port);
    const stalled = await openSocket(serving.port);
    stalled.write(tokenRequestHead(100));
    await untilHeard(serving);
    const askedAt = performance.now();
    serving.kill('SIGTERM');
    expect(await serving.ended).toMatchObject({ code: 0, signal: null });
    expect(performance.now() - askedAt).toBeLessThan(10_000);
    for (const socket of [silent, stalled]) socket.destroy();
  });

  it('loses no key that was answered with 201, if it is kill -9', { timeout: 300_000 }, async () => {
    const directory = newDirectory();
    let serving = await serveCli({ KEYTURN_DATA_DIR: directory });
    const { ownerKey } = printedKeys(serving);
    const acknowledged: string[] = [];
    for (let round = 0; round < 7; round += 1) {
      const token = await tokenFor(serving, ownerKey);
      // One at a time, and more and more at once; the process dies on the first answer, the second, …
      const atOnce = 1 + (round % 5);
      const deadly = 1 + (round % atOnce);
      const made = await createUntilKilled(serving, token, atOnce, deadly);
      expect(made.length).toBeGreaterThanOrEqual(deadly);
      acknowledged.push(...made);
      serving = await serveCli({ KEYTURN_DATA_DIR: directory });
      for (const apiKey of made) expect((await exchange(serving, apiKey)).status).toBe(200);
    }
    for (const apiKey of acknowledged) expect((await exchange(serving, apiKey)).status).toBe(200);
    expect(await countKeys(serving, ownerKey)).toBeGreaterThanOrEqual(acknowledged.length + 1);
    await stopServing(serving);
  });

  it(
    'brings back no key whose revocation was answered, if it is kill -9',
    { timeout: patience },
    async () => {
      const directory = newDirectory();
      const first = await serveCli({ KEYTURN_DATA_DIR: directory });
      const { sampleKey } = printedKeys(first);
      const token = await tokenFor(first, sampleKey);
      const revoked = await fetch(`${first.url}/oauth/revoke`, {
        method: 'POST',
        body: new URLSearchParams({ token: sampleKey }),
      });
      first.kill('SIGKILL');
      expect(revoked.status).toBe(200);
      await first.ended;
      // The issuer follows the port, and the token is for this issuer.
      const second = await serveCli({ KEYTURN_DATA_DIR: directory, KEYTURN_PORT: String(first.port) });
      expect((await exchange(second, sampleKey)).status).toBe(401);
      const refused = await listConnections(second, token);
      expect(await refused.json()).toMatchObject({ status: 401, code: 'token_revoked' });
      await stopServing(second);
    },
  );
});

describe('a start that cannot be', () => {
  let used: string;

  beforeAll(async () => {
    used = newDirectory();
    await stopServing(await serveCli({ KEYTURN_DATA_DIR: used }));
  }, patience);

  /** The data directory of a service that has run, and has ended well. */
  async function usedDirectory(): Promise<string> {
    const directory = newDirectory();
    await cp(used, directory, { recursive: true });
    return directory;
  }

  it('says which port is taken', { timeout: patience }, async () => {
    const squatter = createServer().listen(0, '127.0.0.1');
    await until('the port is taken', () => squatter.listening);
    const { port } = squatter.address() as AddressInfo;
    const directory = newDirectory();
    const ended = await serveInVain({ KEYTURN_DATA_DIR: directory, KEYTURN_PORT: String(port) });
    squatter.close();
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(
      new RegExp(
        `^listen EADDRINUSE: .*127\\.0\\.0\\.1:${port}\\. .*set KEYTURN_PORT, KEYTURN_METRICS_PORT or KEYTURN_HOST\\.\\n$`,
      ),
    );
    expect(ended.stdout).not.toContain('kt_');
    // The start that failed has made no keys that nobody has seen.
    const serving = await serveCli({ KEYTURN_DATA_DIR: directory });
    await stopServing(serving);
    expect(new Set(serving.stdout.match(/kt_[0-9A-Za-z_]+/g)).size).toBe(2);
  });

  it('reports every wrong setting at once, and ends with 78', { timeout: patience }, async () => {
    const directory = newDirectory();
    const ended = await serveInVain({
      KEYTURN_DATA_DIR: directory,
      KEYTURN_PORT: '99999',
      KEYTURN_TOKEN_TTL: '0',
      KEYTURN_SIGNING_ALG: 'HS256',
      KEYTURN_PEPPER: 'too-short',
      KEYTURN_REDIS_URL: 'http://user:a-password@localhost',
      KEYTURN_TOKN_TTL: '900',
    });
    expect(ended).toMatchObject({ code: 78, stdout: '' });
    expect(ended.stderr).toContain('The configuration has 7 problems:');
    for (const name of [
      'PORT',
      'TOKEN_TTL',
      'SIGNING_ALG',
      'PEPPER',
      'REDIS_URL',
      'MASTER_KEY',
      'TOKN_TTL',
    ]) {
      expect(ended.stderr).toContain(`\n  KEYTURN_${name}\n`);
    }
    expect(ended.stderr).not.toMatch(/too-short|a-password/);
    await expect(stat(directory)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it(
    'reports a variable that it does not know, and what was probably meant',
    { timeout: patience },
    async () => {
      const ended = await serveInVain({ KEYTURN_DATADIR: newDirectory() });
      expect(ended).toMatchObject({ code: 78, stdout: '' });
      expect(ended.stderr).toMatch(/KEYTURN_DATADIR[^]*KEYTURN_DATA_DIR/);
    },
  );

  it.each(['master-key', 'pepper'])(
    'refuses a store without its %s file',
    { timeout: patience },
    async name => {
      const directory = await usedDirectory();
      await rm(path.join(directory, name));
      const ended = await serveInVain({ KEYTURN_DATA_DIR: directory });
      expect(ended.code).toBe(78);
      expect(ended.stderr).toContain(`${path.join(directory, name)} is missing`);
      expect(await readdir(directory)).not.toContain(name);
    },
  );

  it.each([
    ['master-key', /another master key/],
    ['pepper', /pepper/],
  ])('refuses a store with another %s', { timeout: patience }, async (name, reason) => {
    const directory = await usedDirectory();
    await writeFile(path.join(directory, name), 'this-is-not-the-secret-of-this-store\n');
    const ended = await serveInVain({ KEYTURN_DATA_DIR: directory });
    expect(ended.code).toBe(78);
    expect(ended.stderr).toMatch(reason);
    expect(ended.stderr).not.toContain('this-is-not-the-secret');
  });

  it('refuses a secret that others may read', { timeout: patience }, async () => {
    const directory = await usedDirectory();
    const file = path.join(directory, 'master-key');
    await promisify(execFile)('chmod', ['644', file]);
    const ended = await serveInVain({ KEYTURN_DATA_DIR: directory });
    expect(ended.code).toBe(78);
    expect(ended.stderr).toContain(`chmod 600`);
  });

  it('refuses a store that was in service and is empty now', { timeout: patience }, async () => {
    const directory = await usedDirectory();
    const lost = path.join(directory, 'keyturn.lmdb');
    await rename(lost, `${directory}.lost`);
    await rm(`${lost}-lock`, { force: true });
    const ended = await serveInVain({ KEYTURN_DATA_DIR: directory });
    expect(ended.code).toBe(78);
    expect(ended.stderr).toContain('was in service and is empty now');
    expect(ended.stdout).not.toContain('kt_');
    const again = await serveInVain({ KEYTURN_DATA_DIR: directory });
    expect(again.code).toBe(78);
  });

  it('comes alive again when the lost store is brought back', { timeout: patience }, async () => {
    const directory = await usedDirectory();
    const file = path.join(directory, 'keyturn.lmdb');
    await rename(file, `${directory}.lost`);
    await serveInVain({ KEYTURN_DATA_DIR: directory });
    await rename(`${directory}.lost`, file);
    const ended = await stopServing(await serveCli({ KEYTURN_DATA_DIR: directory }));
    expect(ended.stdout).not.toContain('kt_');
  });
});

/** A place for a data directory, which the service is to make. */
function newDirectory(): string {
  directories += 1;
  return path.join(scratch, String(directories), 'data');
}

function serveInVain(env: Record<string, string>): Promise<Ended> {
  return runCli(['serve'], { env: { KEYTURN_PORT: '0', ...env } });
}

function printedKeys({ stdout }: ServingProcess): { ownerKey: string; sampleKey: string } {
  const [ownerKey, sampleKey] = stdout.match(/kt_\w+/g) ?? [];
  if (ownerKey === undefined || sampleKey === undefined) throw new Error('no keys were printed');
  return { ownerKey, sampleKey };
}

async function modeOf(file: string): Promise<string> {
  return ((await stat(file)).mode & 0o777).toString(8);
}

/** Types the lines into bash. */
async function shell(lines: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const running = promisify(execFile)('bash');
  running.child.stdin?.end(`${lines.join('\n')}\n`);
  return running;
}

function exchange({ url }: ServingProcess, apiKey: string): Promise<Response> {
  const body = new URLSearchParams({ grant_type: 'client_credentials', client_secret: apiKey });
  return fetch(`${url}/oauth/token`, { method: 'POST', body });
}

async function tokenFor(serving: ServingProcess, apiKey: string): Promise<string> {
  return ((await (await exchange(serving, apiKey)).json()) as { access_token: string }).access_token;
}

function listConnections({ url }: ServingProcess, token: string): Promise<Response> {
  return fetch(`${url}/v2/connections`, { headers: { authorization: `Bearer ${token}` } });
}

/** Makes keys at once, kills the service on the answer of that number, and returns the keys that were answered. */
async function createUntilKilled(
  serving: ServingProcess,
  token: string,
  atOnce: number,
  deadly: number,
): Promise<string[]> {
  const made: string[] = [];
  const create = async (number: number) => {
    const response = await fetch(`${serving.url}/admin/keys`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: `Key ${number}`, feature: 'connections' }),
    });
    const { apiKey } = (await response.json()) as { apiKey: string };
    if (response.status !== 201) throw new Error(`no key: ${response.status}`);
    made.push(apiKey);
    if (made.length === deadly) serving.kill('SIGKILL');
  };
  await Promise.allSettled(Array.from({ length: atOnce }, (_, number) => create(number)));
  await serving.ended;
  return made;
}

async function countKeys(serving: ServingProcess, ownerKey: string): Promise<number> {
  const headers = { authorization: `Bearer ${await tokenFor(serving, ownerKey)}` };
  let [count, next]: [number, string | null] = [0, ''];
  while (next !== null) {
    const search: string = next === '' ? '' : `&cursor=${encodeURIComponent(next)}`;
    const page = await fetch(`${serving.url}/admin/keys?limit=100${search}`, { headers });
    const answer = (await page.json()) as { items: unknown[]; next: string | null };
    count += answer.items.length;
    ({ next } = answer);
  }
  return count;
}

function tokenRequestHead(length: number): string {
  const fields = [
    'Host: 127.0.0.1',
    'Content-Type: application/x-www-form-urlencoded',
    `Content-Length: ${length}`,
  ];
  return `POST /oauth/token HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`;
}

async function openSocket(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  await until('the socket is open', () => !socket.connecting);
  return socket;
}

/** A later request is answered, so the service has the earlier ones too. */
async function untilHeard({ url }: ServingProcess): Promise<void> {
  for (let time = 0; time < 3; time += 1) await fetch(`${url}/livez`, { headers: { connection: 'close' } });
}

async function isRefused(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const refused = await new Promise<boolean>(resolve => {
    socket.once('connect', () => resolve(false));
    socket.once('error', () => resolve(true));
  });
  socket.destroy();
  return refused;
}

async function readToEnd(socket: Socket): Promise<string> {
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  await until('the connection is over', () => socket.destroyed || socket.readableEnded);
  return text;
}
