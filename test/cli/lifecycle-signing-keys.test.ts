/** `keyturn signing-keys`, by transcript. */
import { createPublicKey, generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { decodeProtectedHeader, importSPKI, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startService, type TestService } from '../support/service.ts';
import { Transcript } from './lifecycle-transcript.ts';

let service: TestService;
let cli: Transcript;
let scratch: string;

beforeAll(async () => {
  service = await startService();
  scratch = await mkdtemp(path.join(tmpdir(), 'keyturn-'));
  cli = new Transcript({ KEYTURN_URL: service.url, KEYTURN_API_KEY: service.ownerKey }, [
    [service.url, 'https://keyturn.example'],
    [scratch, '<folder>'],
  ]);
});

afterAll(async () => {
  await service.stop();
  await rm(scratch, { recursive: true, force: true });
});

const show = async (line: string, stdin?: string): Promise<string> => {
  const text = await cli.show(line, stdin === undefined ? {} : { stdin: inputOf(stdin) });
  return (
    text
      // First, for a piece of base64 between two of its "+" and "/" may look like a kid.
      .replaceAll(/^[A-Za-z0-9+/=]{50,64}$/gm, '<base64>')
      .replaceAll(/(?<![\w-])[\w-]{43}(?![\w-])/g, '<kid>')
      .replaceAll(/"([xy])":( ?)"<kid>"/g, '"$1":$2"<part>"')
  );
};

async function* inputOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

const active = async () => decodeProtectedHeader(await service.token(service.sampleKey)).kid!;

function makeJwk(kid: string): JsonWebKey & { kid: string } {
  return { ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }), kid };
}

async function write(name: string, text: string, mode = 0o600): Promise<string> {
  const file = path.join(scratch, name);
  await writeFile(file, text, { mode });
  await chmod(file, mode);
  return file;
}

describe('list', () => {
  it('shows the ring, without private keys', async () => {
    expect(await show('signing-keys list')).toMatchInlineSnapshot(`
      "$ keyturn signing-keys list
      <kid>	ES256	active	<time>	-"
    `);
    expect(await show('signing-keys list --json')).toMatchInlineSnapshot(`
      "$ keyturn signing-keys list --json
      [
        {
          "kid": "<kid>",
          "alg": "ES256",
          "state": "active",
          "createdAt": "<time>",
          "activeAt": "<time>",
          "publishedUntil": null,
          "publicJwk": {
            "kty": "EC",
            "x": "<part>",
            "y": "<part>",
            "crv": "P-256",
            "kid": "<kid>",
            "alg": "ES256",
            "use": "sig"
          }
        }
      ]"
    `);
  });
});

describe('rotate', () => {
  it('publishes the next key, once', async () => {
    expect(await show('signing-keys rotate')).toMatchInlineSnapshot(`
      "$ keyturn signing-keys rotate
      kid: <kid>
      alg: ES256
      state: next
      createdAt: <time>
      activeAt: <time>
      publishedUntil: null
      publicJwk: {"kty":"EC","x":"<part>","y":"<part>","crv":"P-256","kid":"<kid>","alg":"ES256","use":"sig"}"
    `);
    expect(await show('signing-keys rotate')).toMatchInlineSnapshot(`
      "$ keyturn signing-keys rotate
      2> The key <kid> is published already, and signs from <time> on. To have it sign at once, send {"now": true}.
      exit 1"
    `);
  });

  it('has it sign now', async () => {
    const before = await active();
    expect(await show('signing-keys rotate --now --json')).toMatchInlineSnapshot(`
      "$ keyturn signing-keys rotate --now --json
      {
        "kid": "<kid>",
        "alg": "ES256",
        "state": "active",
        "createdAt": "<time>",
        "activeAt": "<time>",
        "publishedUntil": null,
        "publicJwk": {
          "kty": "EC",
          "x": "<part>",
          "y": "<part>",
          "crv": "P-256",
          "kid": "<kid>",
          "alg": "ES256",
          "use": "sig"
        }
      }"
    `);
    expect(await active()).not.toBe(before);
    expect(await show('signing-keys list')).toMatchInlineSnapshot(`
      "$ keyturn signing-keys list
      <kid>	ES256	retired	<time>	<time>
      <kid>	ES256	active	<time>	-"
    `);
  });

  it('knows the algorithms that are in use', async () => {
    expect(await show('signing-keys rotate --alg ES256 --json')).toContain('"alg": "ES256"');
    expect(await show('signing-keys rotate --alg RS256')).toMatchInlineSnapshot(`
      "$ keyturn signing-keys rotate --alg RS256
      2> /alg: The service does not sign with RS256, but with ES256: KEYTURN_SIGNING_ALG and the audiences of controllers.json say so.
      exit 1"
    `);
  });
});

