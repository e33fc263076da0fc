/**
 * Decides what an upstream is asked for: the path byte for byte behind the base path, the query without credentials.
 * A path that an upstream might read otherwise than the guard did is refused.
 */
import type { Controller } from '../config/catalogue.ts';
import { Problem } from '../protocol/errors.ts';
import { isWellEncoded } from '../protocol/http-request.ts';
import type { UpstreamCall } from './upstream-call.ts';

export type PathCheck = (method: string, path: string) => void;

/**
 * The target for the request line: base path, path, query.
 *
 * @throws {Problem} `malformed_request`
 */
export function forwardedTarget(
  { method = '', url = '' }: { method?: string | undefined; url?: string | undefined },
  basePath: string,
  call: Pick<UpstreamCall, 'editQuery'>,
  checkPath: PathCheck,
): string {
  const mark = url.indexOf('?');
  const path = mark === -1 ? url : url.slice(0, mark);
  if (!path.startsWith('/') || !isWellEncoded(url)) throw unclear();
  checkPath(method, path);
  const cut = mark === -1 ? '' : cutCredentials(url.slice(mark + 1));
  const query = call.editQuery?.(cut) ?? cut;
  if (!isWellEncoded(query)) throw new Error('the edited query is not percent-encoded');
  return basePath + path + (query === '' ? '' : `?${query}`);
}

/** Parameters that no upstream gets, in whatever case or spelling they stand there. */
const credentials: ReadonlySet<string> = new Set(['sc_apikey', 'access_token']);

/** What stays, stays byte for byte. A `;` divides too, for some servers take it so. */
function cutCredentials(query: string): string {
  const parts = query.split(/([&;])/);
  const kept: string[] = [];
  for (let place = 0; place < parts.length; place += 2) {
    const part = parts[place]!;
    const name = decodeOnce(part.split('=', 1)[0]!.replaceAll('+', ' ')).trim().toLowerCase();
    if (credentials.has(name)) continue;
    kept.push(kept.length === 0 ? part : `${parts[place - 1]}${part}`);
  }
  return kept.join('');
}

/**
 * Refuses dot segments in every spelling, and paths that lead to one route as they stand and to another one as a server
 * reads them that decodes, merges slashes, drops path parameters or ignores case (RFC 3986 section 6.2).
 */
export function createPathCheck(controllers: Iterable<Controller>): PathCheck {
  const routes = [...controllers].flatMap(tableOf);
  return (method, path) => {
    const plain = plainReading(path);
    if (plain === undefined || path.startsWith('//')) throw unclear();
    const route = routes.find(route => matches(route, method, path.split('/'), route.segments));
    if (route === undefined) throw unclear();
    if (plain === path) return;
    const other = routes.find(route => matches(route, method, plain.split('/'), route.plainSegments));
    if (other?.controller !== route.controller || other.scope !== route.scope) throw unclear();
  };
}

interface TableRow {
  readonly controller: string;
  readonly scope: string;
  readonly methods: readonly string[];
  readonly segments: readonly string[];
  readonly plainSegments: readonly string[];
}

function tableOf({ name, routes }: Controller): TableRow[] {
  return routes.map(({ scope, methods, path }) => {
    const segments = path.split('/');
    const plainSegments = segments.map(part => (/^[:*]/.test(part) ? part : plainSegment(part)));
    return { controller: name, scope, methods, segments, plainSegments };
  });
}

function matches(
  { methods }: TableRow,
  method: string,
  segments: readonly string[],
  pattern: readonly string[],
): boolean {
  if (!methods.includes(method === 'HEAD' ? 'GET' : method)) return false;
  const takesRest = pattern.at(-1)!.startsWith('*');
  if (takesRest ? segments.length < pattern.length : segments.length !== pattern.length) return false;
  return pattern.every((part, place) => {
    if (part.startsWith('*')) return segments.slice(place).join('/') !== '';
    if (part.startsWith(':')) return segments[place] !== '';
    return part === segments[place];
  });
}

/** The path as the most obliging server would read it; undefined where that is above itself, or holds a control sign. */
function plainReading(path: string): string | undefined {
  const decoded = decodeOnce(path);
  if (/[\0-\x1f\x7f]/.test(decoded)) return undefined;
  const segments = decoded.split(/[/\\]/).map(plainSegment);
  if (segments.some(segment => segment === '.' || segment === '..')) return undefined;
  return `/${segments.filter(segment => segment !== '').join('/')}`;
}

function plainSegment(segment: string): string {
  return segment.split(';', 1)[0]!.toLowerCase();
}

/** Signs of ASCII alone: no other sign means anything in a path or in a parameter's name. */
function decodeOnce(text: string): string {
  return text.replaceAll(/%[0-7][0-9a-f]/gi, code => String.fromCharCode(Number.parseInt(code.slice(1), 16)));
}

function unclear(): Problem {
  return new Problem(
    'malformed_request',
    'The path can be read in more than one way: send it without dot segments, doubled slashes and needless percent-encoding.',
  );
}
