/** The listening socket: its time limits, and an end that lets what is in flight finish. */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HttpServer {
  readonly port: number;
  /** Stops accepting, waits for what is in flight (at most `grace` milliseconds), then cuts the rest. */
  close(grace: number): Promise<void>;
}

/**
 * Listens, then asks for the listener: it may need the port.
 *
 * @throws the error of `listen`, as `EADDRINUSE`
 */
export async function listen(
  { host, port }: { host: string; port: number },
  createListener: (port: number) => Promise<RequestListener>,
): Promise<HttpServer> {
  const server = createServer(limits);
  // No field may be dropped unseen: the front door counts them, and refuses.
  server.maxHeadersCount = 0;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const actualPort = (server.address() as AddressInfo).port;
  server.on('request', await createListener(actualPort));
  return { port: actualPort, close: grace => close(server, grace) };
}

/** Milliseconds and bytes. A slow sender is cut off soon: Node's own limits are minutes. */
const limits = {
  headersTimeout: 10_000,
  requestTimeout: 15_000,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 1000,
  maxHeaderSize: 16_384,
  noDelay: true,
};

function close(server: Server, grace: number): Promise<void> {
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
