/** Bodies that flow, stall and break off, both ways; whom the gateway waits for, and for how long. */
import {
  createServer,
  request,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import {
  startGateway,
  startRawUpstream,
  startUpstream,
  type TestGatewayOptions,
} from '../support/gateway.ts';
import { freePort } from '../support/free-port.ts';
import { closeLater, keep } from '../support/kept.ts';
import { until } from '../support/until.ts';
import { requestText, sendRaw } from '../support/raw-http.ts';

/** An upstream that answers as it pleases, bodies unread. */
async function serve(listener: RequestListener): Promise<{ url: string; port: number }> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await new Promise(resolve => {
    server.once('listening', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const close = async () => {
    server.closeAllConnections();
    server.close();
  };
  closeLater({ close });
  return { url: `http://127.0.0.1:${port}`, port };
}
const gateway = (upstream: { url: string }, options: Partial<TestGatewayOptions> = {}) =>
  keep(startGateway({ upstream: upstream.url, ...options }));
/** What fetch says of a body that is cut. */
const brokenOff = 'terminated';
const megabyte = Buffer.alloc(1_048_576, 'x');

describe('five megabytes', () => {
  test('go up whole, and are never held', async () => {
    let most = 0;
    let received = 0;
    const upstream = await serve((req, res) => {
      req.on('data', (chunk: Buffer) => {
        received += chunk.length;
      });
      req.once('end', () => res.end(String(received)));
    });
    const { url } = await gateway(upstream);
    async function* body() {
      for (let i = 0; i < 5; i += 1) {
        most = Math.max(most, i * megabyte.length - received);
        yield megabyte;
        await delay(5);
      }
    }
    const response = await fetch(url, { method: 'POST', body: body(), duplex: 'half' });
    expect(await response.text()).toBe(String(5 * megabyte.length));
    expect(most).toBeLessThan(5 * megabyte.length);
  });
  test('come down whole', async () => {
    const upstream = await serve((_req, res) => {
      for (let i = 0; i < 5; i += 1) res.write(megabyte);
      res.end();
    });
    const { url } = await gateway(upstream);
    expect((await (await fetch(url)).arrayBuffer()).byteLength).toBe(5 * megabyte.length);
  });
  test('go up slowly: no limit but for silence', async () => {
    const upstream = await startUpstream((_req, res) => res.end('done'));
    closeLater(upstream);
    const { url } = await gateway(upstream, { timeout: 0.5, patience: { callerPatience: 500 } });
    async function* body() {
      for (let i = 0; i < 20; i += 1) {
        yield megabyte.subarray(0, 262_144);
        await delay(100);
      }
    }
    const response = await fetch(url, { method: 'POST', body: body(), duplex: 'half' });
    expect(await response.text()).toBe('done');
    expect(upstream.asked[0]?.body).toHaveLength(20 * 262_144);
  });
});

test('an upstream that does not read slows the caller down', async () => {
  let upstreamRequest: IncomingMessage | undefined;
  const upstream = await serve(req => {
    upstreamRequest = req;
  });
  const { port } = await gateway(upstream, { timeout: 20 });
  let written = 0;
  const socket = connect(port, '127.0.0.1');
  closeLater({ close: async () => socket.destroy() });
  socket.on('error', () => {});
  socket.write(requestText(['POST / HTTP/1.1', 'Host: x', `Content-Length: ${200 * megabyte.length}`]));
  const pump = () => {
    while (written < 200) {
      written += 1;
      if (!socket.write(megabyte)) return;
    }
  };
  socket.on('drain', pump);
  pump();
  await delay(1500);
  expect(upstreamRequest).toBeDefined();
  expect(written).toBeLessThan(60);
});

test('a caller that does not read slows the upstream down, and is cut off in the end', async () => {
  let written = 0;
  let isClosed = false;
  const upstream = await serve((_req, res) => {
    const pump = () => {
      while (!res.destroyed && written < 200) {
        written += 1;
        if (!res.write(megabyte)) return;
      }
    };
    res.on('drain', pump).on('close', () => {
      isClosed = true;
    });
    pump();
  });
  const { port, log } = await gateway(upstream, { patience: { callerPatience: 1000 } });
  const socket = connect(port, '127.0.0.1');
  closeLater({ close: async () => socket.destroy() });
  socket.on('error', () => {}).pause();
  socket.write(requestText(['GET / HTTP/1.1', 'Host: x']));
  await delay(700);
  expect(written).toBeLessThan(60);
  expect(isClosed).toBe(false);
  await until('it has come about', () => isClosed && log.length > 0);
  expect(JSON.parse(log[0]!)).toMatchObject({ status: 200, cut: true });
});

describe('events', () => {
  const events = () =>
    serve((_req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders();
      let count = 0;
      const timer = setInterval(() => res.write(`data: ${(count += 1)}\n\n`), 700);
      res.once('close', () => clearInterval(timer));
    });

  test('come as they are sent, the head before any of them; the timeout is not theirs', async () => {
    const { url } = await gateway(await events(), { timeout: 0.3, patience: { callerPatience: 300 } });
    const begun = performance.now();
    const response = await fetch(url);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(performance.now() - begun).toBeLessThan(500);
    const reader = response.body!.getReader();
    expect(text(await reader.read())).toBe('data: 1\n\n');
    expect(performance.now() - begun).toBeLessThan(1200);
    expect(text(await reader.read())).toBe('data: 2\n\n');
    await reader.cancel();
  });
  test('end when nothing has come for the patience of a stream', async () => {
    const { url } = await gateway(await events(), { patience: { streamPatience: 300 } });
    const response = await fetch(url);
    await expect(response.text()).rejects.toThrow(brokenOff);
  });
  test('end once the service is to end, and nothing else does', async () => {
    const ending = new AbortController();
    const { url } = await gateway(await events(), { patience: { ending: ending.signal } });
    const asked: ServerResponse[] = [];
    const upstream = await serve((_req, res) => void asked.push(res));
    const other = await gateway(upstream, { patience: { ending: ending.signal } });
    const reader = (await fetch(url)).body!.getReader();
    await reader.read();
    const answering = fetch(other.url);
    await until('the upstream is asked', () => asked.length === 1);
    ending.abort();
    const begun = performance.now();
    await expect(drain(reader)).rejects.toThrow(brokenOff);
    expect(performance.now() - begun).toBeLessThan(2500);
    asked[0]!.end('whole');
    expect(await (await answering).text()).toBe('whole');
  });
  test('end once the caller may not go on', async () => {
    let isAllowed = true;
    const { url } = await gateway(await events(), { mayContinue: () => isAllowed });
    const reader = (await fetch(url)).body!.getReader();
    await reader.read();
    isAllowed = false;
    const begun = performance.now();
    await expect(drain(reader)).rejects.toThrow(brokenOff);
    expect(performance.now() - begun).toBeLessThan(2500);
  });
});

describe('a caller that hangs up', () => {
  test.each([
    ['before the answer', () => {}],
    [
      'amid the answer',
      (_req: IncomingMessage, res: Parameters<RequestListener>[1]) => {
        res.write('x');
      },
    ],
  ])('%s ends the call to the upstream', async (_, listener) => {
    let isClosed = false;
    let count = 0;
    const upstream = await serve((req, res) => {
      count += 1;
      res.once('close', () => {
        isClosed = true;
      });
      listener(req, res);
    });
    const { url, log } = await gateway(upstream);
    const calling = request(url).on('error', () => {});
    calling.on('response', response => response.on('error', () => {}));
    calling.end();
    await delay(200);
    expect(isClosed).toBe(false);
    calling.destroy();
    await until('it has come about', () => isClosed);
    await until('it has come about', () => log.length > 0);
    expect(log.join('')).not.toMatch(/"level":"(?:error|warn)"|upstream_/);
    expect(count).toBe(1);
  });
  test('amid its body ends the call to the upstream, which gets no whole request', async () => {
    let outcome = '';
    const upstream = await serve(req => {
      req
        .on('data', () => {})
        .on('end', () => (outcome = 'end'))
        .on('error', () => (outcome = 'error'));
    });
    const { port } = await gateway(upstream);
    for (const framing of ['Content-Length: 100', 'Transfer-Encoding: chunked']) {
      outcome = '';
      const text = requestText(['POST / HTTP/1.1', 'Host: x', framing], '5\r\nhello\r\n');
      const socket = connect(port, '127.0.0.1', () => socket.write(text));
      await delay(200);
      socket.destroy();
      await until('it has come about', () => outcome !== '');
      expect(outcome).toBe('error');
    }
  });
});

describe('an answer that breaks off', () => {
  test.each([
    ['by its length', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello'],
    ['in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
    ['in chunks that are none', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n'],
  ])('%s breaks off for the caller too', async (_, text) => {
    const upstream = await keep(startRawUpstream(socket => void socket.once('data', () => socket.end(text))));
    const { url, port } = await gateway(upstream);
    const response = await fetch(url);
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow(brokenOff);
    const raw = await sendRaw(port, requestText(['GET / HTTP/1.1', 'Host: x']), { until: 'close' });
    expect(raw?.text).not.toMatch(/\r\n0\r\n\r\n$/);
    const old = await sendRaw(port, requestText(['GET / HTTP/1.0', 'Host: x']), { until: 'close' });
    expect(old?.text.endsWith('\r\n0\r\n\r\n')).toBe(false);
  });
  test('by silence is cut', async () => {
    const upstream = await serve((_req, res) => void res.write('x'));
    const { url } = await gateway(upstream, { timeout: 0.4 });
    const begun = performance.now();
    const response = await fetch(url);
    await expect(response.text()).rejects.toThrow(brokenOff);
    expect(performance.now() - begun).toBeLessThan(2000);
  });
});

describe('an upstream that', () => {
  test('is not there is 502', async () => {
    const { url, log } = await gateway({ url: `http://127.0.0.1:${await freePort()}` });
    const response = await fetch(url);
    expect(response.status).toBe(502);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(response.headers.get('cache-control')).toBe('no-store');
    const text = await response.text();
    expect(JSON.parse(text)).toMatchObject({ code: 'upstream_unreachable', status: 502 });
    expect(text).not.toContain('127.0.0.1');
    expect(log.some(line => line.includes('"level":"warn"') && line.includes('ECONNREFUSED'))).toBe(true);
  });
  test('has no name is 502', async () => {
    const { url } = await gateway({ url: 'http://nowhere.invalid' });
    expect((await fetch(url)).status).toBe(502);
  });
  test.each([
    ['GET', ''],
    ['POST', 'hello'],
  ])('does not answer is 504, once, for %s', async (method, body) => {
    let count = 0;
    const upstream = await serve(() => {
      count += 1;
    });
    const { url } = await gateway(upstream, { timeout: 0.4 });
    const begun = performance.now();
    const response = await fetch(url, { method, ...(body !== '' && { body }) });
    expect(response.status).toBe(504);
    expect(await response.json()).toMatchObject({ code: 'upstream_timeout' });
    expect(performance.now() - begun).toBeGreaterThan(350);
    expect(performance.now() - begun).toBeLessThan(1500);
    expect(count).toBe(1);
  });
  test('does not accept the connection is 504', async () => {
    // A name that no packet comes back from (RFC 5737).
    const { url } = await gateway({ url: 'http://192.0.2.1' }, { timeout: 0.4 });
    expect([502, 504]).toContain((await fetch(url)).status);
  });
  test('never reads a body is 504', async () => {
    const upstream = await serve(() => {});
    const { url } = await gateway(upstream, { timeout: 0.5 });
    const response = await fetch(url, { method: 'POST', body: Buffer.alloc(50_000_000) });
    expect(response.status).toBe(504);
  });
  test('answers before the body has come is heard, and the connection is good for more', async () => {
    const upstream = await serve((_req, res) => res.writeHead(413).end('no'));
    const { port } = await gateway(upstream);
    const first = requestText(['POST / HTTP/1.1', 'Host: x', 'Content-Length: 10'], 'hello');
    const socket = connect(port, '127.0.0.1', () => socket.write(first));
    let heard = '';
    socket.on('data', chunk => (heard += chunk.toString()));
    await until('it has come about', () => heard.includes('413'));
    socket.write(`hello${requestText(['GET / HTTP/1.1', 'Host: x'])}`);
    await until('it has come about', () => heard.split('HTTP/1.1 413').length === 3);
    socket.destroy();
    expect(heard).not.toContain('HTTP/1.1 400');
  });
});

describe('a body that stalls', () => {
  test('is 408 after the patience for callers, whatever the timeout', async () => {
    const upstream = await serve(() => {});
    const { port } = await gateway(upstream, { timeout: 20, patience: { callerPatience: 400 } });
    const text = requestText(['POST / HTTP/1.1', 'Host: x', 'Content-Length: 10'], 'hello');
    const answer = await sendRaw(port, text, { until: 'close', timeout: 3000 });
    expect(answer?.status).toBe(408);
    expect(answer?.header('connection')).toBe('close');
    expect(answer?.body).toContain('request_timeout');
  });
  test('behind an early answer ends with the connection', async () => {
    const upstream = await serve((_req, res) => res.end('early'));
    const { port } = await gateway(upstream, { patience: { callerPatience: 400 } });
    const text = requestText(['POST / HTTP/1.1', 'Host: x', 'Content-Length: 10'], 'hello');
    const answer = await sendRaw(port, text, { until: 'close', timeout: 3000 });
    expect(answer?.body).toContain('early');
  });
});

describe('a connection that fails before any byte of an answer', () => {
  const flaky = (failures: number, how: 'end' | 'reset' | 'partial') =>
    keep(
      startRawUpstream((socket, place) => {
        socket.once('data', () => {
          if (place >= failures) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
          else if (how === 'reset') socket.resetAndDestroy();
          else socket.end(how === 'partial' ? 'HTTP/1.1 200 OK\r\nX-' : '');
        });
      }),
    );

  test.each([
    ['GET', 'end', 200, 2],
    ['GET', 'reset', 200, 2],
    ['HEAD', 'reset', 200, 2],
    ['DELETE', 'reset', 200, 2],
    ['PUT', 'reset', 200, 2],
    ['POST', 'reset', 502, 1],
    ['PATCH', 'reset', 502, 1],
    ['GET', 'partial', 502, 1],
  ] as const)('is tried once more for %s (%s): %i', async (method, how, status, attempts) => {
    const upstream = await flaky(1, how);
    const { url } = await gateway(upstream);
    expect((await fetch(url, { method })).status).toBe(status);
    expect(upstream.received.filter(text => text !== '')).toHaveLength(attempts);
  });
  test('is tried once more, and no more', async () => {
    const upstream = await flaky(9, 'reset');
    const { url } = await gateway(upstream);
    expect((await fetch(url)).status).toBe(502);
    expect(upstream.received).toHaveLength(2);
  });
  test('is not tried again with a body', async () => {
    const upstream = await flaky(1, 'reset');
    const { url } = await gateway(upstream);
    expect((await fetch(url, { method: 'PUT', body: 'x' })).status).toBe(502);
    expect(upstream.received).toHaveLength(1);
  });
  test('because an idle one was closed is no fault to the caller', async () => {
    const upstream = await keep(
      startRawUpstream((socket, place) => {
        let count = 0;
        socket.on('data', () => {
          count += 1;
          if (place === 0 && count === 2) socket.resetAndDestroy();
          else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
        });
      }),
    );
    const { url } = await gateway(upstream);
    expect(await (await fetch(url)).text()).toBe('ok');
    expect(await (await fetch(url)).text()).toBe('ok');
    expect(upstream.received).toHaveLength(2);
  });
});

function text({ value }: { value?: Uint8Array | undefined }): string {
  return Buffer.from(value ?? []).toString();
}

async function drain(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  for (;;) if ((await reader.read()).done) return;
}
