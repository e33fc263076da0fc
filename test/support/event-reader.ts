/** A reader of server-sent events that keeps what it hears, and can stop taking it. */
import { type IncomingHttpHeaders, request } from 'node:http';

export interface ServerEvent {
  /** The `id:` field. */
  readonly id: string;
  readonly event: string;
  readonly data: Record<string, unknown> & { readonly id: string };
}

export interface EventReader {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Everything that was heard, heartbeats too. */
  readonly events: readonly ServerEvent[];
  /** All that came, as text. */
  text(): string;
  /** The next event that was not handed out yet and is of this kind; those before it are passed over. */
  next(event: string): Promise<ServerEvent>;
  /** Resolves when the server has ended the stream, or the connection is gone. */
  readonly ended: Promise<void>;
  pause(): void;
  resume(): void;
  close(): void;
}

/** Milliseconds. */
const patience = 15_000;

export function openEvents(url: string, headers: Record<string, string> = {}): Promise<EventReader> {
  return new Promise((resolve, reject) => {
    const call = request(url, { agent: false, headers }, response => {
      const events: ServerEvent[] = [];
      const listeners = new Set<() => void>();
      const wake = () => listeners.forEach(listener => listener());
      let text = '';
      let parsed = 0;
      let isOver = false;
      let handedOut = 0;
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        for (let end = text.indexOf('\n\n', parsed); end !== -1; end = text.indexOf('\n\n', parsed)) {
          const event = parseEvent(text.slice(parsed, end));
          if (event !== undefined) events.push(event);
          parsed = end + 2;
        }
        wake();
      });
      const ended = new Promise<void>(resolve => {
        response
          .once('error', () => undefined)
          .once('close', () => {
            isOver = true;
            wake();
            resolve();
          });
      });
      const next = (kind: string) =>
        new Promise<ServerEvent>((resolve, reject) => {
          const settle = (outcome: () => void) => {
            listeners.delete(look);
            clearTimeout(late);
            outcome();
          };
          const look = () => {
            while (handedOut < events.length) {
              const event = events[handedOut++]!;
              if (event.event === kind) return settle(() => resolve(event));
            }
            if (isOver) settle(() => reject(new Error(`the stream ended without a ${kind}`)));
          };
          const late = setTimeout(
            () => settle(() => reject(new Error(`no ${kind} in ${patience} ms`))),
            patience,
          );
          listeners.add(look);
          look();
        });
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        events,
        text: () => text,
        next,
        ended,
        pause: () => void response.pause(),
        resume: () => void response.resume(),
        close: () => call.destroy(),
      });
    });
    call.once('error', reject).end();
  });
}

function parseEvent(block: string): ServerEvent | undefined {
  const fields = new Map(
    block.split('\n').map(line => {
      const colon = line.indexOf(': ');
      return [line.slice(0, colon), line.slice(colon + 2)];
    }),
  );
  const [id, event, data] = [fields.get('id'), fields.get('event'), fields.get('data')];
  if (id === undefined || event === undefined || data === undefined) return undefined;
  return { id, event, data: JSON.parse(data) as ServerEvent['data'] };
}
