/** Serves one subject of `npm run bench:gateway`, in front of the upstream that the second argument names. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createProxyServer } from 'http-proxy-3';
import { openService } from '../src/compose.ts';
import { requestToken } from '../src/client/request-token.ts';
import { loadSettings } from '../src/config/load.ts';
import { createReverseProxy } from '../src/gateway/reverse-proxy.ts';
import type { UpstreamCall } from '../src/gateway/upstream-call.ts';
import { createLogger } from '../src/server/logger.ts';
import { answerSizes, type GatewaySubject, isGatewaySubject } from './gateway-subjects.ts';
import { listen, serveSubject } from './subject-process.ts';
import type { Target } from './subjects.ts';

const [, , name = '', upstream = ''] = process.argv;
if (!isGatewaySubject(name)) throw new Error(`no subject: ${name}`);

await serveSubject(() => serve(name));

async function serve(subject: GatewaySubject): Promise<Target> {
  switch (subject) {
    case 'upstream':
      return serveOpen(answerAnything());
    case 'http-proxy-3':
      return serveOpen(byHttpProxy());
    case 'proxy':
      return serveOpen(byProxy());
    case 'keyturn':
      return serveKeyturn();
    case 'nginx':
      throw new Error('nginx is a process of its own');
  }
}

function answerAnything(): RequestListener {
  const answers = new Map(answerSizes.map(size => [`/items/${size}`, Buffer.alloc(size, 'x')]));
  return (req, res) => {
    const answer = answers.get(req.url ?? '') ?? Buffer.alloc(0);
    res.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': answer.length }).end(answer);
  };
}

function byHttpProxy(): RequestListener {
  const agent = new Agent({ keepAlive: true, maxSockets: 1000 });
  const proxy = createProxyServer({ target: upstream, agent, changeOrigin: true, xfwd: true });
  return (req, res) => proxy.web(req, res);
}

function byProxy(): RequestListener {
  const route = { methods: ['GET' as const], path: '/items/:size', scope: 'items:read', graphqlPath: false };
  const doors = ['bearer' as const];
  const controller = { name: 'Bench', upstream, doors, requireApiKey: false, routes: [route] };
  const proxy = createReverseProxy({ controllers: [controller] });
  const caller = { keyId: 'bench', feature: 'bench', scope: 'items:read', user: '', customData: {} };
  const client = { address: '127.0.0.1', isProxyTrusted: false };
  const call: UpstreamCall = {
    upstream,
    caller,
    client,
    controller: 'Bench',
    timeout: 30,
    authorization: 'strip',
  };
  const answer = async (req: IncomingMessage, res: ServerResponse) => {
    const { status, fields, body } = await proxy.forward(req, res, call);
    res.statusCode = status;
    for (const { name, values } of fields) res.setHeader(name, values);
    if (body === undefined) res.end();
    else body.pipe(res);
  };
  return (req, res) => void answer(req, res).catch(() => res.destroy());
}

async function serveKeyturn(): Promise<Target> {
  const directory = mkdtempSync(path.join(tmpdir(), 'keyturn-bench-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const features = [
    { name: 'connections', scopes: ['items:read'], controllers: ['Bench'] },
    ...['owner', 'admin', 'member'].map(role => ({
      name: role,
      role,
      scopes: ['keyturn:keys:manage'],
      controllers: ['Keyturn.Keys'],
    })),
  ];
  const routes = [{ methods: ['GET'], path: '/items/:size', scope: 'items:read' }];
  const controllers = [{ name: 'Bench', upstream, routes }];
  const loaded = loadSettings({
    KEYTURN_PORT: '0',
    KEYTURN_DATA_DIR: path.join(directory, 'data'),
    KEYTURN_FEATURES: write(directory, 'features', { features }),
    KEYTURN_CONTROLLERS: write(directory, 'controllers', { controllers }),
  });
  const { issuer, welcome } = await openService(loaded, { logger: createLogger('info') });
  const { accessToken } = await requestToken({ issuer, apiKey: welcome?.sampleKey ?? '' });
  return { url: issuer, method: 'GET', headers: { authorization: `Bearer ${accessToken}` } };
}

function write(directory: string, name: string, content: object): string {
  const file = path.join(directory, `${name}.json`);
  writeFileSync(file, JSON.stringify(content));
  return file;
}

async function serveOpen(listener: RequestListener): Promise<Target> {
  return { url: await listen(listener), method: 'GET', headers: {} };
}
