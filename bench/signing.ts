/** What it costs to sign a token: node:crypto as src/issuer/sign-token.ts uses it, beside jose's SignJWT. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';
import { createSigner, signToken } from '../src/issuer/sign-token.ts';
import type { SigningAlgorithm } from '../src/protocol/token-header.ts';
import { markdownTable, spread } from './report.ts';

const rounds = 7;
/** How many requests wait for their token at once, where it is more than one. */
const neighbours = 64;

const claims = {
  iss: 'http://127.0.0.1:8080',
  sub: '0195c2f0-0000-7000-8000-000000000000',
  aud: 'http://127.0.0.1:8080',
  exp: 1_800_000_900,
  iat: 1_800_000_000,
  jti: '0195c2f0-0000-7000-8000-000000000001',
  client_id: '0195c2f0-0000-7000-8000-000000000000',
  scope: 'personalize.external_webservices:manage',
  feature: 'connections',
  allowed_controllers: ['Personalize.Connections'],
  allowed_origins: [],
  key_version: 1,
};

const keys: Record<SigningAlgorithm, () => KeyObject> = {
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  EdDSA: () => generateKeyPairSync('ed25519').privateKey,
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
};

const rows: string[][] = [];
for (const [alg, tokens] of [
  ['ES256', 4000],
  ['EdDSA', 4000],
  ['RS256', 400],
] as const) {
  const key = keys[alg]();
  const signer = createSigner('bench', alg, key);
  const ways = {
    'node:crypto': () => signToken(signer, claims),
    jose: () => new SignJWT({ ...claims }).setProtectedHeader({ alg, typ: 'at+jwt', kid: 'bench' }).sign(key),
  };
  for (const atOnce of [1, neighbours]) {
    const times = await measure(ways, tokens, atOnce);
    for (const [way, { wall, cpu }] of times)
      rows.push([alg, String(atOnce), way, spread(wall, 1), spread(cpu, 1)]);
  }
}
const header = ['alg', 'at once', 'by', 'µs a token (min–max)', 'CPU µs a token, all threads'];
process.stdout.write(`Node ${process.versions.node}\n\n${markdownTable([header, ...rows])}\n`);

type Sign = () => Promise<string>;
type Times = { readonly wall: number[]; readonly cpu: number[] };

/** Alternating, so that what disturbs the machine disturbs both. The first round warms up and does not count. */
async function measure(
  ways: Record<string, Sign>,
  tokens: number,
  atOnce: number,
): Promise<Map<string, Times>> {
  const times = new Map<string, Times>(Object.keys(ways).map(way => [way, { wall: [], cpu: [] }]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const [way, sign] of Object.entries(ways)) {
      const { wall, cpu } = await timeOf(sign, tokens, atOnce);
      if (round === 0) continue;
      times.get(way)?.wall.push(wall);
      times.get(way)?.cpu.push(cpu);
    }
  }
  return times;
}

async function timeOf(sign: Sign, tokens: number, atOnce: number): Promise<{ wall: number; cpu: number }> {
  const startedAt = performance.now();
  const usedBefore = process.cpuUsage();
  for (let done = 0; done < tokens; done += atOnce) {
    await Promise.all(Array.from({ length: atOnce }, sign));
  }
  const { user, system } = process.cpuUsage(usedBefore);
  const signed = Math.ceil(tokens / atOnce) * atOnce;
  return { wall: ((performance.now() - startedAt) * 1000) / signed, cpu: (user + system) / signed };
}
