/** `keyturn doctor`, on a sound deployment and on such as are not; and `audit verify` where the chain is broken. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startService, type TestService } from '../support/service.ts';
import { type Fate, startProxy } from './lifecycle-proxy.ts';
import { Transcript } from './lifecycle-transcript.ts';

let service: TestService;
let cli: Transcript;

beforeAll(async () => {
  service = await startService();
  cli = transcriptOf(service.url, service.ownerKey);
});

afterAll(() => service.stop());

function transcriptOf(url: string, apiKey = ''): Transcript {
  return new Transcript({ KEYTURN_URL: url, KEYTURN_API_KEY: apiKey }, [[url, 'https://keyturn.example']]);
}

/** Through a server that gives other answers to some calls. */
async function showWith(line: string, answers: Readonly<Record<string, Fate>>): Promise<string> {
  const proxy = await startProxy(service.url, call => answers[call] ?? 'pass');
  try {
    return await new Transcript({ KEYTURN_URL: proxy.url, KEYTURN_API_KEY: service.ownerKey }, [
      [proxy.url, 'https://proxy.example'],
      [service.url, 'https://keyturn.example'],
    ]).show(line);
  } finally {
    await proxy.stop();
  }
}

describe('doctor', () => {
  it('finds a new deployment sound', async () => {
    expect((await cli.show('doctor')).replace(/\d+ entries/, 'some entries')).toMatchInlineSnapshot(`
      "$ keyturn doctor
      ok    reachable: https://keyturn.example
      ok    ready: It can do its work.
      ok    issuer: https://keyturn.example
      ok    clock: 0 s between the server's clock and this one.
      ok    key: It has a token.
      ok    peppers: No key string waits to be renewed.
      ok    audit: some entries in a whole chain, head <hash>
      ok    wildcards: No key allows every origin or controller."
    `);
    const findings = (await cli.json('doctor')) as unknown as { level: string; check: string }[];
    expect(findings.map(({ level, check }) => `${check} ${level}`)).toEqual([
      'reachable ok',
      'ready ok',
      'issuer ok',
      'clock ok',
      'key ok',
      'peppers ok',
      'audit ok',
      'wildcards ok',
    ]);
  });

  it('says what it cannot look at', async () => {
    expect(await cli.show('doctor', { env: { KEYTURN_API_KEY: '' } })).toMatchInlineSnapshot(`
      "$ keyturn doctor
      ok    reachable: https://keyturn.example
      ok    ready: It can do its work.
      ok    issuer: https://keyturn.example
      ok    clock: 0 s between the server's clock and this one.
      warn  key: Set KEYTURN_API_KEY to an access key to have the rest looked at."
    `);
    expect(await cli.show('doctor', { env: { KEYTURN_API_KEY: service.sampleKey } })).toMatchInlineSnapshot(`
      "$ keyturn doctor
      ok    reachable: https://keyturn.example
      ok    ready: It can do its work.
      ok    issuer: https://keyturn.example
      ok    clock: 0 s between the server's clock and this one.
      ok    key: It has a token.
      warn  peppers: The API key may not use the controller "Keyturn.SigningKeys": allow it on the key, or use a key of another feature.
      warn  audit: The API key may not use the controller "Keyturn.Audit": allow it on the key, or use a key of another feature.
      warn  wildcards: The API key may not use the controller "Keyturn.Keys": allow it on the key, or use a key of another feature."
    `);
    const wrong = { KEYTURN_API_KEY: `kt_${'0'.repeat(70)}` };
    expect(await cli.show('doctor', { env: wrong })).toMatchInlineSnapshot(`
      "$ keyturn doctor
      ok    reachable: https://keyturn.example
      ok    ready: It can do its work.
      ok    issuer: https://keyturn.example
      ok    clock: 0 s between the server's clock and this one.
      fail  key: The client credentials are not valid. Send the whole API key as client_secret; client_id, if sent, is its id.
      exit 1"
    `);
  });

  it('ends at once where nobody is there', async () => {
    const ran = await cli.run('doctor', { env: { KEYTURN_URL: 'http://127.0.0.1:1' } });
    expect([ran.code, ran.stderr]).toEqual([69, '']);
    expect(ran.stdout).toMatch(/^fail {2}reachable: The server cannot be reached: .+\n$/);
    expect((await cli.run('doctor', { env: { KEYTURN_URL: 'nowhere' } })).code).toBe(78);
  });

  it.each([
    [-3600, 'fail', 3599],
    [-5, 'warn', 4],
    [0, 'ok', 0],
    [5, 'warn', 5],
    [3600, 'fail', 3600],
  ])('finds a clock that is %i s off: %s', async (seconds, level, least) => {
    const { stdout } = await cli.run('doctor', { clock: () => Date.now() + seconds * 1000 });
    const [, found, difference] = /^(\w+) +clock: (\d+) s between/m.exec(stdout) ?? [];
    expect(found).toBe(level);
    expect(Number(difference) - least).toBeGreaterThanOrEqual(-1);
    expect(Number(difference) - least).toBeLessThanOrEqual(1);
  });

  it('counts the keys that allow everything, but for revoked ones', async () => {
    const made = await Promise.all([
      service.createKey({ corsOrigins: '*' }),
      service.createKey({ corsOrigins: '*', allowedControllers: '*' }),
      service.createKey({ allowedControllers: '*' }),
      service.createKey({ corsOrigins: 'https://shop.example' }),
    ]);
    await service.admin('POST', `/admin/keys/${made[2].key.id}/revoke`);
    expect((await cli.run('doctor')).stdout).toContain(
      'warn  wildcards: Discouraged: keys that allow every origin: 2; every controller: 1.\n',
    );
  });

  it('finds every fault there can be', async () => {
    const shown = await showWith('doctor', {
      'GET /admin/keys?limit=100': [200, { items: [], next: null }],
      'GET /readyz': [503, { detail: 'The store is not reachable.' }],
      'GET /admin/peppers': [200, { waiting: 3, peppers: [{ configured: false, secrets: 3 }] }],
      'GET /admin/audit/verification': [
        200,
        { entries: 9, head: 'a'.repeat(64), faults: [{ seq: 4, fault: 'the entry is missing' }] },
      ],
    });
    expect(shown).toMatchInlineSnapshot(`
      "$ keyturn doctor
      ok    reachable: https://proxy.example
      fail  ready: The store is not reachable.
      warn  issuer: The server calls itself https://keyturn.example, not https://proxy.example: give that name to clients that compare the two.
      ok    clock: 0 s between the server's clock and this one.
      ok    key: It has a token.
      fail  peppers: Key strings that do not work, for their pepper is not configured: 3.
      fail  audit: The chain does not verify. The first bad entry is 4: the entry is missing.
      ok    wildcards: No key allows every origin or controller.
      exit 1"
    `);
  });
});

