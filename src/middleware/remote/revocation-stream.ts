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
  /** Seconds after which the state is too old to decide by. */
  readonly maxStaleness: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Milliseconds of a clock that no one sets. */
  readonly monotonic: () => number;
  /** Told each time the state is known to be whole. */
  readonly onFresh: () => void;
  /** Told of each connection that was lost, or was not to be had. */
  readonly onFailure: (error: unknown) => void;
}

/** Milliseconds in which something has to be heard: a heartbeat comes each second, but a first snapshot may have to be made. */
const longestSilence = 3000;
const longestFirstSilence = 10_000;
/** Milliseconds from one connection to the next. */
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
  { service, onFailure }: RevocationStreamOptions,
  stop: AbortSignal,
): Promise<number> {
  const silence = createSilenceAlarm(stop);
  try {
    const last = reader.begin();
    const headers = { accept: 'text/event-stream', ...(last !== '' && { 'last-event-id': last }) };
    const pieces = (await service.open('/oauth/revocations', headers, silence.signal)).getReader();
    const parse = createEventParser(longestEvent);
    let patience = longestFirstSilence;
    while (!reader.isBehind()) {
      silence.reset(patience);
      const { done, value } = await pieces.read();
      // An instance that stops says no more than that; one that never said anything is of no use.
      if (done && patience === longestSilence) return 0;
      if (done) throw new IssuerUnreachable('/oauth/revocations ended at once');
      const events = parse(value);
      for (const event of events) reader.read(event);
      if (events.length > 0) patience = longestSilence;
    }
    return 0;
  } catch (error) {
    if (!stop.aborted) onFailure(error);
    return error instanceof IssuerUnreachable ? error.retryAfter * 1000 : 0;
  } finally {
    silence.end();
  }
}

/** Characters: a snapshot of more than a million revocations. */
const longestEvent = 67_108_864;

interface NewsReader {
  /** Called before each connection is asked for. @returns the id of the last event that was heard, or nothing */
  begin(): string;
  /** @throws where it is no news: then what it would have said is unknown, and is asked for again */
  read(event: ServerSentEvent): void;
  /**
   * Whether so much can have been held up on this connection that another one is to be had, while what is known is still
   * good enough.
   */
  isBehind(): boolean;
  heartbeats(): number;
}

/**
 * How old a heartbeat is cannot be told by when it is read: it may have waited, on the way or here, while this process
 * stood still. But the service sends one a second at most. So the tenth was sent nine seconds at least after the connection
 * was asked for, and that is what it proves, whenever it is read.
 */
function createNewsReader(options: RevocationStreamOptions): NewsReader {
  const { revocations, now, monotonic, onFresh } = options;
  let lastId = '';
  let heartbeats = 0;
  let sweptAt = monotonic();
  /** When, at the earliest, the next heartbeat is sent. */
  let nextSent = 0;
  let lag = 0;

  const beat = () => {
    heartbeats += 1;
    lag = monotonic() - nextSent;
    revocations.markFresh(nextSent);
    nextSent += heartbeatPeriod;
    onFresh();
    if (monotonic() - sweptAt < sweepPeriod) return;
    sweptAt = monotonic();
    revocations.sweep(now() / 1000 - clockSkewSeconds - clockSlack);
  };
  return {
    begin() {
      nextSent = monotonic();
      lag = 0;
      return lastId;
    },
    read({ event, data, id }) {
      const until = Math.ceil(now() / 1000) + longestTokenLife + clockSlack;
      if (event === 'snapshot')
        for (const each of readSnapshot(JSON.parse(data), until)) revocations.apply(each);
      else if (event === 'revocation') revocations.apply(readRevocation(JSON.parse(data), until));
      // Before there was a snapshot, once, there is nothing that could be whole.
      else if (event === 'heartbeat' && lastId !== '') beat();
      else return;
      lastId = readId(id);
    },
    isBehind: () => lag > (options.maxStaleness * 1000) / 2,
    heartbeats: () => heartbeats,
  };
}

/** Milliseconds. */
const heartbeatPeriod = 1000;
const sweepPeriod = 60_000;

/** Seconds: as the service keeps its own, for clocks that differ. */
const clockSlack = 3600;

/** It is sent back in a header field, and so is to be what it was said to be. */
function readId(id: string): string {
  if (/^\d{1,16}$/.test(id)) return id;
  throw new TypeError('an event has no id');
}

/** @throws {TypeError} where it is no revocation */
function readRevocation(news: unknown, until: number): Revocation {
  const { client_id, min_key_version, jti, exp, kid } = membersOf(news);
  if (typeof client_id === 'string') return { client_id, min_key_version: count(min_key_version), until };
  if (typeof jti === 'string') return { jti, exp: count(exp) };
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

function count(value: unknown): number {
  if (Number.isSafeInteger(value) && Number(value) > 0) return Number(value);
  throw new TypeError('not a positive integer');
}

function membersOf(value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new TypeError('not an object');
}

/** Aborts where nothing is heard: a connection may be dead without anybody saying so. */
function createSilenceAlarm(stop: AbortSignal) {
  const controller = new AbortController();
  const abort = () => controller.abort();
  let timer: ReturnType<typeof setTimeout> | undefined;
  stop.addEventListener('abort', abort, { once: true });
  return {
    signal: controller.signal,
    /** @param patience milliseconds from now on */
    reset(patience: number): void {
      clearTimeout(timer);
      const late = () => controller.abort(new IssuerUnreachable('nothing was heard for too long'));
      timer = setTimeout(late, patience);
    },
    end(): void {
      clearTimeout(timer);
      stop.removeEventListener('abort', abort);
      abort();
    },
  };
}
