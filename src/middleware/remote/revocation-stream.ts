/**
 * What is revoked, as the service tells it: one long answer of server-sent events, begun again wherever it breaks off, from
 * the last event that was heard.
 */
import type { Revocation, Revocations } from '../../access/revocations.ts';
import { clockSkewSeconds } from '../../access/verify-token.ts';
import { longestTokenLife } from '../../protocol/claims.ts';
import { createEventParser, type ServerSentEvent } from './event-parser.ts';
import { pause } from './pause.ts';
import { IssuerUnreachable, type ServiceCalls } from './service-calls.ts';

export interface RevocationStreamOptions {
  readonly service: Pick<ServiceCalls, 'open'>;
  /** Where the news goes. */
  readonly revocations: Revocations;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Milliseconds of a clock that no one sets. */
  readonly monotonic: () => number;
  /** Told each time the state is known to be whole. */
  readonly onFresh: () => void;
  /** Told of each connection that was lost, or was not to be had. */
  readonly onFailure: (error: unknown) => void;
}

/** Milliseconds. A heartbeat comes each second while the instance that is listened to is itself fresh. */
const longestSilence = 3000;
const firstDelay = 100;
const longestDelay = 5000;

/** Listens until it is told to stop. */
export async function followRevocations(options: RevocationStreamOptions, stop: AbortSignal): Promise<void> {
  const reader = createNewsReader(options);
  let delay = firstDelay;
  while (!stop.aborted) {
    const heard = reader.heartbeats();
    const wish = await listen(reader, options, stop);
    delay = reader.heartbeats() > heard ? firstDelay : Math.min(delay * 2, longestDelay);
    await pause(Math.max(wish, delay * Math.random()), stop);
  }
}

/** One connection, until it ends. @returns milliseconds that the service wants to be left alone for */
async function listen(
  reader: NewsReader,
  { service, monotonic, onFailure }: RevocationStreamOptions,
  stop: AbortSignal,
): Promise<number> {
  const silence = createSilenceAlarm();
  try {
    const last = reader.lastId();
    const headers = { accept: 'text/event-stream', ...(last !== '' && { 'last-event-id': last }) };
    const signal = AbortSignal.any([stop, silence.signal]);
    const pieces = (await service.open('/oauth/revocations', headers, signal)).getReader();
    const parse = createEventParser();
    for (;;) {
      // Everything before is read: what comes next has been sent since, or is on its way.
      const waitedFrom = monotonic();
      silence.reset();
      const { done, value } = await pieces.read();
      if (done) return 0;
      // This process itself may have stood still, and what it reads now be only the first of much that has waited.
      if (monotonic() - waitedFrom > longestSilence) throw new Error('nothing was heard for too long');
      for (const event of parse(value)) reader.read(event, waitedFrom);
    }
  } catch (error) {
    if (!stop.aborted) onFailure(error);
    return error instanceof IssuerUnreachable ? error.retryAfter * 1000 : 0;
  } finally {
    silence.end();
  }
}

interface NewsReader {
  /** @param since when, at the earliest, the event was sent (monotonic milliseconds) */
  read(event: ServerSentEvent, since: number): void;
  lastId(): string;
  heartbeats(): number;
}

function createNewsReader({ revocations, now, onFresh }: RevocationStreamOptions): NewsReader {
  let lastId = '';
  let heartbeats = 0;
  return {
    read({ event, data, id }, since) {
      const news: unknown = JSON.parse(data);
      const until = Math.ceil(now() / 1000) + longestTokenLife + clockSlack;
      if (event === 'snapshot') for (const each of readSnapshot(news, until)) revocations.apply(each);
      else if (event === 'revocation') revocations.apply(readRevocation(news, until));
      else if (event === 'heartbeat') {
        revocations.sweep(now() / 1000 - clockSkewSeconds - clockSlack);
        revocations.markFresh(since);
        heartbeats += 1;
        onFresh();
      } else return;
      lastId = id;
    },
    lastId: () => lastId,
    heartbeats: () => heartbeats,
  };
}

/** Seconds: as the service keeps its own, for clocks that differ. */
const clockSlack = 3600;

/** @throws {TypeError} where it is no news: then what it would have said is unknown, and is asked for again */
function readRevocation(news: unknown, until: number): Revocation {
  const { client_id, min_key_version, jti, exp, kid } = membersOf(news);
  if (typeof client_id === 'string' && typeof min_key_version === 'number')
    return { client_id, min_key_version, until };
  if (typeof jti === 'string' && typeof exp === 'number') return { jti, exp };
  if (typeof kid === 'string') return { kid, until };
  throw new TypeError('not a revocation');
}

function* readSnapshot(news: unknown, until: number): Generator<Revocation> {
  const { keys, tokens, signing_keys } = membersOf(news);
  for (const [client_id, min_key_version] of Object.entries(membersOf(keys)))
    yield readRevocation({ client_id, min_key_version }, until);
  for (const [jti, exp] of Object.entries(membersOf(tokens))) yield readRevocation({ jti, exp }, until);
  if (!Array.isArray(signing_keys)) throw new TypeError('not a snapshot');
  for (const kid of signing_keys) yield readRevocation({ kid }, until);
}

function membersOf(value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  throw new TypeError('not an object');
}

/** Aborts where nothing is heard: a connection may be dead without anybody saying so. */
function createSilenceAlarm(): { signal: AbortSignal; reset(): void; end(): void } {
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  return {
    signal: controller.signal,
    reset() {
      clearTimeout(timer);
      timer = setTimeout(() => controller.abort(new Error('nothing was heard for too long')), longestSilence);
    },
    end() {
      clearTimeout(timer);
      controller.abort();
    },
  };
}
