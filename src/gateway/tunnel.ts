/** WebSockets: the upstream is asked to switch protocols, and once it has, bytes pass both ways unread (RFC 6455). */
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Problem } from '../protocol/errors.ts';
import { forwardedAnswer } from './answer-fields.ts';
import type { UpstreamAnswer, UpstreamCall } from './upstream-call.ts';
import type { RequestHead, UpstreamTarget } from './upstream-target.ts';
import { bytesThrough, watchProgress } from './watch-progress.ts';

export interface Tunnels {
  /** As `upgrade` of the reverse proxy. */
  open(target: UpstreamTarget, head: RequestHead, caller: Caller): Promise<UpstreamAnswer | undefined>;
  /** Cuts them all. */
  close(): void;
}

interface Caller {
  readonly socket: Duplex;
  /** What came behind the request. */
  readonly head: Buffer;
  readonly call: Pick<UpstreamCall, 'timeout' | 'mayContinue'>;
}

/** At once, for each takes two sockets. */
const mostTunnels = 2000;

/** @param patience milliseconds for which nothing need move in one */
export function createTunnels(patience: number): Tunnels {
  const open = new Set<Duplex>();
  return {
    async open(target, head, caller) {
      if (open.size >= mostTunnels)
        throw new Problem('upstream_unreachable', 'Too many WebSockets are open.');
      const startedAt = performance.now();
      const answer = await ask(target, head, caller);
      if (!('switched' in answer)) {
        return forwardedAnswer(answer.response, head.method, performance.now() - startedAt);
      }
      const { socket } = caller;
      open.add(socket);
      socket.once('close', () => open.delete(socket));
      join(caller, answer.switched, patience);
      return undefined;
    },
    close() {
      for (const socket of open) socket.destroy();
    },
  };
}

interface Switched {
  readonly response: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

type Answer = { readonly response: IncomingMessage } | { readonly switched: Switched };

function ask(target: UpstreamTarget, head: RequestHead, { socket, call }: Caller): Promise<Answer> {
  const fields = [...head.fields, 'Connection', 'Upgrade', 'Upgrade', 'websocket'];
  const outgoing = target.request({ ...head, fields }, 'alone');
  const abort = () => outgoing.destroy();
  const timer = setTimeout(() => outgoing.destroy(new Problem('upstream_timeout')), call.timeout * 1000);
  return new Promise<Answer>((resolve, reject) => {
    const fail = (cause: unknown) =>
      reject(cause instanceof Problem ? cause : new Problem('upstream_unreachable', undefined, { cause }));
    outgoing.once('upgrade', (response, socket, head) => {
      if (response.headers.upgrade?.toLowerCase() === 'websocket')
        return resolve({ switched: { response, socket, head } });
      socket.destroy();
      fail(new Error('the upstream switched to another protocol'));
    });
    outgoing.once('response', response => {
      response.setTimeout(call.timeout * 1000, () => response.destroy());
      resolve({ response: response.on('error', ignore) });
    });
    outgoing.on('error', fail).once('close', () => fail(new Error('the upstream closed the connection')));
    socket.once('close', abort);
    outgoing.end();
  }).finally(() => {
    clearTimeout(timer);
    socket.off('close', abort);
  });
}

function join({ socket: caller, head, call }: Caller, upstream: Switched, patience: number): void {
  const called = upstream.socket;
  const stopWatch = watchProgress(
    {
      awaits: () => 'upstream',
      moved: () => bytesThrough(caller) + bytesThrough(called),
      patience: () => patience,
      mayContinue: call.mayContinue,
    },
    () => void caller.destroy(),
  );
  for (const [one, other] of [
    [caller, called],
    [called, caller],
  ] as const) {
    if (one instanceof Socket) one.setNoDelay(true).setKeepAlive(true, 60_000).setTimeout(0);
    one.on('error', ignore);
    one.once('close', () => endSoon(other));
  }
  caller.once('close', stopWatch);
  caller.write(switchingText(upstream.response));
  caller.write(upstream.head);
  called.write(head);
  caller.pipe(called);
  called.pipe(caller);
}

/** What has been said by then still arrives. */
function endSoon(socket: Duplex): void {
  if (socket instanceof Socket) socket.destroySoon();
  else socket.destroy();
}

function switchingText(response: IncomingMessage): string {
  const { fields } = forwardedAnswer(response, 'HEAD', 0);
  const lines = fields.flatMap(({ name, values }) => values.map(value => `${name}: ${value}`));
  return [
    `HTTP/1.1 101 ${STATUS_CODES[101]}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    ...lines.filter(line => !/^(?:content-length|cache-control):/i.test(line)),
    '\r\n',
  ].join('\r\n');
}

function ignore(): void {}
