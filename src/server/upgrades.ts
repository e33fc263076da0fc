/**
 * WebSocket handshakes go through the same onion as every request: the front door, the guard, the log. Whatever does
 * not take the socket answers on it as to any other request, and the connection ends.
 */
import { IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { hasBody } from '../protocol/http-request.ts';

/** What a handler may take instead of answering. */
export interface Upgrade {
  readonly socket: Socket;
  /** Bytes that came behind the request. */
  readonly head: Buffer;
  /** The socket is the handler's from here on: nothing is answered on it. */
  take(): void;
}

/** The upgrade that the request asks for; undefined where it asks for none. */
export function upgradeOf(req: IncomingMessage): Upgrade | undefined {
  return upgrades.get(req);
}

/**
 * Hands in handshakes as requests.
 *
 * @returns cuts every socket that was upgraded, or is about to be: Node counts them, and knows them no more
 */
export function answerUpgrades(
  server: Server<typeof HandshakeMessage>,
  answer: (req: IncomingMessage, res: ServerResponse) => void,
): () => void {
  const sockets = new Set<Socket>();
  server.on('upgrade', (req, socket: Socket, head) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy()).once('close', () => sockets.delete(socket));
    const res = new ServerResponse(req);
    res.shouldKeepAlive = false;
    res.assignSocket(socket);
    res.once('finish', () => socket.destroySoon());
    upgrades.set(req, { socket, head, take: () => res.detachSocket(socket) });
    answer(req, res);
  });
  return () => {
    for (const socket of sockets) socket.destroy();
  };
}

/**
 * A request that is an upgrade to Node only where it is a WebSocket's handshake without a body (RFC 6455 section 4.1). Any
 * other wish to upgrade, as Java's for HTTP/2 on its first request, is ignored, and the request answered.
 */
export class HandshakeMessage extends IncomingMessage {
  #asked: boolean | null = null;

  get upgrade(): boolean | null {
    if (!(#asked in this)) return null;
    return this.#asked === true && (this.method === 'CONNECT' || isHandshake(this));
  }

  /** Node sets it, in the constructor above too. */
  set upgrade(asked: boolean | null) {
    if (#asked in this) this.#asked = asked;
  }
}

function isHandshake({ method, headers }: IncomingMessage): boolean {
  return (
    method === 'GET' &&
    headers.upgrade?.trim().toLowerCase() === 'websocket' &&
    headers['sec-websocket-key'] !== undefined &&
    !hasBody(headers)
  );
}

const upgrades = new WeakMap<IncomingMessage, Upgrade>();
