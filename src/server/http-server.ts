/** The listening socket: its time limits, and an end that lets what is in flight finish. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { limitBody } from './body-deadline.ts';
import { answerUpgrades, HandshakeMessage } from './upgrades.ts';

export interface HttpServer {
  readonly port: number;
  /** Stops accepting, waits for what is in flight (at most `grace` milliseconds), then cuts the rest. */
  close(grace: number): Promise<void>;
}

/** Answers one request; a promise takes care of its own errors. */
export type Answer = (req: IncomingMessage, res: ServerResponse) => unknown;

/**
 * Listens, then opens what answers: it may need the port. Requests that come before it is open wait for it.
 *
 * @param open calls `answerWith` once it can answer, and again where another listener takes over
 * @throws the error of `listen`, as `EADDRINUSE`, or of `open`
 */
export async function listen(
  { host, port }: { host: string; port: number },
  open: (port: number, answerWith: (answer: Answer) => void) => Promise<void>,
): Promise<HttpServer> {
  const waiting: Parameters<Answer>[] = [];
  let answer: Answer = (...request) => waiting.push(request);
  const server = createServer({ ...limits, IncomingMessage: HandshakeMessage }, (req, res) => {
    limitBody(req, res, longestBody);
    void answer(req, res);
  });
  const cutUpgraded = answerUpgrades(server, (req, res) => void answer(req, res));
  // No field may be dropped unseen: the front door counts them, and refuses.
  server.maxHeadersCount = 0;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const actualPort = (server.address() as AddressInfo).port;
  try {
    await open(actualPort, opened => {
      answer = opened;
      for (const request of waiting.splice(0)) void answer(...request);
    });
  } catch (error) {
    await close(server, 0);
    throw error;
  }
  return {
    port: actualPort,
    close(grace) {
      // A WebSocket has no end of its own to wait for.
      cutUpgraded();
      return close(server, grace);
    },
  };
}

/** Milliseconds and bytes. A slow sender is cut off soon: Node's own limits are minutes. */
const longestBody = 15_000;
const limits = {
  headersTimeout: 10_000,
  // See body-deadline.ts.
  requestTimeout: 0,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 1000,
  maxHeaderSize: 16_384,
  noDelay: true,
};

function close(
  server: Pick<Server, 'close' | 'closeIdleConnections' | 'closeAllConnections'>,
  grace: number,
): Promise<void> {
  return new Promise(resolve => {
    const sweep = setInterval(() => server.closeIdleConnections(), 50);
    const cut = setTimeout(() => server.closeAllConnections(), grace);
    server.close(() => {
      clearInterval(sweep);
      clearTimeout(cut);
      resolve();
    });
  });
}
