/** What makes a secret is asked for once more when its answer is lost, and is done once. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startService, type TestService } from '../support/service.ts';
import { type Fate, type Proxy, startProxy } from './lifecycle-proxy.ts';
import { type Ran, Transcript } from './lifecycle-transcript.ts';

const away: Fate = [503, { detail: 'The store is away.' }];

let service: TestService;
let proxy: Proxy;

beforeAll(async () => {
  service = await startService();
});

afterEach(() => proxy.stop());
afterAll(() => service.stop());

/** Runs a command while the answers to its `POST`s, but for tokens, meet these fates. */
async function run(line: string, fates: readonly Fate[], apiKey = service.ownerKey): Promise<Ran> {
  proxy = await startProxy(service.url, (call, number) =>
    call.startsWith('GET ') || call === 'POST /oauth/token' ? 'pass' : (fates[number - 1] ?? 'pass'),
  );
  return new Transcript({ KEYTURN_URL: proxy.url, KEYTURN_API_KEY: apiKey }).run(line);
}

function idempotencyKeys(): (string | undefined)[] {
  return proxy.seen
    .filter(({ call }) => call.startsWith('POST ') && call !== 'POST /oauth/token')
    .map(({ idempotencyKey }) => idempotencyKey);
}

async function namesOf(prefix: string): Promise<unknown[]> {
  const response = await service.admin('GET', `/admin/keys?q=${encodeURIComponent(prefix)}`);
  return ((await response.json()) as { items: { name: string }[] }).items.map(({ name }) => name);
}

describe('a lost answer', () => {
  it.each([
    ['after the deed', 'lose'],
    ['before the deed, as 503', away],
  ] as const)('%s is asked for again, and one key is made', async (when, fate) => {
    const name = `Lost ${when.slice(0, 5)}`;
    const { code, stdout, stderr } = await run(`keys create --name "${name}" --feature connections`, [fate]);
    expect([code, stderr.match(/made/g)?.length]).toEqual([0, 1]);
    expect((await service.exchange(stdout.trim())).status).toBe(200);
    expect(await namesOf(name)).toEqual([name]);
    const [first, second, ...more] = idempotencyKeys();
    expect([first, more]).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/), []]);
    expect(second).toBe(first);
  });

  it('of a rotation is asked for again, and it is done once', async () => {
    const { key, apiKey } = await service.createKey({ name: 'Rotated' });
    const rotated = await run(`keys rotate ${key.id}`, ['lose']);
    expect([rotated.code, (await service.exchange(rotated.stdout.trim())).status]).toEqual([0, 200]);
    await service.admin('DELETE', `/admin/keys/${key.id}/rotations/current`);
    const self = await run('keys rotate --self', ['lose'], apiKey);
    expect([self.code, (await service.exchange(self.stdout.trim())).status]).toEqual([0, 200]);
  });

  it('of an access key is asked for again, and the last one works', async () => {
    await service.admin('POST', '/admin/accounts', { id: 'deputy' });
    const { code, stdout } = await run('access-keys create deputy', ['lose']);
    expect([code, (await service.exchange(stdout.trim())).status]).toEqual([0, 200]);
  });

  it('that is lost twice is said to be unknown', async () => {
    const { code, stdout, stderr } = await run('keys create --name Twice --feature connections', [
      'lose',
      'lose',
    ]);
    expect([code, stdout]).toEqual([69, '']);
    expect(stderr).toMatch(
      /^The server cannot be reached: .+\nThe answer to a first try was lost .*look whether/,
    );
    expect(idempotencyKeys()).toHaveLength(2);
    expect(await namesOf('Twice')).toEqual(['Twice']);
  });

  it('503 twice ends with 69', async () => {
    const { code, stdout, stderr } = await run('keys create --name Away --feature connections', [away, away]);
    expect([code, stdout]).toEqual([69, '']);
    expect(stderr).toContain('The store is away.\n');
  });

  it('is a matter of what makes secrets: a refusal is final, and no other call is repeated', async () => {
    const refused = await run('keys create --name No --feature nothing', []);
    expect([refused.code, idempotencyKeys().length]).toEqual([1, 1]);
    await proxy.stop();
    const { key } = await service.createKey({ name: 'Revoked' });
    const revoked = await run(`keys revoke ${key.id}`, ['lose']);
    expect([revoked.code, idempotencyKeys()]).toEqual([69, [undefined]]);
  });
});
