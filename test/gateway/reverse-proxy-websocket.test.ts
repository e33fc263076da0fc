/** WebSockets through the gateway, as bytes; and every other wish to switch protocols. */
import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import {
  startGateway,
  startRawUpstream,
  startUpstream,
  type TestGatewayOptions,
} from '../support/gateway.ts';
import { closeLater, keep } from '../support/kept.ts';
import { until } from '../support/until.ts';
import { requestText, sendRaw } from '../support/raw-http.ts';

const key = 'dGhlIHNhbXBsZSBub25jZQ==';
const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
const handshake = (...more: string[]) =>
  requestText([
    'GET /socket?sc_apikey=s3cret&a=1 HTTP/1.1',
    'Host: x',
    'Connection: keep-alive, Upgrade',
    'Upgrade: WebSocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${key}`,
    'Sec-WebSocket-Protocol: chat',
    ...more,
  ]);
const switching = [
  'HTTP/1.1 101 Switching Protocols',
  'Connection: Upgrade',
  'Upgrade: websocket',
  `Sec-WebSocket-Accept: ${accept}`,
  'Sec-WebSocket-Protocol: chat',
  'X-Keyturn-User: forged',
  'Access-Control-Allow-Origin: *',
  '\r\n',
].join('\r\n');

/** Switches, says `greeting` in the same breath, then says everything twice. */
const echo = (greeting = '') =>
  keep(
    startRawUpstream(socket => {
      socket.once('data', () => {
        socket.write(switching + greeting, 'latin1');
        socket.on('data', chunk => socket.write(Buffer.concat([chunk, chunk])));
      });
    }),
  );

interface Talk {
  readonly socket: Socket;
  heard(): string;
  isClosed(): boolean;
}
function talk(port: number, text: string | Buffer): Talk {
  let heard = '';
  let isClosed = false;
  const socket = connect(port, '127.0.0.1', () => socket.write(text));
  socket.on('data', chunk => {
    heard += chunk.toString('latin1');
  });
  socket
    .on('error', () => {})
    .on('close', () => {
      isClosed = true;
    });
  closeLater({ close: async () => socket.destroy() });
  return { socket, heard: () => heard, isClosed: () => isClosed };
}
const gateway = (upstream: { url: string }, options: Partial<TestGatewayOptions> = {}) =>
  keep(startGateway({ upstream: upstream.url, ...options }));

describe('a WebSocket', () => {
  test('is opened, and bytes pass both ways', async () => {
    const upstream = await echo('\x81\x05hello');
    const { port, log } = await gateway(upstream, { timeout: 1 });
    const { socket, heard } = talk(port, handshake('Authorization: Bearer s3cret', 'X-Keyturn-Scope: all'));
    await until('it has come about', () => heard().endsWith('hello'));
    const [head = '', frame] = heard().split('\r\n\r\n');
    expect(head.split('\r\n')).toEqual([
      'HTTP/1.1 101 Switching Protocols',
      'Connection: Upgrade',
      'Upgrade: websocket',
      `Sec-WebSocket-Accept: ${accept}`,
      'Sec-WebSocket-Protocol: chat',
    ]);
    expect(frame).toBe('\x81\x05hello');
    socket.write('\x81\x02ab', 'latin1');
    await until('it has come about', () => heard().endsWith('\x81\x02ab\x81\x02ab'));

    const asked = upstream.received[0]!.split('\r\n\r\n')[0]!.split('\r\n');
    expect(asked[0]).toBe('GET /socket?a=1 HTTP/1.1');
    expect(asked.filter(line => /^(?:upgrade|connection):/i.test(line))).toEqual([
      'Connection: Upgrade',
      'Upgrade: websocket',
    ]);
    expect(asked.filter(line => /^x-keyturn-/i.test(line))).toHaveLength(6);
    expect(asked).toContain('X-Keyturn-Scope: orders:read orders:update');
    expect(asked).toContain(`Sec-WebSocket-Key: ${key}`);
    expect(upstream.received[0]).not.toContain('s3cret');
    expect(log).toHaveLength(1);
    expect(JSON.parse(log[0]!)).toMatchObject({ status: 101, url: '/socket?sc_apikey=[redacted]&a=1' });
  });
  test('lasts longer than the timeout, and passes what came behind the handshake', async () => {
    const upstream = await echo();
    const { port } = await gateway(upstream, { timeout: 0.3 });
    const { socket, heard } = talk(port, `${handshake()}early`);
    await until('it has come about', () => heard().endsWith('earlyearly'));
    await delay(700);
    socket.write('late');
    await until('it has come about', () => heard().endsWith('latelate'));
    expect(upstream.received).toHaveLength(1);
  });
  test('carries five megabytes whole', async () => {
    const upstream = await echo();
    const { port } = await gateway(upstream);
    const { socket, heard } = talk(port, handshake());
    await until('it has come about', () => heard().includes('\r\n\r\n'));
    const before = heard().length;
    socket.write(Buffer.alloc(5_000_000, 'x'));
    await until('it has come about', () => heard().length >= before + 10_000_000);
    expect(heard().slice(before).replaceAll('x', '')).toBe('');
    expect(heard()).toHaveLength(before + 10_000_000);
  });
  test.each(['caller', 'upstream'] as const)('ends for both when the %s ends it', async end => {
    let upstreamSocket: Socket | undefined;
    let isUpstreamClosed = false;
    const upstream = await keep(
      startRawUpstream(socket => {
        upstreamSocket = socket;
        socket.once('close', () => {
          isUpstreamClosed = true;
        });
        socket.once('data', () => socket.write(switching));
      }),
    );
    const { port } = await gateway(upstream);
    const { socket, heard, isClosed } = talk(port, handshake());
    await until('it has come about', () => heard().includes('101'));
    if (end === 'caller') socket.end('bye');
    else upstreamSocket?.end('bye');
    await until('it has come about', () => isClosed() && isUpstreamClosed);
    expect(end === 'caller' ? upstream.received[0] : heard()).toMatch(/bye$/);
  });
  test('ends when nothing moves for the patience of a stream', async () => {
    const { port } = await gateway(await echo(), { patience: { streamPatience: 300 } });
    const { isClosed, heard } = talk(port, handshake());
    await until('it has come about', () => isClosed());
    expect(heard()).toContain('101');
  });
  test('ends once the caller may not go on', async () => {
    let isAllowed = true;
    const { port } = await gateway(await echo(), { mayContinue: () => isAllowed });
    const { isClosed, heard } = talk(port, handshake());
    await until('it has come about', () => heard().includes('101'));
    isAllowed = false;
    const begun = performance.now();
    await until('it has come about', () => isClosed());
    expect(performance.now() - begun).toBeLessThan(2500);
  });
  test('ends at once when the gateway does', async () => {
    const upstream = await echo();
    const running = await startGateway({ upstream: upstream.url });
    const { isClosed, heard } = talk(running.port, handshake());
    await until('it has come about', () => heard().includes('101'));
    const begun = performance.now();
    await running.close(5000);
    expect(performance.now() - begun).toBeLessThan(1000);
    await until('it has come about', () => isClosed());
  });
});

