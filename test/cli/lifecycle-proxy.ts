/** A server between the command line and the service that may lose answers, or give others. */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Proxy {
  readonly url: string;
  /** What came, as `POST /admin/keys`, with its `Idempotency-Key`. */
  readonly seen: { readonly call: string; readonly idempotencyKey: string | undefined }[];
  stop(): Promise<void>;
}

/** `pass`: as it is. `lose`: done, and the answer is lost. `[status, body]`: not done, and answered so. */
export type Fate = 'pass' | 'lose' | readonly [status: number, body: object];

/** @param decide what becomes of a call; the number counts calls of the same method and path, from 1 */
export async function startProxy(
  target: string,
  decide: (call: string, number: number) => Fate,
): Promise<Proxy> {
  const seen: Proxy['seen'] = [];
  const server = createServer((request, response) => {
    const answer = async () => {
      const call = `${request.method} ${request.url}`;
      const idempotencyKey = request.headers['idempotency-key'];
      seen.push({ call, idempotencyKey: idempotencyKey as string | undefined });
      const fate = decide(call, seen.filter(other => other.call === call).length);
      if (typeof fate === 'object') {
        response.writeHead(fate[0], { 'content-type': 'application/json' }).end(JSON.stringify(fate[1]));
        return;
      }
      const { status, headers, text } = await forward(target, request);
      if (fate === 'lose') response.destroy();
      else response.writeHead(status, headers).end(text);
    };
    void answer();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    async stop() {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    },
  };
}

async function forward(target: string, request: IncomingMessage) {
  const parts: Uint8Array[] = [];
  for await (const part of request) parts.push(part as Uint8Array);
  const body = Buffer.concat(parts);
  const { authorization, 'content-type': type, 'idempotency-key': key } = request.headers;
  const response = await fetch(target + request.url, {
    method: request.method ?? 'GET',
    headers: {
      ...(authorization !== undefined && { authorization }),
      ...(type !== undefined && { 'content-type': type }),
      ...(typeof key === 'string' && { 'idempotency-key': key }),
    },
    ...(body.length > 0 && { body }),
  });
  const headers = { 'content-type': response.headers.get('content-type') ?? 'application/json' };
  return { status: response.status, headers, text: await response.text() };
}
