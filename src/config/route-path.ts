/** Decides what a route's path may be, and which paths two routes share. */

/** As JSON schema patterns go: literal segments, `:name` segments, and `*name` as the last one. */
export const PATH_PATTERN =
  "^/$|^(/([A-Za-z0-9_.~@$&'=,;-]+|:[A-Za-z_][A-Za-z0-9_]*))*(/([A-Za-z0-9_.~@$&'=,;-]+|:[A-Za-z_][A-Za-z0-9_]*|\\*[A-Za-z_][A-Za-z0-9_]*))$";

/** The service's own: no route may start with them, whatever its case. */
const RESERVED_PATHS = [
  '/admin',
  '/oauth',
  '/v2/oauth',
  '/.well-known',
  '/auth',
  '/keys',
  '/livez',
  '/readyz',
  '/metrics',
  '/docs',
  '/openapi.json',
  '/console',
];

/** The reserved path under which the path lies, if any. */
export function reservedPrefixOf(path: string): string | undefined {
  const folded = `${path.toLowerCase()}/`;
  return RESERVED_PATHS.find(prefix => folded.startsWith(`${prefix}/`));
}

/** Dot segments, which clients resolve away, and names that stand twice. Undefined where there is neither. */
export function findPathFault(path: string): string | undefined {
  const segments = path.split('/').slice(1);
  if (segments.some(segment => segment === '.' || segment === '..')) return 'no . or .. segment';
  const names = segments.filter(isVariable).map(segment => segment.slice(1));
  return new Set(names).size < names.length ? 'each parameter name once' : undefined;
}

/** Whether the first pattern matches every path that the second one matches: routes ignore the case of letters. */
export function coversPath(wide: string, narrow: string): boolean {
  const narrowSegments = narrow.toLowerCase().split('/').slice(1);
  const wideSegments = wide.toLowerCase().split('/').slice(1);
  const takesRest = wideSegments.at(-1)!.startsWith('*');
  if (takesRest ? narrowSegments.length < wideSegments.length : narrowSegments.length !== wideSegments.length)
    return false;
  return wideSegments.every((segment, index) => coversSegment(segment, narrowSegments[index]!));
}

export function hasParameter(path: string): boolean {
  return path.split('/').some(isVariable);
}

function coversSegment(wide: string, narrow: string): boolean {
  if (wide.startsWith('*')) return true;
  if (wide.startsWith(':')) return !narrow.startsWith('*') && narrow !== '';
  return wide === narrow;
}

function isVariable(segment: string): boolean {
  return segment.startsWith(':') || segment.startsWith('*');
}