describe('an upstream that does not switch', () => {
  test('is heard, and nothing else goes to it', async () => {
    const upstream = await keep(
      startRawUpstream(socket => {
        socket.once('data', () => {
          socket.write(
            'HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 2\r\n\r\nno',
          );
        });
      }),
    );
    const { port } = await gateway(upstream);
    const text = `${handshake()}${requestText(['GET /smuggled HTTP/1.1', 'Host: x'])}`;
    const answer = await sendRaw(port, text, { until: 'close' });
    expect(answer).toMatchObject({ status: 426, body: 'no' });
    expect(answer?.header('connection')).toBe('close');
    expect(answer?.header('sec-websocket-version')).toBe('13');
    await delay(50);
    expect(upstream.received.join('')).not.toContain('smuggled');
  });
  test.each([
    ['but to something else', 'HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n', 502],
    ['and hangs up', '', 502],
    ['and talks nonsense', 'nonsense\r\n\r\n', 502],
  ])('%s is 502', async (_, text, status) => {
    const upstream = await keep(startRawUpstream(socket => void socket.once('data', () => socket.end(text))));
    const { port } = await gateway(upstream);
    const answer = await sendRaw(port, handshake(), { until: 'close' });
    expect(answer?.status).toBe(status);
    expect(answer?.body).toContain('upstream_unreachable');
  });
  test('and says nothing is 504', async () => {
    const upstream = await keep(startRawUpstream(() => {}));
    const { port } = await gateway(upstream, { timeout: 0.3 });
    expect((await sendRaw(port, handshake(), { until: 'close' }))?.status).toBe(504);
  });
  test('and is not there is 502', async () => {
    const { port } = await gateway({ url: 'http://127.0.0.1:1' });
    expect((await sendRaw(port, handshake(), { until: 'close' }))?.status).toBe(502);
  });
});

describe('what is no handshake', () => {
  test.each<[string, string[], string]>([
    [
      'h2c',
      ['GET / HTTP/1.1', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: x'],
      '',
    ],
    [
      "h2c with a body, as Java's client asks first",
      ['POST / HTTP/1.1', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'Content-Length: 5'],
      'hello',
    ],
    ['TLS', ['GET / HTTP/1.1', 'Connection: Upgrade', 'Upgrade: TLS/1.0'], ''],
    ['a WebSocket without a key', ['GET / HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket'], ''],
    [
      'a WebSocket by POST',
      [
        'POST / HTTP/1.1',
        'Connection: Upgrade',
        'Upgrade: websocket',
        `Sec-WebSocket-Key: ${key}`,
        'Content-Length: 5',
      ],
      'hello',
    ],
    [
      'a WebSocket with a body',
      [
        'GET / HTTP/1.1',
        'Connection: Upgrade',
        'Upgrade: websocket',
        `Sec-WebSocket-Key: ${key}`,
        'Content-Length: 5',
      ],
      'hello',
    ],
    [
      'a WebSocket without Connection',
      ['GET / HTTP/1.1', 'Upgrade: websocket', `Sec-WebSocket-Key: ${key}`],
      '',
    ],
  ])('is answered as any request: %s', async (_, lines, body) => {
    const upstream = await keep(startUpstream());
    const { port } = await gateway(upstream);
    const answer = await sendRaw(port, requestText([...lines, 'Host: x'], body));
    expect(answer?.status).toBe(200);
    expect(upstream.asked).toHaveLength(1);
    expect(upstream.asked[0]?.body).toBe(body);
    expect(upstream.asked[0]?.headers).not.toHaveProperty('upgrade');
  });
  test('CONNECT is closed', async () => {
    const upstream = await keep(startUpstream());
    const { port } = await gateway(upstream);
    const answer = await sendRaw(
      port,
      requestText(['CONNECT evil.example:443 HTTP/1.1', 'Host: evil.example']),
    );
    expect(answer).toBeUndefined();
    expect(upstream.connections()).toBe(0);
  });
  test('a handshake at an address that is not there is refused on the socket', async () => {
    const { port } = await gateway({ url: 'http://127.0.0.1:1' }, { routes: [] });
    const answer = await sendRaw(port, handshake(), { until: 'close' });
    expect(answer?.status).toBe(404);
    expect(answer?.header('connection')).toBe('close');
  });
});
