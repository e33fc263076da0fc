/** The commands against a service: what they print for people and for programs, where, and how they end. */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { decodeJwt, exportJWK } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeKeyPair } from '../support/key-pairs.ts';
import { startService, type TestService } from '../support/service.ts';
import { normalise, run, type Said } from './run.ts';

const keyString = /^kt_[0-9a-f]{32}_[0-9A-Za-z]{38}$/;

let service: TestService;
let scratch: string;

beforeAll(async () => {
  service = await startService();
  scratch = await mkdtemp(path.join(tmpdir(), 'keyturn-'));
});

afterAll(async () => {
  await service.stop();
  await rm(scratch, { recursive: true, force: true });
});

/** As the owner. */
function asOwner(...args: (string | string[])[]): Promise<Said> {
  return asHolderOf(service.ownerKey, ...args);
}

function asHolderOf(apiKey: string, ...args: (string | string[])[]): Promise<Said> {
  return run(args.flat(), { KEYTURN_URL: service.url, KEYTURN_API_KEY: apiKey });
}

async function keyNames(): Promise<string[]> {
  const { stdout } = await asOwner('keys', 'list', '--json');
  return (JSON.parse(stdout) as { name: string }[]).map(({ name }) => name);
}

describe('keyturn token', () => {
  it('prints the token alone', async () => {
    const said = await asHolderOf(service.sampleKey, 'token');
    expect(normalise(said)).toEqual({ code: 0, stdout: '<token>\n', stderr: '' });
    const headers = { authorization: `Bearer ${said.stdout.trim()}` };
    expect((await fetch(`${service.url}/v2/connections`, { headers })).status).toBe(200);
  });

  it('prints one JSON value, narrowed as it was asked to', async () => {
    const scope = 'personalize.external_webservices:read';
    const said = await asHolderOf(service.sampleKey, 'token', '--json', '--scope', scope);
    expect(said).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(normalise(said).stdout)).toEqual({
      accessToken: '<token>',
      tokenType: 'Bearer',
      expiresIn: 900,
      scope,
    });
  });

  it('narrows the token to fewer controllers and origins', async () => {
    const { apiKey } = await service.createKey({
      feature: 'multiple-resources',
      corsOrigins: ['https://one.example', 'https://two.example'],
    });
    const lists = [
      '--controllers',
      'Personalize.Flows; Personalize.Templates',
      '--origins',
      'https://two.example',
    ];
    const said = await asHolderOf(apiKey, 'token', lists);
    expect(decodeJwt(said.stdout.trim())).toMatchObject({
      allowed_controllers: ['Personalize.Flows', 'Personalize.Templates'],
      allowed_origins: ['https://two.example'],
    });
    expect(await asHolderOf(apiKey, 'token', '--controllers', '')).toMatchObject({ code: 2, stdout: '' });
    expect(await asHolderOf(apiKey, 'token', '--controllers', 'Other')).toMatchObject({
      code: 1,
      stdout: '',
    });
  });

  it('writes the token to a new file, readable by its owner alone', async () => {
    const out = path.join(scratch, 'token');
    const said = await asHolderOf(service.sampleKey, 'token', '--json', '--out', out);
    expect(said.code).toBe(0);
    expect(JSON.parse(said.stdout)).not.toHaveProperty('accessToken');
    expect(said.stdout + said.stderr).not.toContain('eyJ');
    expect(said.stderr).toContain(out);
    expect((await stat(out)).mode & 0o777).toBe(0o600);
    expect(await readFile(out, 'utf8')).toMatch(/^eyJ[^\n]*\n$/);
  });

  it('says what is wrong with the scope or the audience, and ends with 1', async () => {
    for (const [option, value] of [
      ['--scope', 'personalize.flows:read'],
      ['--audience', 'https://elsewhere.example'],
    ] as const) {
      const said = await asHolderOf(service.sampleKey, 'token', option, value);
      expect(said).toMatchObject({ code: 1, stdout: '' });
      expect(said.stderr).toContain(value);
    }
  });

  it('ends with 77 where the key is not valid, and never shows it', async () => {
    const { apiKey } = await service.createKey({});
    await service.admin('POST', `/admin/keys/${apiKey.slice(3, 35)}/revoke`);
    const revoked = await asHolderOf(apiKey, 'token');
    expect(revoked).toMatchObject({ code: 77, stdout: '' });
    expect(revoked.stderr).toContain('revoked');
    expect(revoked.stderr).not.toContain(apiKey);
    const nonsense = await asHolderOf('a-secret-that-is-none', 'token');
    expect(nonsense).toMatchObject({ code: 77, stdout: '' });
    expect(nonsense.stderr).not.toContain('a-secret-that-is-none');
  });
});

