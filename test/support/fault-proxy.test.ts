/** That the fault proxy does what it says: a fault that is not one would prove nothing. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { until } from './until.ts';
import { createRandom } from './seed.ts';

interface Talk {
  readonly socket: Socket;
  /** All that has come. */
  heard(): string;
  readonly chunks: readonly number[];
  /** `end`, or the code of the error. */
  fate(): string | undefined;
}

describe('the fault proxy', () => {
  let echo: Server;
  let proxy: FaultProxy;
  /** What the server has received, over all its connections. */
  let received = '';
  const callers: Socket[] = [];

  beforeAll(async () => {
    echo = createServer({ noDelay: true }, socket => {
      socket.on('error', () => undefined);
      socket.on('data', bytes => {
        received += bytes.toString();
        socket.write(bytes);
      });
    });
    echo.listen(0, '127.0.0.1');
    await once(echo, 'listening');
  });
  afterAll(() => void echo.close());
  beforeEach(async () => {
    received = '';
    proxy = await startFaultProxy((echo.address() as { port: number }).port, createRandom(1));
  });
  afterEach(async () => {
    for (const caller of callers.splice(0)) caller.destroy();
    await proxy.close();
  });

  function talk(): Talk {
    const socket = connect({ port: proxy.port, host: '127.0.0.1', noDelay: true });
    callers.push(socket);
    let [heard, fate] = ['', undefined as string | undefined];
    const chunks: number[] = [];
    socket.on('data', bytes => {
      heard += bytes.toString();
      chunks.push(bytes.length);
    });
    socket.on('end', () => (fate ??= 'end'));
    socket.on('error', error => (fate ??= (error as NodeJS.ErrnoException).code));
    return { socket, heard: () => heard, chunks, fate: () => fate };
  }

  const hears = (talk: Talk, text: string) => until(`"${text}" has come`, () => talk.heard() === text, 5000);

  test('passes', async () => {
    const one = talk();
    one.socket.write('hello');
    await hears(one, 'hello');
    one.socket.end();
    await expect.poll(() => one.fate(), { timeout: 5000 }).toBe('end');
  });

  test('delays, in order', async () => {
    proxy.set({ kind: 'delay', ms: 100, jitter: 50 });
    const one = talk();
    const start = performance.now();
    for (const text of ['a', 'b', 'c', 'd']) {
      one.socket.write(text);
      await new Promise(resolve => {
        setImmediate(resolve);
      });
    }
    await hears(one, 'abcd');
    expect(performance.now() - start).toBeGreaterThanOrEqual(100);
  });

  test('throttles', async () => {
    proxy.set({ kind: 'throttle', bytesPerSecond: 1000 }, ['up']);
    const one = talk();
    const start = performance.now();
    one.socket.write('x'.repeat(200));
    await until('the first has come', () => one.heard().length === 200, 5000);
    one.socket.write('y');
    await until('the second has come', () => one.heard().length === 201, 5000);
    expect(performance.now() - start).toBeGreaterThanOrEqual(190);
  });

  test('slices', async () => {
    proxy.set({ kind: 'slice' }, ['up']);
    const one = talk();
    one.socket.write('slices');
    await hears(one, 'slices');
    expect(one.chunks.length).toBeGreaterThan(1);
  });

  test('drops: nothing comes, nothing ends, and that connection stays lost', async () => {
    const one = talk();
    one.socket.write('before');
    await hears(one, 'before');
    proxy.drop();
    const during = talk();
    one.socket.write('lost');
    during.socket.write('lost');
    await until('the bytes are lost', () => proxy.lost() === 8, 5000);
    await proxy.heal();
    const after = talk();
    after.socket.write('after');
    await hears(after, 'after');
    one.socket.write('still lost');
    during.socket.write('still lost');
    after.socket.write(' all');
    await hears(after, 'after all');
    expect([one.heard(), during.heard(), received]).toEqual(['before', '', 'beforeafter all']);
    expect([one.fate(), during.fate()]).toEqual([undefined, undefined]);
  });

  test('drops: a connection that said nothing meanwhile lives on', async () => {
    const one = talk();
    one.socket.write('a');
    await hears(one, 'a');
    proxy.drop();
    await proxy.heal();
    one.socket.write('b');
    await hears(one, 'ab');
    expect(proxy.lost()).toBe(0);
  });

  test('half: what is asked arrives, what is answered does not', async () => {
    proxy.half();
    const one = talk();
    one.socket.write('asked');
    await until('the server has it', () => received === 'asked', 5000);
    await proxy.heal();
    const after = talk();
    after.socket.write('answered');
    await hears(after, 'answered');
    expect([one.heard(), one.fate()]).toEqual(['', undefined]);
  });

  test('resets what is open, and whoever comes', async () => {
    const one = talk();
    one.socket.write('a');
    await hears(one, 'a');
    proxy.reset();
    await until('it is reset', () => one.fate() === 'ECONNRESET', 5000);
    const other = talk();
    await until('so is the next', () => other.socket.destroyed, 5000);
    expect(other.heard()).toBe('');
    await proxy.heal();
    const after = talk();
    after.socket.write('b');
    await hears(after, 'b');
  });

  test('refuses', async () => {
    const one = talk();
    one.socket.write('a');
    await hears(one, 'a');
    await proxy.refuse();
    const other = talk();
    await until('it is refused', () => other.fate() === 'ECONNREFUSED', 5000);
    expect(one.socket.destroyed || one.fate() === 'ECONNRESET').toBe(true);
    await proxy.heal();
    const after = talk();
    after.socket.write('b');
    await hears(after, 'b');
  });
});
