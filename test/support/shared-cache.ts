/**
 * A shared caching proxy (RFC 9111) that keeps all it may keep, as long as it may, and even answers to `OPTIONS`, as some are
 * configured to: what one caller can be served of another's answers, it serves.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SharedCache {
  readonly url: string;
  /** Method and path of every answer that was kept. */
  readonly kept: string[];
  /** Forgets all answers. */
  purge(): void;
  stop(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

interface Stored extends Answer {
  /** The header fields that `Vary` names, as the request had them. */
  readonly varying: ReadonlyMap<string, string | null>;
  /** Milliseconds. */
  readonly freshUntil: number;
}

/** @param upstream base URL */
export async function startSharedCache(upstream: string): Promise<SharedCache> {
  const stored = new Map<string, Stored[]>();
  const kept: string[] = [];
  const server = createServer((req, res) => {
    answer(req, upstream, stored, kept).then(
      given => give(res, given, req.method),
      error => res.writeHead(502).end(String(error)),
    );
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    kept,
    purge: () => stored.clear(),
    stop: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  req: IncomingMessage,
  upstream: string,
  stored: Map<string, Stored[]>,
  kept: string[],
): Promise<Answer> {
  const { method = '', url = '' } = req;
  const asked = headersOf(req);
  // Section 2: a stored answer to GET answers HEAD too.
  const place = `${method === 'HEAD' ? 'GET' : method} ${url}`;
  const found = stored.get(place)?.find(one => isSelected(one, asked));
  if (found !== undefined && found.freshUntil > Date.now()) return mark(found, 'hit');

  const etag = found?.headers.get('etag') ?? undefined;
  const conditional = etag !== undefined && !asked.has('if-none-match');
  if (conditional) asked.set('if-none-match', etag);
  const fresh = await ask(req, upstream + url, asked);
  if (conditional && fresh.status === 304)
    return mark({ ...found!, headers: updated(found!, fresh) }, 'revalidated');
  if (method !== 'HEAD' && mayStore(method, asked, fresh)) {
    kept.push(`${fresh.status} ${place}`);
    const others = stored.get(place)?.filter(one => !isSelected(one, asked)) ?? [];
    stored.set(place, [
      ...others,
      { ...fresh, varying: varyingOf(fresh, asked), freshUntil: lifetimeEnd(fresh) },
    ]);
  }
  return mark(fresh, 'miss');
}

/** Section 4.1: the fields that it varied by are the same. */
function isSelected({ varying }: Stored, asked: Headers): boolean {
  return [...varying].every(([name, value]) => asked.get(name) === value);
}

function varyingOf({ headers }: Answer, asked: Headers): Map<string, string | null> {
  return new Map(listOf(headers.get('vary')).map(name => [name, asked.get(name)]));
}

/** Section 3, for a shared cache. */
function mayStore(method: string, asked: Headers, { status, headers }: Answer): boolean {
  const control = directivesOf(headers);
  if (!['GET', 'OPTIONS'].includes(method) || status === 206 || status === 304) return false;
  if (control.has('no-store') || control.has('private') || listOf(headers.get('vary')).includes('*'))
    return false;
  const isMeantForAll = ['public', 's-maxage', 'must-revalidate'].some(name => control.has(name));
  if (asked.has('authorization') && !isMeantForAll) return false;
  const hasLifetime = isMeantForAll || control.has('max-age') || headers.has('expires');
  return hasLifetime || heuristic.has(status);
}

/** Statuses that may be kept for as long as a cache likes, where nothing is said of it (RFC 9110 section 15.1). */
const heuristic: ReadonlySet<number> = new Set([200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]);

function lifetimeEnd({ headers }: Answer): number {
  const control = directivesOf(headers);
  if (control.has('no-cache')) return 0;
  const seconds = control.get('s-maxage') ?? control.get('max-age');
  if (seconds !== undefined) return Date.now() + Number(seconds) * 1000;
  const expires = headers.get('expires');
  return expires === null ? Date.now() + 60_000 : Date.parse(expires);
}

/** Section 3.2. */
function updated(found: Stored, fresh: Answer): Headers {
  const headers = new Headers(found.headers);
  for (const [name, value] of fresh.headers) headers.set(name, value);
  return headers;
}

async function ask(req: IncomingMessage, url: string, headers: Headers): Promise<Answer> {
  const body = await readBody(req);
  const response = await fetch(url, {
    method: req.method ?? 'GET',
    headers,
    redirect: 'manual',
    ...(body.length > 0 && { body }),
  });
  return {
    status: response.status,
    headers: response.headers,
    body: Buffer.from(await response.arrayBuffer()),
  };
}

async function readBody(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function give(res: ServerResponse, { status, headers, body }: Answer, method = ''): void {
  res.statusCode = status;
  for (const [name, value] of headers) if (!ofTheHop.has(name)) res.setHeader(name, value);
  res.end(method === 'HEAD' ? undefined : body);
}

function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers();
  for (let place = 0; place < rawHeaders.length; place += 2) {
    const name = rawHeaders[place]!.toLowerCase();
    if (!ofTheHop.has(name)) headers.append(name, rawHeaders[place + 1]!);
  }
  return headers;
}

const ofTheHop: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'host',
  'keep-alive',
  'transfer-encoding',
]);

function mark(given: Answer, state: string): Answer {
  const headers = new Headers(given.headers);
  headers.set('x-cache', state);
  return { ...given, headers };
}

function directivesOf(headers: Headers): Map<string, string | undefined> {
  return new Map(
    listOf(headers.get('cache-control')).map(text => text.split('=', 2) as [string, string | undefined]),
  );
}

function listOf(field: string | null): string[] {
  return field?.toLowerCase().split(/\s*,\s*/) ?? [];
}
