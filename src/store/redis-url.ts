/**
 * The forms of a Redis address:
 *
 * - `redis[s]://[user:password@]host[:port][/db]`
 * - `redis[s]+sentinel://[user:password@]host[:port],…/<master>[?db=]`
 * - `redis[s]+cluster://[user:password@]host[:port],…`
 *
 * The extra `s` is TLS. User and password are those of the nodes with the data; Sentinels that ask for some
 * are given `?sentinelUsername=` and `?sentinelPassword=`.
 */
export interface RedisTarget {
  readonly layout: 'standalone' | 'sentinel' | 'cluster';
  readonly hosts: readonly RedisHost[];
  /** The name Sentinel knows the master by. */
  readonly master?: string;
  readonly tls: boolean;
  readonly username?: string;
  readonly password?: string;
  readonly sentinelUsername?: string;
  readonly sentinelPassword?: string;
  readonly db: number;
}

export interface RedisHost {
  readonly host: string;
  readonly port: number;
}

/** @throws Error that says what is wrong, without the password. */
export function parseRedisUrl(url: string): RedisTarget {
  const parts = form.exec(url)?.groups;
  if (parts === undefined) throw new Error(`a Redis URL begins with ${schemes} and names a host`);
  const layout = layoutOf(parts.layout);
  const path = decoded(parts.path ?? '', 'path');
  const options = parseOptions(parts.query ?? '', layout);
  return {
    layout,
    hosts: parseHosts(parts.hosts ?? '', layout),
    tls: parts.tls === 's',
    ...parseUser(parts.user),
    ...parsePath(path, layout, options.get('db')),
    ...present('sentinelUsername', options.get('sentinelUsername')),
    ...present('sentinelPassword', options.get('sentinelPassword')),
  };
}

const form =
  /^redis(?<tls>s?)(?:\+(?<layout>sentinel|cluster))?:\/\/(?:(?<user>[^@/?#]*)@)?(?<hosts>[^@/?#]+)(?:\/(?<path>[^?#]*))?(?:\?(?<query>[^#]*))?$/;
const schemes = 'redis[s]://, redis[s]+sentinel:// or redis[s]+cluster://';

function layoutOf(text: string | undefined): RedisTarget['layout'] {
  if (text === 'sentinel' || text === 'cluster') return text;
  return 'standalone';
}

function decoded(text: string, part: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error(`the ${part} of the Redis URL is not percent-encoded as it should be`);
  }
}

function parseOptions(query: string, layout: RedisTarget['layout']): URLSearchParams {
  const options = new URLSearchParams(query);
  const known = layout === 'sentinel' ? ['db', 'sentinelUsername', 'sentinelPassword'] : ['db'];
  for (const name of options.keys()) {
    if (!known.includes(name)) throw new Error(`the Redis URL has an unknown option: ${name}`);
    if (options.getAll(name).length > 1) throw new Error(`the Redis URL has the option ${name} twice`);
  }
  return options;
}

function parseHosts(text: string, layout: RedisTarget['layout']): RedisHost[] {
  const hosts = text.split(',').map(host => parseHost(host, layout === 'sentinel' ? 26_379 : 6379));
  if (layout === 'standalone' && hosts.length > 1) {
    throw new Error('a redis:// URL names one host; several need redis+sentinel:// or redis+cluster://');
  }
  return hosts;
}

function parseHost(text: string, defaultPort: number): RedisHost {
  const match = /^(?:\[(?<v6>[0-9a-fA-F:.]+)\]|(?<name>[^:[\]\s]+))(?::(?<port>\d+))?$/.exec(text)?.groups;
  if (match === undefined) throw new Error(`the Redis URL has a host that is none: ${text}`);
  const port = match.port === undefined ? defaultPort : Number(match.port);
  if (port < 1 || port > 65_535) throw new Error(`the Redis URL has a port that is none: ${port}`);
  return { host: match.v6 ?? match.name ?? '', port };
}

function parseUser(text: string | undefined): Pick<RedisTarget, 'username' | 'password'> {
  if (text === undefined) return {};
  const [, username = '', password = ''] = /^([^:]*)(?::(.*))?$/.exec(text) ?? [];
  if (password === '') throw new Error('the Redis URL has a user without a password; write user:password@');
  return {
    password: decoded(password, 'password'),
    ...present('username', username === '' ? undefined : decoded(username, 'user')),
  };
}

function parsePath(
  path: string,
  layout: RedisTarget['layout'],
  option: string | undefined | null,
): Pick<RedisTarget, 'db' | 'master'> {
  if (layout === 'sentinel') {
    if (path === '') throw new Error('a redis+sentinel:// URL ends in /<name of the master>');
    return { master: path, db: parseDb(option ?? '0') };
  }
  if (path !== '' && option) throw new Error('the Redis URL has two databases');
  const db = parseDb(option || path || '0');
  if (layout === 'cluster' && db !== 0) throw new Error('a Redis Cluster has only the database 0');
  return { db };
}

function parseDb(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new Error('the database in the Redis URL is not a number');
  return Number(text);
}

function present<K extends string>(key: K, value: string | null | undefined): { [P in K]?: string } {
  const entry: { [P in K]?: string } = {};
  if (value !== null && value !== undefined && value !== '') entry[key] = value;
  return entry;
}
