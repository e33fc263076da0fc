/** One exchange with an upstream: the request out, the head of the answer back, and whoever goes silent is left. */
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import { Problem } from '../protocol/errors.ts';
import { hasBody } from '../protocol/http-request.ts';
import { bytesThrough, type End, watchProgress } from './watch-progress.ts';

/** The connection failed, or what came was no HTTP. */
export class UpstreamFailure extends Error {
  override readonly name = 'UpstreamFailure';
  /** Not one byte of an answer has come. */
  readonly isUnanswered: boolean;
  readonly problem: Problem;

  constructor(cause: unknown, isUnanswered: boolean) {
    super('the connection to the upstream failed', { cause });
    this.isUnanswered = isUnanswered;
    this.problem = new Problem('upstream_unreachable', undefined, { cause });
  }
}

export interface Sending {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** Milliseconds. */
  readonly patience: { readonly caller: number; readonly upstream: number; readonly stream: number };
  readonly mayContinue: (() => boolean) | undefined;
  readonly ending: AbortSignal | undefined;
}

/**
 * Resolves with the answer, of which the head alone has come.
 *
 * @throws {UpstreamFailure}
 * @throws {Problem} `upstream_timeout`, `request_timeout`, `malformed_request` where the caller is gone
 */
export function sendRequest(outgoing: ClientRequest, sending: Sending): Promise<IncomingMessage> {
  const { req, res } = sending;
  return new Promise((resolve, reject) => {
    const isUnanswered = countAnswered(outgoing);
    const fail = (cause: unknown) => {
      stopWatch();
      res.off('close', onClose);
      reject(cause instanceof Problem ? cause : new UpstreamFailure(cause, isUnanswered()));
      outgoing.destroy();
      req.unpipe(outgoing);
    };
    const stopWatch = watch(outgoing, sending, fail);
    const onClose = () => {
      stopWatch();
      if (res.writableFinished) return cutLateUpload(req, sending.patience.caller);
      fail(new Problem('malformed_request', 'The caller has hung up.'));
    };
    res.once('close', onClose);
    listen(outgoing, resolve, fail);
    if (res.closed) onClose();
    else send(req, outgoing);
  });
}

/** Once the answer has begun, what happens shows in the answer itself: settled is settled. */
function listen(
  outgoing: ClientRequest,
  resolve: (response: IncomingMessage) => void,
  reject: (cause: unknown) => void,
): void {
  let fail = reject;
  outgoing.once('response', response => {
    fail = ignore;
    response.on('error', ignore);
    resolve(response);
  });
  outgoing.on('error', cause => fail(cause));
  outgoing.once('close', () => fail(new Error('the upstream closed the connection')));
  outgoing.once('upgrade', (_response, socket) => {
    socket.destroy();
    fail(new Error('the upstream switched protocols unasked'));
  });
}

/** A kept connection has brought earlier answers. */
function countAnswered(outgoing: ClientRequest): () => boolean {
  let bytesBefore = 0;
  outgoing.once('socket', socket => {
    bytesBefore = socket.bytesRead;
  });
  return () => (outgoing.socket?.bytesRead ?? 0) === bytesBefore;
}

function send(req: IncomingMessage, outgoing: ClientRequest): void {
  if (!hasBody(req.headers)) return void outgoing.end();
  req.pipe(outgoing);
  req.once('error', error => outgoing.destroy(error));
  // An upstream that has answered and gone wants no more of it; what is left is read all the same, and dropped.
  outgoing.once('close', () => req.resume());
}

function watch(
  outgoing: ClientRequest,
  { req, res, patience, mayContinue, ending }: Sending,
  fail: (problem: Problem) => void,
): () => void {
  let isStream = false;
  let answer: IncomingMessage | undefined;
  outgoing.once('response', response => {
    answer = response;
    isStream = /^text\/event-stream\b/i.test(response.headers['content-type'] ?? '');
  });
  const awaits = (): End => {
    if (answer !== undefined) return res.writableNeedDrain || answer.readableEnded ? 'caller' : 'upstream';
    return req.complete || outgoing.writableNeedDrain ? 'upstream' : 'caller';
  };
  const moved = (end: End) => bytesThrough(end === 'caller' ? req.socket : outgoing.socket);
  return watchProgress(
    {
      awaits,
      moved,
      patience: end => (isStream ? patience.stream : patience[end]),
      mayContinue: () => !(isStream && ending?.aborted === true) && (mayContinue?.() ?? true),
    },
    reason => {
      if (answer === undefined) return fail(new Problem(...problemOf[reason]));
      // Whoever reads the answer learns of it by the answer breaking off.
      outgoing.destroy();
      res.destroy();
    },
  );
}

/** The rest of a body that comes too slowly is not waited for. */
const problemOf: Record<End | 'forbidden', ConstructorParameters<typeof Problem>> = {
  caller: ['request_timeout', undefined, { headers: { Connection: 'close' } }],
  upstream: ['upstream_timeout'],
  forbidden: ['token_revoked', 'The credential was revoked or changed while the call was under way.'],
};

/** An answer that came early is out; whoever still sends its request has to come to an end. */
function cutLateUpload(req: IncomingMessage, patience: number): void {
  if (req.complete || req.destroyed) return;
  const timer = setTimeout(() => req.destroy(), patience);
  req.once('close', () => clearTimeout(timer));
}

function ignore(): void {}