describe('keyturn keys create', () => {
  it('prints the key alone, and the talk beside it', async () => {
    const said = await asOwner('keys', 'create', '--name', 'For people', '--feature', 'connections');
    expect(normalise(said)).toEqual({
      code: 0,
      stdout: '<key>\n',
      stderr: 'Key <id> ("For people") is made. It is shown this once:\n',
    });
    expect((await service.exchange(said.stdout.trim())).status).toBe(200);
  });

  it('prints one JSON value, with every field that was given', async () => {
    const said = await asOwner(
      ['keys', 'create', '--json', '--name', 'For programs', '--feature', 'multiple-resources'],
      ['--scope', 'personalize.flows:read', 'personalize.templates:read'],
      ['--controllers', 'Personalize.Flows; Personalize.Templates'],
      ['--origins', 'https://shop.example; http://localhost:3000'],
      ['--impersonation-user', 'sitecore\\editor'],
      ['--custom-data', 'Database=web', 'Search Filter=a eq 1'],
      ['--custom-data-in-token', 'Database'],
      ['--claim', 'https://shop.example/tenant=a', 'https://shop.example/level=3'],
      ['--audience', service.url, 'https://api.shop.example'],
      ['--expires-at', '2099-01-31T12:00:00+01:00', '--token-ttl', '120'],
    );
    expect(said).toMatchObject({ code: 0, stderr: expect.not.stringContaining('kt_') as string });
    expect(JSON.parse(said.stdout)).toEqual({
      apiKey: expect.stringMatching(keyString),
      key: expect.objectContaining({
        name: 'For programs',
        feature: 'multiple-resources',
        status: 'active',
        scopes: ['personalize.flows:read', 'personalize.templates:read'],
        allowedControllers: ['Personalize.Flows', 'Personalize.Templates'],
        corsOrigins: ['https://shop.example', 'http://localhost:3000'],
        impersonationUser: 'sitecore\\editor',
        customData: { Database: 'web', 'Search Filter': 'a eq 1' },
        customDataInToken: ['Database'],
        claims: { 'https://shop.example/tenant': 'a', 'https://shop.example/level': 3 },
        audiences: [service.url, 'https://api.shop.example'],
        doors: ['token'],
        owner: 'owner',
        expiresAt: '2099-01-31T11:00:00.000Z',
        tokenTtl: 120,
      }),
    });
  });

  it('tells a draft from a live key, and no controllers from all', async () => {
    const draft = await asOwner(
      ['keys', 'create', '--json', '--name', 'Draft', '--feature', 'connections'],
      ['--draft', '--controllers', ''],
    );
    const { key, apiKey } = JSON.parse(draft.stdout) as { key: unknown; apiKey: string };
    expect(key).toMatchObject({ status: 'draft', allowedControllers: [] });
    expect((await service.exchange(apiKey)).status).toBe(401);
  });

  it('writes the key to a new file, readable by its owner alone', async () => {
    const out = path.join(scratch, 'api-key');
    const said = await asOwner([
      'keys',
      'create',
      '--json',
      '--name',
      'To a file',
      '--feature',
      'connections',
      '--out',
      out,
    ]);
    expect(said.code).toBe(0);
    expect(said.stdout + said.stderr).not.toContain('kt_');
    expect(JSON.parse(said.stdout)).toEqual({ key: expect.objectContaining({ name: 'To a file' }) });
    expect((await stat(out)).mode & 0o777).toBe(0o600);
    const apiKey = await readFile(out, 'utf8');
    expect(apiKey.trim()).toMatch(keyString);
    expect((await service.exchange(apiKey.trim())).status).toBe(200);
  });

  it('makes no key where the file is there already, or cannot be', async () => {
    const taken = path.join(scratch, 'taken');
    await writeFile(taken, 'precious');
    for (const out of [taken, path.join(scratch, 'no', 'such', 'directory')]) {
      const create = ['keys', 'create', '--name', 'Lost', '--feature', 'connections', '--out', out];
      const said = await asOwner(...create);
      expect(said).toMatchObject({ code: 1, stdout: '' });
      expect(said.stderr).toContain(out);
      expect(said.stderr).not.toMatch(/\n {4}at /);
    }
    expect(await readFile(taken, 'utf8')).toBe('precious');
    expect(await keyNames()).not.toContain('Lost');
  });

  it('leaves no file behind where the key is refused', async () => {
    const out = path.join(scratch, 'refused');
    const said = await asOwner('keys', 'create', '--name', 'x', '--feature', 'no-such', '--out', out);
    expect(said).toMatchObject({ code: 1, stdout: '' });
    expect(said.stderr).toContain('/feature');
    await expect(stat(out)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('names every value that is not acceptable', async () => {
    const said = await asOwner(
      ['keys', 'create', '--name', 'x', '--feature', 'connections'],
      ['--controllers', 'Personalize.Flows', '--origins', 'shop.example'],
    );
    expect(said).toMatchObject({ code: 1, stdout: '' });
    expect(said.stderr).toMatch(/\/corsOrigins.*shop\.example[^]*\/allowedControllers.*Personalize\.Flows/);
  });
});

describe('keyturn keys, with a public JWK', () => {
  const create = ['keys', 'create', '--name', 'Signs', '--feature', 'connections', '--public-jwk'];
  const writeJwk = async (name: string, value: unknown) => {
    const file = path.join(scratch, name);
    await writeFile(file, typeof value === 'string' ? value : JSON.stringify(value));
    return file;
  };

  it('makes a key that has no key string, and prints its id', async () => {
    const { publicJwk } = await makeKeyPair();
    const file = await writeJwk('public.jwk', publicJwk);
    expect(normalise(await asOwner(create, file))).toEqual({
      code: 0,
      stdout: '<id>\n',
      stderr: 'Key <id> ("Signs") is made. It has no key string: it signs. Its client id:\n',
    });
    const json = await asOwner(create, [file, '--json']);
    expect(JSON.parse(json.stdout)).toEqual({ key: expect.objectContaining({ publicJwk, secrets: [] }) });
    expect((await asOwner(create, [file, '--out', path.join(scratch, 'never')])).code).toBe(2);
  });

  it('gives a key another one, and takes it away', async () => {
    const { key } = await service.createKey({});
    const { publicJwk } = await makeKeyPair('EdDSA', { kid: 'second' });
    const update = ['keys', 'update', key.id, '--json'];
    const given = await asOwner(update, ['--public-jwk', await writeJwk('second.jwk', publicJwk)]);
    expect(JSON.parse(given.stdout)).toMatchObject({ publicJwk, secrets: [{}] });
    const taken = await asOwner(update, ['--clear', 'public-jwk']);
    expect(JSON.parse(taken.stdout)).not.toHaveProperty('publicJwk');
  });

  it('sends no private key, and shows none', async () => {
    const { privateKey, publicJwk } = await makeKeyPair();
    const { d } = await exportJWK(privateKey);
    const before = (await keyNames()).length;
    for (const [content, words] of [
      [{ ...publicJwk, d }, /d: This is a private key/],
      [{ ...publicJwk, x: 'AAAA' }, /x: It is needed whole/],
      [{ keys: [publicJwk] }, /kty: /],
      ['-----BEGIN PRIVATE KEY-----', /holds no JSON object/],
      ['"text"', /holds no JSON object/],
    ] as const) {
      const said = await asOwner(create, await writeJwk('bad.jwk', content));
      expect(said).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(words) as string });
      expect(said.stderr).not.toContain(d);
    }
    expect(await asOwner(create, path.join(scratch, 'absent.jwk'))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('absent.jwk cannot be read (ENOENT)') as string,
    });
    expect(await keyNames()).toHaveLength(before);
  });
});

