/** Decides what an address, an issuer, a Redis URL and an upstream may look like. */
import { BlockList, isIP } from 'node:net';
import { isIssuer, parseWebUrl } from '../protocol/web-url.ts';

/** By the names that the schemas use. */
export const formats = {
  'listen-host': isListenHost,
  issuer: isIssuer,
  'redis-url': isRedisUrl,
  'address-or-cidr': isAddressOrCidr,
  upstream: isUpstream,
};

/** Whether a URL's host is this machine, so that plain http is no risk. */
export function isLoopbackUrl(text: string): boolean {
  const { hostname } = new URL(text);
  return /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
}

function isListenHost(text: string): boolean {
  if (text.includes(':')) return isIP(text) === 6 && !text.includes('%');
  return isHostName(text) && (isIP(text) === 4 || !/^[\d.]+$/.test(text));
}

function isRedisUrl(text: string): boolean {
  const parts = redisUrl.exec(text)?.groups;
  if (parts === undefined || !isRedisUser(parts['user'])) return false;
  const hosts = parts['hosts']!.split(',');
  const [path = '', query] = [parts['path'], parts['query']];
  if (!hosts.every(isHostAndPort)) return false;
  if (parts['mode'] === 'sentinel') return /^[A-Za-z0-9._-]+$/.test(path) && isSentinelQuery(query);
  if (parts['mode'] === 'cluster') return path === '' && query === undefined;
  return hosts.length === 1 && /^\d{0,5}$/.test(path) && query === undefined;
}

function isAddressOrCidr(text: string): boolean {
  const [address = '', prefix, ...more] = text.split('/');
  if (isIP(address) === 0 || address.includes('%') || more.length > 0) return false;
  if (prefix === undefined) return true;
  return /^\d{1,3}$/.test(prefix) && isSubnet(address, Number(prefix));
}

function isUpstream(text: string): boolean {
  return parseWebUrl(text) !== undefined;
}

/** A name alone would be mistaken for a password, or the other way round. */
function isRedisUser(text: string | undefined): boolean {
  return text === undefined || (/^[^:]*:./.test(text) && isPercentEncoded(text));
}

function isSentinelQuery(text: string | undefined): boolean {
  if (text === undefined) return true;
  const options = [...new URLSearchParams(text)];
  const isOnce = new Set(options.map(([name]) => name)).size === options.length;
  return (
    isOnce &&
    isPercentEncoded(text) &&
    options.every(([name, value]) => sentinelOptions.get(name)?.test(value))
  );
}

function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

function isHostName(text: string): boolean {
  return text.length <= 253 && text.split('.').every(label => /^(?!-)[A-Za-z0-9_-]{1,63}(?<!-)$/.test(label));
}

function isHostAndPort(text: string): boolean {
  const [, host = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(text) ?? [];
  const isHost = host.startsWith('[') ? isIP(host.slice(1, -1)) === 6 : isHostName(host);
  return isHost && (port === undefined || (Number(port) >= 1 && Number(port) <= 65535));
}

function isSubnet(address: string, prefix: number): boolean {
  try {
    new BlockList().addSubnet(address, prefix, isIP(address) === 6 ? 'ipv6' : 'ipv4');
    return true;
  } catch {
    return false;
  }
}

const redisUrl =
  /^rediss?(?:\+(?<mode>sentinel|cluster))?:\/\/(?:(?<user>[^@/?#\s]*)@)?(?<hosts>[^@/?#\s]+)(?:\/(?<path>[^@?#\s]*))?(?:\?(?<query>[^#\s]*))?$/;

const sentinelOptions: ReadonlyMap<string, RegExp> = new Map([
  ['db', /^\d{1,5}$/],
  ['sentinelUsername', /^.+$/],
  ['sentinelPassword', /^.+$/],
]);