describe('import', () => {
  it('brings a key, and says where others can read its file', async () => {
    const jwk = makeJwk('ours');
    const file = await write('ours.json', JSON.stringify(jwk), 0o644);
    const said = await show(`signing-keys import ${file} --activate`);
    expect(said).not.toContain(jwk.d);
    expect(said).toMatchInlineSnapshot(`
      "$ keyturn signing-keys import <folder>/ours.json --activate
      kid: ours
      alg: ES256
      state: active
      createdAt: <time>
      activeAt: <time>
      publishedUntil: null
      publicJwk: {"kty":"EC","x":"<part>","y":"<part>","crv":"P-256","kid":"ours","alg":"ES256","use":"sig"}
      2> Others on this machine can read <folder>/ours.json: chmod 600 it."
    `);
    expect(await active()).toBe('ours');
  });

  it('reads stdin, and a file that is closed without a word', async () => {
    expect(await show('signing-keys import - --json', JSON.stringify(makeJwk('piped')))).toContain(
      '"kid": "piped"',
    );
    const file = await write('closed.json', JSON.stringify(makeJwk('closed')));
    expect(await show(`signing-keys import ${file}`)).not.toContain('2>');
  });

  it('repeats nothing of what it cannot take', async () => {
    const secret = makeJwk('bad').d!;
    const cut = await write('cut.json', `{"kty": "EC", "d": "${secret}"`);
    const list = await write('list.json', JSON.stringify([secret]));
    const bare = await write('bare.json', JSON.stringify({ kty: 'EC', crv: 'P-256', d: secret }));
    const said = [
      await show(`signing-keys import ${cut}`),
      await show(`signing-keys import ${list}`),
      await show(`signing-keys import ${bare}`),
      await show(`signing-keys import ${path.join(scratch, 'nothing.json')}`),
      await show(`signing-keys import ${scratch}`),
      await show('signing-keys import -'),
    ].join('\n');
    expect(said).not.toContain(secret);
    expect(said).toMatchInlineSnapshot(`
      "$ keyturn signing-keys import <folder>/cut.json
      2> <folder>/cut.json holds no JSON object: bring a private JWK.
      exit 1
      $ keyturn signing-keys import <folder>/list.json
      2> <folder>/list.json holds no JSON object: bring a private JWK.
      exit 1
      $ keyturn signing-keys import <folder>/bare.json
      2> /jwk/x: It is needed, in base64url: bring the private key, with all of its members.
      exit 1
      $ keyturn signing-keys import <folder>/nothing.json
      2> <folder>/nothing.json cannot be read (ENOENT).
      exit 1
      $ keyturn signing-keys import <folder>
      2> <folder> cannot be read (EISDIR).
      exit 1
      $ keyturn signing-keys import -
      2> - holds no JSON object: bring a private JWK.
      exit 1"
    `);
  });
});

describe('export', () => {
  it('prints the PEM by which the tokens of the active key verify', async () => {
    const { stdout, stderr } = await cli.run('signing-keys export --pem');
    expect(stderr).toBe('');
    const token = await service.token(service.sampleKey);
    await jwtVerify(token, await importSPKI(stdout, 'ES256'), { issuer: service.url });
    expect(await show('signing-keys export --pem')).toMatchInlineSnapshot(`
      "$ keyturn signing-keys export --pem
      -----BEGIN PUBLIC KEY-----
      <base64>
      <base64>
      -----END PUBLIC KEY-----"
    `);
  });

  it('prints that of another key, and its JWK', async () => {
    const text = (await cli.run('signing-keys export --pem --kid piped')).stdout;
    const jwk = JSON.parse((await cli.run('signing-keys export --kid piped')).stdout) as JsonWebKey;
    expect(createPublicKey({ key: jwk, format: 'jwk' }).equals(createPublicKey(text))).toBe(true);
    expect(Object.keys(jwk).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
    const { pem } = await cli.json('signing-keys export --pem --kid piped');
    expect(String(pem).trimEnd()).toBe(text.trimEnd());
    expect(await show('signing-keys export --pem --kid nothing')).toMatchInlineSnapshot(`
      "$ keyturn signing-keys export --pem --kid nothing
      2> There is no such signing key: "keyturn signing-keys list" shows those of the ring.
      exit 1"
    `);
  });
});

describe('revoke', () => {
  it('ends a key and its tokens, as often as it is asked', async () => {
    const token = await service.token(service.sampleKey);
    const kid = await active();
    expect(await show(`signing-keys revoke ${kid}`)).toMatchInlineSnapshot(`
      "$ keyturn signing-keys revoke ours
      kid: ours
      alg: ES256
      state: revoked
      createdAt: <time>
      activeAt: <time>
      publishedUntil: <time>"
    `);
    const headers = { authorization: `Bearer ${token}` };
    expect((await fetch(`${service.url}/v2/connections`, { headers })).status).toBe(401);
    expect(await cli.json(`signing-keys revoke ${kid}`)).toMatchObject({ kid, state: 'revoked' });
    expect(await active()).not.toBe(kid);
    expect(await show('signing-keys revoke nothing')).toMatchInlineSnapshot(`
      "$ keyturn signing-keys revoke nothing
      2> There is no signing key of this id; GET /admin/signing-keys lists them.
      exit 1"
    `);
  });
});