describe('keyturn keys list, show and revoke', () => {
  it('lists keys, newest first, a line each', async () => {
    await asOwner('keys', 'create', '--name', 'Listed: one', '--feature', 'connections');
    service.clock.advance(1);
    await asOwner('keys', 'create', '--name', 'Listed: two', '--feature', 'developer-templates', '--draft');
    const said = await asOwner('keys', 'list', '--query', 'listed:');
    expect(normalise(said)).toEqual({
      code: 0,
      stdout: '<id>\tdraft\tdeveloper-templates\tListed: two\n<id>\tactive\tconnections\tListed: one\n',
      stderr: '',
    });
  });

  it.each([
    [['--feature', 'developer-templates'], ['Listed: two']],
    [['--status', 'draft', '--query', 'listed:'], ['Listed: two']],
    [
      ['--owner', 'owner', '--query', 'LISTED:'],
      ['Listed: two', 'Listed: one'],
    ],
    [['--owner', 'nobody'], []],
  ])('lists the keys that %j leaves', async (filter, names) => {
    const said = await asOwner('keys', 'list', '--json', ...filter);
    expect(said).toMatchObject({ code: 0, stderr: '' });
    expect(said.stdout).not.toMatch(/kt_|hash/i);
    expect((JSON.parse(said.stdout) as { name: string }[]).map(({ name }) => name)).toEqual(names);
  });

  it('lists all the pages that there are', { timeout: 30_000 }, async () => {
    const made = await Promise.all(
      Array.from({ length: 120 }, (_, number) => service.createKey({ name: `Many: ${number}` })),
    );
    const { stdout } = await asOwner('keys', 'list', '--json', '--query', 'many:');
    const ids = (JSON.parse(stdout) as { id: string }[]).map(({ id }) => id);
    expect(ids.toSorted()).toEqual(made.map(({ key }) => key.id).toSorted());
  });

  it('shows a key by any form of its id, and never its secret', async () => {
    const { key, apiKey } = await service.createKey({ name: 'Shown', corsOrigins: ['https://shop.example'] });
    for (const id of [key.id, key.id.replaceAll('-', '').toUpperCase(), `{${key.id}}`]) {
      const said = await asOwner('keys', 'show', id);
      expect(said).toMatchObject({ code: 0, stderr: '' });
      expect(said.stdout).toContain(`id: ${key.id}\nname: Shown\n`);
      expect(said.stdout).toContain('status: active\n');
      expect(said.stdout).toContain('corsOrigins: ["https://shop.example"]\n');
      expect(said.stdout).toContain(apiKey.slice(-4));
      expect(said.stdout).not.toContain(apiKey.slice(36));
    }
    const said = await asOwner('keys', 'show', key.id, '--json');
    expect(JSON.parse(said.stdout)).toMatchObject({ id: key.id, name: 'Shown', keyVersion: 1 });
  });

  it('revokes a key, and shows what became of it', async () => {
    const { key, apiKey } = await service.createKey({ name: 'Revoked' });
    const said = await asOwner('keys', 'revoke', key.id, '--json');
    expect(said).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(said.stdout)).toMatchObject({ id: key.id, status: 'revoked', keyVersion: 2 });
    expect((await service.exchange(apiKey)).status).toBe(401);
    expect((await asOwner('keys', 'revoke', key.id)).stdout).toContain('status: revoked\n');
  });

  it.each(['show', 'revoke'])('ends %s with 1 where there is no such key', async command => {
    for (const id of ['00000000-0000-4000-8000-000000000000', 'nonsense', '../accounts', '%2e%2e']) {
      const said = await asOwner('keys', command, id);
      expect(said).toMatchObject({ code: 1, stdout: '' });
      expect(said.stderr).toMatch(/^There is no(thing| API key)/);
    }
  });

  it('ends with 77 where the key is none for administration', async () => {
    const said = await asHolderOf(service.sampleKey, 'keys', 'list');
    expect(said).toMatchObject({ code: 77, stdout: '' });
    expect(said.stderr).toContain('Keyturn.Keys');
  });
});

