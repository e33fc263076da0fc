/**
 * Keyturn, a server that guards itself, and a service that calls it, all in one process: what each of them sees when the
 * key is used, and when it is revoked. See docs/guards.md and docs/token-client.md. Everything is thrown away in the end.
 */
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
// In an application of your own: from 'keyturn', 'keyturn/client' and 'keyturn/express'.
import { createTokenClient, TokenRefused } from '../../src/client/index.ts';
import { createLogger, loadSettings, openService } from '../../src/index.ts';
import { createGuard } from '../../src/middleware/express.ts';
import { createAdmin } from '../admin.ts';
import { createOrders } from './orders.ts';

const say = (text: string) => void process.stdout.write(`${text}\n`);
const audience = 'https://orders.example';
const directory = await mkdtemp(path.join(tmpdir(), 'keyturn-orders-'));

/** The catalogue that comes with Keyturn, and what the server adds to it. */
async function catalogueWith(name: 'features' | 'controllers', entry: object): Promise<string> {
  const standard = new URL(`../../config/${name}.json`, import.meta.url);
  const file = JSON.parse(await readFile(standard, 'utf8')) as Record<string, object[]>;
  const extended = path.join(directory, `${name}.json`);
  await writeFile(extended, JSON.stringify({ ...file, [name]: [...(file[name] ?? []), entry] }));
  return extended;
}

const settings = loadSettings({
  KEYTURN_PORT: process.env['KEYTURN_PORT'] ?? '8080',
  KEYTURN_DATA_DIR: path.join(directory, 'data'),
  KEYTURN_FEATURES: await catalogueWith('features', {
    name: 'orders',
    scopes: ['orders:manage'],
    controllers: ['Shop.Orders'],
  }),
  KEYTURN_CONTROLLERS: await catalogueWith('controllers', { name: 'Shop.Orders', elsewhere: true, audience }),
});
const keyturn = await openService(settings, { logger: createLogger('warn') });
const admin = await createAdmin(keyturn.issuer, keyturn.welcome?.ownerKey ?? '');

const server = await admin.createKey({ name: 'Orders server', feature: 'resource-server' });
const guard = createGuard({ issuer: keyturn.issuer, audience, apiKey: server.apiKey });
await guard.ready();
const orders = createOrders(guard).listen(0, '127.0.0.1');
await once(orders, 'listening');
const url = `http://127.0.0.1:${(orders.address() as AddressInfo).port}/orders`;
say(`Keyturn issues tokens on ${keyturn.issuer}; the orders are on ${url}, and guard themselves.`);

const key = await admin.createKey({ name: 'Web shop', feature: 'orders', audiences: [audience] });
const client = createTokenClient({ issuer: keyturn.issuer, apiKey: key.apiKey });
const call = async (what: string, init?: RequestInit) => {
  const response = await client.fetch(url, init);
  say(`${what}: ${response.status} ${await response.text()}`);
};

say(`\nWithout a token: ${(await fetch(url)).status}`);
await call('With the key, GET');
const body = JSON.stringify({ item: 'Chair' });
await call('With the key, POST', { method: 'POST', headers: { 'content-type': 'application/json' }, body });

const token = await client.getToken();
await admin.revokeKey(key.id);
say('\nThe key is revoked.');
const refused = async () =>
  (await fetch(url, { headers: { authorization: `Bearer ${token}` } })).status === 401;
while (!(await refused())) continue;
say('The orders refuse its token.');
await call('The client').catch((error: unknown) => {
  if (!(error instanceof TokenRefused)) throw error;
  say(`The client gets no other: ${error.code}. ${error.message}`);
});

guard.close();
orders.close();
orders.closeAllConnections();
await keyturn.close();
await rm(directory, { recursive: true, force: true });