describe('peppers', () => {
  it('are waited for until every key string is renewed', async () => {
    const dataDir = await mkdtemp(path.join(tmpdir(), 'keyturn-'));
    const start = (KEYTURN_PEPPER: string) => startService({ dataDir, env: { KEYTURN_PEPPER } });
    const [older, newer] = ['an-older-pepper-for-the-tests-0001', 'a-newer-pepper-for-the-tests-00002'];
    const before = await start(older);
    await before.stop();
    const after = await start(`${newer},${older}`);
    const examine = async () => (await transcriptOf(after.url, before.ownerKey).run('doctor')).stdout;
    // The owner's key may have been renewed already, by being used for this.
    expect(await examine()).toMatch(
      /warn {2}peppers: Key strings that wait to be renewed, by their next use: [12]\./,
    );
    await after.exchange(before.sampleKey);
    await expect
      .poll(examine, { timeout: 10_000 })
      .toContain('ok    peppers: No key string waits to be renewed.');
    await after.stop();
    await rm(dataDir, { recursive: true });
  });
});

describe('audit verify', () => {
  it('prints the head of a whole chain', async () => {
    expect((await cli.show('audit verify')).replaceAll(/\d+(?=$|:<)/gm, '<number>')).toMatchInlineSnapshot(`
      "$ keyturn audit verify
      entries: <number>
      head: <hash>
      anchor, to keep elsewhere: <number>:<hash>"
    `);
  });

  it('names the first bad entry of a chain that is not', async () => {
    const verification = {
      entries: 9,
      head: 'a'.repeat(64),
      faults: [
        { seq: 4, fault: 'the entry is missing' },
        { seq: 7, fault: 'the entry was changed, or belongs elsewhere' },
      ],
    };
    const answers = { 'GET /admin/audit/verification': [200, verification] } as const;
    expect(await showWith('audit verify', answers)).toMatchInlineSnapshot(`
      "$ keyturn audit verify
      entry 4: the entry is missing
      entry 7: the entry was changed, or belongs elsewhere
      entries: 9
      head: <hash>
      2> The chain does not verify. The first bad entry is 4: the entry is missing.
      exit 1"
    `);
    expect(await showWith('audit verify --json', answers)).toMatchInlineSnapshot(`
      "$ keyturn audit verify --json
      {
        "entries": 9,
        "head": "<hash>",
        "anchor": "9:<hash>",
        "faults": [
          {
            "seq": 4,
            "fault": "the entry is missing"
          },
          {
            "seq": 7,
            "fault": "the entry was changed, or belongs elsewhere"
          }
        ]
      }
      2> The chain does not verify. The first bad entry is 4: the entry is missing.
      exit 1"
    `);
  });
});
