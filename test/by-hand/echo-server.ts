/** A server without any protection: it answers every request with what it was sent. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as it arrived. */
export interface Echo {
  readonly method: string;
  readonly url: string;
  /** Names as they were sent, and their values, in turn. */
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

export interface EchoServer {
  readonly port: number;
  stop(): Promise<void>;
}

export async function startEchoServer(): Promise<EchoServer> {
  const server = createServer((req, res) => {
    let body = '';
    req.setEncoding('utf8');
    req.on('data', (chunk: string) => (body += chunk));
    req.on('end', () => {
      const { method = '', url = '', rawHeaders } = req;
      // As careless as such a server may be: open to every page and every cache.
      res.setHeader('Access-Control-Allow-Origin', '*');
      res.setHeader('Cache-Control', 'public, max-age=600');
      res.setHeader('Content-Type', 'application/json');
      res.setHeader('X-Reached', 'yes');
      res.end(JSON.stringify({ method, url, rawHeaders, body } satisfies Echo));
    });
  });
  server.on('upgrade', (_, socket) => {
    socket.end(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Reached: yes\r\n\r\n`,
    );
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    stop: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
