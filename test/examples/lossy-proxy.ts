/** A proxy that loses what a test tells it to lose, on the way there or on the way back. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface Proxy {
  readonly url: string;
  /** Holds one matching call, on its way there or back, until {@link letGo}; resolves when it is held. */
  hold(where: 'request' | 'answer', matches: Matcher): Promise<void>;
  /** Loses the answer of one matching call: the service has done it, the caller's connection breaks. */
  loseAnswer(matches: Matcher): Promise<void>;
  /** Breaks the connections of all that is held. */
  letGo(): void;
  close(): Promise<void>;
}

/** @param call as `POST /oauth/token` */
type Matcher = (call: string) => boolean | Promise<boolean>;

interface Trap {
  readonly where: 'request' | 'answer';
  readonly matches: Matcher;
  readonly isHolding: boolean;
  readonly spring: () => void;
}

/** To a service on this machine. */
export async function startProxy(target: number): Promise<Proxy> {
  const traps: Trap[] = [];
  const held: (() => void)[] = [];
  /** Whether the call ends here. */
  const isCaught = async (where: Trap['where'], call: string) => {
    const [trap] = traps;
    if (trap?.where !== where || !(await trap.matches(call))) return false;
    traps.shift();
    trap.spring();
    if (trap.isHolding) await new Promise<void>(resolve => held.push(resolve));
    return true;
  };
  const set = (where: Trap['where'], matches: Matcher, isHolding: boolean) =>
    new Promise<void>(spring => {
      traps.push({ where, matches, isHolding, spring });
    });
  const forward = async (request: IncomingMessage, response: ServerResponse) => {
    const { method = '', url = '', headers } = request;
    const body = await text(request);
    if (await isCaught('request', `${method} ${url}`)) return response.destroy();
    const { host: _, connection: __, 'content-length': ___, ...rest } = headers;
    const answer = await fetch(`http://127.0.0.1:${target}${url}`, {
      method,
      headers: rest as Record<string, string>,
      ...(method !== 'GET' && { body }),
    });
    const answered = await answer.text();
    if (await isCaught('answer', `${method} ${url}`)) return response.destroy();
    return response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answered);
  };
  const server = createServer((request, response) => {
    // Where the caller has gone, there is nobody to tell.
    forward(request, response).catch(() => response.destroy());
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const letGo = () => {
    for (const resolve of held.splice(0)) resolve();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    hold: (where, matches) => set(where, matches, true),
    loseAnswer: matches => set('answer', matches, false),
    letGo,
    async close() {
      letGo();
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    },
  };
}
