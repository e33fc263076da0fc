/**
 * A client of the scripted token endpoint, in simulated time: the requests are real, over a real port, and what lies
 * between them takes no time.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createTokenClient, type TokenClient, type TokenClientOptions } from '../../src/client/index.ts';
import { SimulatedTime } from './simulated-time.ts';

/** One answer of the endpoint. */
type Reply = (res: ServerResponse, count: number, req: IncomingMessage) => void;

export interface TokenCall {
  /** Simulated seconds since the beginning. */
  readonly at: number;
  readonly form: Readonly<Record<string, string>>;
}

export interface Stage {
  readonly issuer: string;
  readonly time: SimulatedTime;
  /** Every token request so far. */
  readonly calls: readonly TokenCall[];
  /** What the endpoint answers from now on. */
  answer: (call: TokenCall) => Reply;
  client(options?: Partial<TokenClientOptions>): TokenClient;
  /** @param seconds */
  advance(seconds: number): Promise<void>;
  /** Resolves when nothing moves any more but by time. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

export const apiKey = `kt_${'a'.repeat(32)}_${'B'.repeat(38)}`;
export const otherKey = `kt_${'a'.repeat(32)}_${'C'.repeat(38)}`;

export async function openStage(): Promise<Stage> {
  const time = new SimulatedTime();
  const calls: TokenCall[] = [];
  /** Requests under way, and those of them that will not be answered. */
  const open = { sent: 0, hanging: 0 };
  const server = createServer((req, res) => {
    void reply(req, res);
  });
  const reply = async (req: IncomingMessage, res: ServerResponse) => {
    const form = Object.fromEntries(new URLSearchParams(await text(req)));
    const call = { at: time.monotonic() / 1000, form };
    calls.push(call);
    const answer = stage.answer(call);
    if (answer === hang) {
      open.hanging += 1;
      res.once('close', () => (open.hanging -= 1));
    }
    answer(res, calls.length, req);
  };
  /** Answers come whole, so that a client's reading of them takes no turn of the event loop that nobody counts. */
  const countedFetch: typeof fetch = async (input, init) => {
    open.sent += 1;
    try {
      const response = await fetch(input, init);
      return new Response(await response.text(), { status: response.status, headers: response.headers });
    } finally {
      open.sent -= 1;
    }
  };
  const settle = async () => {
    for (let quiet = 0; quiet < 4; quiet += 1) {
      await nextTurn();
      if (open.sent !== open.hanging) quiet = -1;
    }
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stage: Stage = {
    issuer: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    time,
    calls,
    answer: () => token(60),
    client: options =>
      createTokenClient({
        issuer: stage.issuer,
        apiKey,
        fetch: countedFetch,
        now: time.now,
        monotonic: time.monotonic,
        setTimer: time.setTimer,
        random: () => 0.5,
        ...options,
      }),
    advance: seconds => time.advance(seconds, settle),
    settle,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return stage;
}

/** `token-<number of the request>`. @param expiresIn seconds, or what else the answer is to say */
export function token(expiresIn: unknown, more: object = {}): Reply {
  return (res, count) =>
    sendJson(res, { access_token: `token-${count}`, token_type: 'Bearer', expires_in: expiresIn, ...more });
}

export function refusal(status: number, error: string, error_description?: string): Reply {
  return json(status, { error, error_description });
}

export function json(status: number, body: object, headers: Record<string, string> = {}): Reply {
  return plain(status, JSON.stringify(body), { 'content-type': 'application/json', ...headers });
}

function sendJson(res: ServerResponse, body: object): void {
  res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

export function plain(status: number, body: string, headers: Record<string, string> = {}): Reply {
  return res => void res.writeHead(status, headers).end(body);
}

export const hang: Reply = () => undefined;

export const reset: Reply = (_res, _count, req) => void req.socket.resetAndDestroy();

/** Less than its head has promised. */
export const cutShort: Reply = res => {
  res.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
  res.write('{"access_token":"tok', () => res.destroy());
};

/** Cut where nothing says how long it was to be. */
export const cutOpenEnd: Reply = res => {
  res.useChunkedEncodingByDefault = false;
  res.writeHead(200, { 'content-type': 'application/json', connection: 'close' });
  res.end('{"access_token":"tok');
};
