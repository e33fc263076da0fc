/** The service itself, as `keyturn serve` runs it, with the request to measure it by. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { initialise, openFoundation, openService } from '../src/compose.ts';
import { requestToken } from '../src/client/request-token.ts';
import { type LoadedSettings, loadSettings } from '../src/config/load.ts';
import { createLogger } from '../src/server/logger.ts';
import { exchangeRequest } from './bare-servers.ts';
import type { Target } from './subjects.ts';

/** Its log goes where the process's standard output goes, a line a request, as in service. */
const logger = createLogger('info');

export async function serveEmbedded(): Promise<{ issuer: string; apiKey: string; ownerKey: string }> {
  const directory = mkdtempSync(path.join(tmpdir(), 'keyturn-bench-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const loaded = loadSettings({ KEYTURN_PORT: '0', KEYTURN_DATA_DIR: directory });
  const { issuer, welcome } = await openService(loaded, { logger });
  return { issuer, apiKey: welcome?.sampleKey ?? '', ownerKey: welcome?.ownerKey ?? '' };
}

/** The `Authorization` of a new resource server, by its key. */
export async function createResourceServer({
  issuer,
  ownerKey,
}: {
  issuer: string;
  ownerKey: string;
}): Promise<string> {
  const made = await call(`${issuer}/admin/keys`, await tokenFor(issuer, ownerKey), {
    name: 'Resource server',
    feature: 'resource-server',
  });
  return `Basic ${Buffer.from(`:${String(made['apiKey'])}`).toString('base64')}`;
}

export async function serveOverRedis(redisUrl: string): Promise<{ issuer: string; apiKey: string }> {
  const loaded = loadSettings({
    KEYTURN_PORT: '0',
    KEYTURN_REDIS_URL: redisUrl,
    KEYTURN_PEPPER: 'a-pepper-for-the-bench-alone',
    KEYTURN_MASTER_KEY: 'a-master-key-for-the-bench-alone',
  });
  const ownerKey = await makeOwner(loaded);
  const { issuer } = await openService(loaded, { logger });
  return { issuer, apiKey: await createKey(issuer, ownerKey) };
}

export function exchangeTarget({ issuer, apiKey }: { issuer: string; apiKey: string }): Target {
  return { url: `${issuer}/oauth/token`, method: 'POST', ...exchangeRequest(apiKey) };
}

/** A list of five documents: small, as the route's own work is not what is measured. */
export async function listTarget({ issuer, apiKey }: { issuer: string; apiKey: string }): Promise<Target> {
  const token = await tokenFor(issuer, apiKey);
  const url = `${issuer}/v2/connections`;
  for (let i = 0; i < 5; i += 1) await call(url, token, { name: `Connection ${i}` });
  return { url, method: 'GET', headers: { authorization: `Bearer ${token}` } };
}

async function makeOwner(loaded: LoadedSettings): Promise<string> {
  const foundation = await openFoundation(loaded.settings, { logger });
  try {
    const made = await initialise('owner', loaded.settings, foundation);
    if (made.outcome !== 'initialised') throw new Error(`the Redis is not new: ${made.outcome}`);
    return made.accessKey.apiKey;
  } finally {
    await foundation.store.close();
  }
}

export async function tokenFor(issuer: string, apiKey: string): Promise<string> {
  return (await requestToken({ issuer, apiKey })).accessToken;
}

/** Revokes a token or a key string. @throws where that is not known to be in force */
export async function revoke(issuer: string, token: string): Promise<void> {
  const body = new URLSearchParams({ token });
  const response = await fetch(`${issuer}/oauth/revoke`, { method: 'POST', body });
  await response.text();
  if (response.status !== 200) throw new Error(`not revoked: ${response.status}`);
}

/** Makes a key of the feature `connections`. */
export async function createKey(issuer: string, ownerKey: string): Promise<string> {
  const made = await call(`${issuer}/admin/keys`, await tokenFor(issuer, ownerKey), {
    name: 'Bench',
    feature: 'connections',
  });
  return String(made['apiKey']);
}

async function call(url: string, token: string, body: object): Promise<Record<string, unknown>> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  if (response.status !== 201) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return { ...Object(await response.json()) };
}
