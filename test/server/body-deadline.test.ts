/** A body that takes too long is cut off, unless the route sees to it itself. */
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { liftBodyLimit, limitBody } from '../../src/server/body-deadline.ts';
import { requestText, sendRaw } from '../support/raw-http.ts';

const open: { close(): void; closeAllConnections(): void }[] = [];
afterEach(() => {
  for (const server of open.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

async function serve(listener: RequestListener): Promise<number> {
  const server = createServer((req, res) => {
    limitBody(req, res, 200);
    listener(req, res);
  });
  open.push(server);
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return (server.address() as AddressInfo).port;
}
const half = requestText(['POST / HTTP/1.1', 'Host: x', 'Content-Length: 10'], 'hello');

test.each([
  ['by its length', half],
  ['in chunks', requestText(['POST / HTTP/1.1', 'Host: x', 'Transfer-Encoding: chunked'], '5\r\nhello\r\n')],
])('%s: 408, and the end', async (_, text) => {
  const port = await serve((req, res) => void req.resume().on('end', () => res.end('whole')));
  const begun = performance.now();
  const answer = await sendRaw(port, text, { until: 'close', timeout: 3000 });
  expect(answer?.status).toBe(408);
  expect(performance.now() - begun).toBeGreaterThan(150);
});
test('behind an answer: the end', async () => {
  const port = await serve((_req, res) => res.end('early'));
  const answer = await sendRaw(port, half, { until: 'close', timeout: 3000 });
  expect(answer?.text).toMatch(/^HTTP\/1\.1 200/);
  expect(answer?.text).not.toContain('408');
});
test('with a route that sees to it: as long as it takes', async () => {
  const port = await serve((req, res) => {
    liftBodyLimit(req);
    req.resume().on('end', () => res.end('whole'));
  });
  async function* body() {
    for (let i = 0; i < 4; i += 1) {
      yield Buffer.from('x');
      await delay(150);
    }
  }
  const response = await fetch(`http://127.0.0.1:${port}`, { method: 'POST', body: body(), duplex: 'half' });
  expect(await response.text()).toBe('whole');
});
test('that is whole and unread is no matter', async () => {
  const port = await serve((_req, res) => void setTimeout(() => res.end('late'), 500));
  const answer = await sendRaw(
    port,
    requestText(['POST / HTTP/1.1', 'Host: x', 'Content-Length: 5'], 'hello'),
  );
  expect(answer?.body).toBe('late');
});
