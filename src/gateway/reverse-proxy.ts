/**
 * The reverse proxy: sends a guarded call on to its upstream and hands back the answer, streaming both ways. It keeps
 * nothing of a body, follows no redirect, and goes nowhere that the configuration does not name.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Controller } from '../config/catalogue.ts';
import { hasBody } from '../protocol/http-request.ts';
import { createPathCheck, forwardedTarget } from './request-target.ts';
import { forwardedAnswer } from './answer-fields.ts';
import { forwardedFields } from './request-fields.ts';
import { type Sending, sendRequest, UpstreamFailure } from './send-request.ts';
import { createTunnels } from './tunnel.ts';
import type { UpstreamAnswer, UpstreamCall } from './upstream-call.ts';
import { openUpstreamTarget, type RequestHead, type UpstreamTarget } from './upstream-target.ts';

export interface ReverseProxy {
  /**
   * Sends the call on. Resolves once the head of the answer is there; its body is still to be passed on to `res`.
   *
   * @throws {Problem} `upstream_unreachable`, `upstream_timeout`, `malformed_request`, `request_timeout`
   */
  forward(req: IncomingMessage, res: ServerResponse, call: UpstreamCall): Promise<UpstreamAnswer>;
  /**
   * Asks the upstream for a WebSocket, and joins it to the socket.
   *
   * @param head bytes that came behind the request
   * @returns the upstream's answer where it does not switch protocols; undefined where it has: the socket is taken
   * @throws {Problem} as {@link forward}
   */
  upgrade(
    req: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    call: UpstreamCall,
  ): Promise<UpstreamAnswer | undefined>;
  /** Closes every connection to an upstream. */
  close(): void;
}

export interface ReverseProxyOptions {
  /** The routes that the guard decides by: no path is sent on that could be taken for another one's. */
  readonly controllers: Iterable<Controller>;
  /** Milliseconds for which a caller may be silent while the upstream waits for it. */
  readonly callerPatience?: number;
  /** Milliseconds for which nothing need move in an event stream or a WebSocket. */
  readonly streamPatience?: number;
  /** Says that event streams, which have no end of their own, are to end now. */
  readonly ending?: AbortSignal;
}

export function createReverseProxy({
  controllers,
  callerPatience = 15_000,
  streamPatience = 3_600_000,
  ending,
}: ReverseProxyOptions): ReverseProxy {
  const checkPath = createPathCheck(controllers);
  const targets = new Map<string, UpstreamTarget>();
  const tunnels = createTunnels(streamPatience);
  const targetOf = (upstream: string): UpstreamTarget => {
    const target = targets.get(upstream) ?? openUpstreamTarget(upstream);
    targets.set(upstream, target);
    return target;
  };
  const headOf = (req: IncomingMessage, call: UpstreamCall, target: UpstreamTarget): RequestHead => ({
    method: req.method ?? '',
    path: forwardedTarget(req, target.basePath, call, checkPath),
    fields: forwardedFields(req, target.authority, call),
  });
  return {
    async forward(req, res, call) {
      const target = targetOf(call.upstream);
      const head = headOf(req, call, target);
      const startedAt = performance.now();
      const patience = { caller: callerPatience, upstream: call.timeout * 1000, stream: streamPatience };
      const sending = { req, res, patience, ending, mayContinue: call.mayContinue };
      const response = await sendPatiently(target, head, sending);
      return forwardedAnswer(response, head.method, performance.now() - startedAt);
    },
    async upgrade(req, socket, head, call) {
      const target = targetOf(call.upstream);
      return tunnels.open(target, headOf(req, call, target), { socket, head, call });
    },
    close() {
      tunnels.close();
      for (const target of targets.values()) target.close();
      targets.clear();
    },
  };
}

/**
 * Once more, on a connection of its own, where nothing can have happened twice: the method is idempotent (RFC 9110
 * section 9.2.2), there is no body, and the connection failed before it brought a byte of an answer.
 */
async function sendPatiently(
  target: UpstreamTarget,
  head: RequestHead,
  sending: Sending,
): Promise<IncomingMessage> {
  try {
    return await sendRequest(target.request(head, 'kept'), sending);
  } catch (error) {
    if (!(error instanceof UpstreamFailure)) throw error;
    const isRepeatable = error.isUnanswered && head.method !== 'POST' && head.method !== 'PATCH';
    if (!isRepeatable || hasBody(sending.req.headers)) throw error.problem;
  }
  try {
    return await sendRequest(target.request(head, 'alone'), sending);
  } catch (error) {
    throw error instanceof UpstreamFailure ? error.problem : error;
  }
}
