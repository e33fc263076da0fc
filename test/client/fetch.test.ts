/** The client's `fetch`: what the caller asked for reaches the server, with a token that nobody else is told. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTokenClient, type TokenClientOptions, TokenRefused } from '../../src/client/index.ts';
import { until } from '../support/until.ts';
import { apiKey, openStage, refusal, type Stage, token } from './stage.ts';

type Body = NonNullable<RequestInit['body']>;

interface Heard {
  readonly method: string | undefined;
  readonly authorization: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

interface ResourceServer {
  readonly url: string;
  readonly heard: readonly Heard[];
  close(): Promise<void>;
}

let stage: Stage;
const servers: ResourceServer[] = [];

beforeEach(async () => {
  stage = await openStage();
});

afterEach(async () => {
  await Promise.all([stage.close(), ...servers.splice(0).map(server => server.close())]);
});

describe('a call', () => {
  it.each([
    ['a string', (url: string) => url],
    ['a URL', (url: string) => new URL(url)],
    ['a Request', (url: string) => new Request(url, { headers: { 'x-own': 'mine' } })],
  ])('by %s bears the token, and the headers of the caller', async (_what, input) => {
    const server = await serve();
    const response = await open().fetch(input(server.url), {
      headers: { 'x-own': 'mine', authorization: 'Basic abc' },
    });
    expect(await response.text()).toBe('welcome');
    expect(server.heard).toMatchObject([
      { method: 'GET', authorization: 'Bearer token-1', headers: { 'x-own': 'mine' } },
    ]);
  });

  it('keeps the headers of a Request where it has no others', async () => {
    const server = await serve();
    await open().fetch(new Request(server.url, { method: 'DELETE', headers: { 'x-own': 'mine' } }));
    expect(server.heard).toMatchObject([{ method: 'DELETE', headers: { 'x-own': 'mine' } }]);
  });

  it('can be for another purpose', async () => {
    const server = await serve();
    const { fetch } = open();
    await fetch(server.url);
    await fetch(server.url, undefined, { audience: 'https://b.example' });
    expect(server.heard.map(({ authorization }) => authorization)).toEqual([
      'Bearer token-1',
      'Bearer token-2',
    ]);
    expect(stage.calls.map(({ form }) => form['audience'])).toEqual([undefined, 'https://b.example']);
  });

  it('stands in for the fetch that a library asks for', async () => {
    const server = await serve();
    const fetch: typeof globalThis.fetch = open().fetch;
    expect((await fetch(server.url)).status).toBe(200);
  });

  it('is not made where there is no token', async () => {
    const server = await serve();
    stage.answer = () => refusal(401, 'invalid_client');
    await expect(open().fetch(server.url)).rejects.toBeInstanceOf(TokenRefused);
    expect(server.heard).toEqual([]);
  });

  it('ends with its signal, while it waits for a token too', async () => {
    const server = await serve();
    stage.answer = () => () => undefined;
    const leaving = new AbortController();
    const { fetch } = open();
    const byInit = fetch(server.url, { signal: leaving.signal });
    const byRequest = fetch(new Request(server.url, { signal: leaving.signal }));
    leaving.abort();
    await expect(byInit).rejects.toMatchObject({ name: 'AbortError' });
    await expect(byRequest).rejects.toMatchObject({ name: 'AbortError' });
    expect(server.heard).toEqual([]);
  });
});

describe('a 401', () => {
  const bodies: [string, () => Body, string | RegExp][] = [
    ['a string', () => 'hello', 'hello'],
    ['bytes', () => new TextEncoder().encode('hello'), 'hello'],
    ['a buffer', () => new TextEncoder().encode('hello').buffer, 'hello'],
    ['a Blob', () => new Blob(['hello']), 'hello'],
    ['a form', () => new URLSearchParams({ a: 'hello' }), 'a=hello'],
    [
      'a form with parts',
      () => {
        const form = new FormData();
        form.set('a', 'hello');
        return form;
      },
      /name="a"\r\n\r\nhello\r\n/,
    ],
  ];

  it.each(bodies)('is tried once more with a new token, the body too: %s', async (_what, body, expected) => {
    const server = await serve(onlyToken(2));
    const response = await open().fetch(server.url, { method: 'PUT', body: body() });
    expect([response.status, await response.text()]).toEqual([200, 'welcome']);
    expect(server.heard.map(({ authorization }) => authorization)).toEqual([
      'Bearer token-1',
      'Bearer token-2',
    ]);
    for (const heard of server.heard) expect(heard.body).toMatch(expected);
  });

  it.each(bodies)('is tried once more for a Request, too: %s', async (_what, body, expected) => {
    const server = await serve(onlyToken(2));
    const response = await open().fetch(new Request(server.url, { method: 'PUT', body: body() }));
    expect(response.status).toBe(200);
    expect(server.heard).toHaveLength(2);
    for (const heard of server.heard) expect(heard.body).toMatch(expected);
  });

  it.each([
    ['a stream', () => new Blob(['hello']).stream()],
    ['a stream of Node', () => Readable.from([Buffer.from('hello')])],
  ])('is the answer to what cannot be sent twice: %s', async (_what, body) => {
    const server = await serve(onlyToken(2));
    const init = { method: 'PUT', body: body() as Body, duplex: 'half' } as RequestInit;
    const response = await open().fetch(server.url, init);
    expect([response.status, await response.text()]).toEqual([401, 'no']);
    expect(server.heard).toHaveLength(1);
    expect(stage.calls).toHaveLength(1);
  });

  it('that nobody reads lets go of its connection', async () => {
    let isOver = false;
    const server = await serve((req, res) => {
      if (req.headers.authorization === 'Bearer token-2') return void res.end('welcome');
      res.once('close', () => (isOver = true));
      // It has no end.
      res.writeHead(401).write('no');
    });
    expect((await open().fetch(server.url)).status).toBe(200);
    await until('the connection is closed', () => isOver);
  });

  it('to a new token too is the answer', async () => {
    const server = await serve(onlyToken(99));
    const response = await open().fetch(server.url);
    expect([response.status, await response.text()]).toEqual([401, 'no']);
    expect(server.heard).toHaveLength(2);
  });

  it('to every token does not make a token request of each call', async () => {
    const server = await serve(onlyToken(99));
    const { fetch } = open({ now: () => 0 });
    for (let call = 0; call < 50; call += 1) expect((await fetch(server.url)).status).toBe(401);
    expect(stage.calls).toHaveLength(2);
    // The first was tried twice.
    expect(server.heard).toHaveLength(51);
  });

  it('that a thousand have at once is one token request', async () => {
    const server = await serve(onlyToken(2));
    const { fetch } = open();
    const statuses = await Promise.all(
      Array.from({ length: 1000 }, async () => {
        const response = await fetch(server.url, { method: 'POST', body: 'hello' });
        await response.text();
        return response.status;
      }),
    );
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(stage.calls).toHaveLength(2);
  });

  it('is told as what it is where the service refuses the key', async () => {
    const server = await serve(onlyToken(99));
    stage.answer = () => (stage.calls.length === 1 ? token(60) : refusal(401, 'invalid_client'));
    const { fetch } = open();
    for (let call = 0; call < 10; call += 1)
      await expect(fetch(server.url)).rejects.toMatchObject({ code: 'invalid_client' });
    expect(server.heard).toHaveLength(1);
    expect(stage.calls).toHaveLength(2);
  });
});

describe('a redirect', () => {
  it('to another origin takes no token along, and a 401 from there says nothing of it', async () => {
    const other = await serve((_req, res) => void res.writeHead(401).end('who are you?'));
    const server = await serve((_req, res) => void res.writeHead(307, { location: other.url }).end());
    const response = await open().fetch(server.url, { method: 'GET' });
    expect([response.status, await response.text()]).toEqual([401, 'who are you?']);
    expect(server.heard).toMatchObject([{ authorization: 'Bearer token-1' }]);
    expect(other.heard).toMatchObject([{ authorization: undefined }]);
    expect(JSON.stringify(other.heard)).not.toContain('token-');
    expect(stage.calls).toHaveLength(1);
  });

  it('within the origin is followed, and repeated', async () => {
    const server = await serve((req, res) => {
      if (req.url === '/') return void res.writeHead(302, { location: '/there' }).end();
      onlyToken(2)(req, res);
    });
    expect((await open().fetch(server.url)).status).toBe(200);
    expect(server.heard).toHaveLength(4);
  });

  it('of what has changed something is not repeated', async () => {
    const server = await serve((req, res) => {
      if (req.method === 'POST') return void res.writeHead(303, { location: '/result' }).end();
      onlyToken(2)(req, res);
    });
    expect((await open().fetch(server.url, { method: 'POST', body: 'pay' })).status).toBe(401);
    expect(server.heard.map(({ method }) => method)).toEqual(['POST', 'GET']);
  });
});

/** The platform's own `fetch`, and its own time but for what is said. */
function open(options: Partial<TokenClientOptions> = {}) {
  return createTokenClient({ issuer: stage.issuer, apiKey, ...options });
}

/** Bodies are read first, as servers do that look at the credential late. */
async function serve(
  answer: RequestListener = (_req, res) => void res.end('welcome'),
): Promise<ResourceServer> {
  const heard: Heard[] = [];
  const listen = async (...[req, res]: Parameters<RequestListener>) => {
    const body = (await buffer(req)).toString();
    const { method, headers } = req;
    heard.push({ method, headers, authorization: headers.authorization, body });
    answer(req, res);
  };
  const server = createServer((req, res) => void listen(req, res));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const running: ResourceServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    heard,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  servers.push(running);
  return running;
}

/** Takes this token alone. */
function onlyToken(number: number): RequestListener {
  return ({ headers }, res) => {
    if (headers.authorization === `Bearer token-${number}`) res.end('welcome');
    else res.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end('no');
  };
}