describe('every command', () => {
  it.each([
    [[]],
    [['keys']],
    [['no-such-command']],
    [['keys', 'no-such-command']],
    [['token', '--no-such-option']],
    [['keys', 'create', '--name', 'without a feature']],
    [['keys', 'create', '--name', 'x', '--feature', 'connections', '--token-ttl', 'long']],
    [['keys', 'create', '--name', 'x', '--feature', 'connections', '--custom-data', 'no-value']],
    [['keys', 'create', '--name', 'x', '--feature', 'connections', '--claim', '=no-name']],
    [['keys', 'show']],
    [['init', '--account', '']],
  ])('ends with 2 where it is misused, as in %j', async args => {
    const said = await asOwner(...args);
    expect(said).toMatchObject({ code: 2, stdout: '' });
    expect(said.stderr).not.toBe('');
    expect(said.stderr).not.toMatch(/\n {4}at /);
  });

  it.each([[['--help']], [['keys', '--help']], [['keys', 'create', '--help']], [['help', 'token']]])(
    'explains itself on stdout: %j',
    async args => {
      const said = await run(args);
      expect(said).toMatchObject({ code: 0, stderr: '' });
      expect(said.stdout).toContain('Usage: keyturn');
    },
  );

  it.each([[['token']], [['keys', 'list']]])('ends with 78 without a key to use: %j', async args => {
    const said = await run(args, { KEYTURN_URL: service.url });
    expect(said).toMatchObject({ code: 78, stdout: '' });
    expect(said.stderr).toContain('KEYTURN_API_KEY');
  });

  it.each([[['token']], [['keys', 'list']]])('ends with 78 with an address that is none: %j', async args => {
    const said = await run(args, { KEYTURN_URL: 'localhost', KEYTURN_API_KEY: service.sampleKey });
    expect(said).toMatchObject({ code: 78, stdout: '' });
    expect(said.stderr).toContain('KEYTURN_URL');
    expect(said.stderr).not.toContain(service.sampleKey);
  });

  it.each([[['token']], [['keys', 'list']]])('ends with 69 where nobody answers: %j', async args => {
    const said = await run(args, { KEYTURN_URL: 'http://127.0.0.1:1', KEYTURN_API_KEY: service.sampleKey });
    expect(said).toMatchObject({ code: 69, stdout: '' });
    expect(said.stderr).toMatch(/^The server cannot be reached: .+\n$/);
  });

  it('ends with 69 where the server cannot serve now, and says so where it is another server', async () => {
    const [away, stranger] = [
      await startStranger(503, 'application/json', '{"error":"temporarily_unavailable"}'),
      await startStranger(200, 'text/html', '<p>Welcome</p>'),
    ];
    const asked = (url: string) => run(['token'], { KEYTURN_URL: url, KEYTURN_API_KEY: service.sampleKey });
    expect(await asked(away.url)).toMatchObject({ code: 69, stdout: '' });
    const said = await asked(stranger.url);
    expect(said).toMatchObject({ code: 1, stdout: '' });
    expect(said.stderr).not.toMatch(/\n {4}at /);
    for (const server of [away, stranger]) server.close();
  });

  it('does not follow a server elsewhere with the key', async () => {
    const elsewhere = await startStranger(200, 'application/json', '{}');
    const redirecting = await startStranger(307, 'text/plain', '', { location: elsewhere.url });
    const said = await run(['token'], { KEYTURN_URL: redirecting.url, KEYTURN_API_KEY: service.sampleKey });
    expect(said).toMatchObject({ code: 1, stdout: '' });
    expect(elsewhere.requests()).toBe(0);
    for (const server of [elsewhere, redirecting]) server.close();
  });

  it('takes the address with a slash at its end', async () => {
    const env = { KEYTURN_URL: `${service.url}/`, KEYTURN_API_KEY: service.sampleKey };
    expect(await run(['token'], env)).toMatchObject({ code: 0 });
  });
});

async function startStranger(
  status: number,
  type: string,
  body: string,
  headers: Record<string, string> = {},
): Promise<{ url: string; requests: () => number; close: () => void }> {
  let requests = 0;
  const server = createServer((_request, response) => {
    requests += 1;
    response.writeHead(status, { 'content-type': type, ...headers }).end(body);
  });
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests: () => requests,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
