/** Where a request came from. What it says of that itself is believed from configured proxies alone. */
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP, isIPv6 } from 'node:net';

export type ClientAddress = (req: IncomingMessage) => string;

/**
 * The peer's address; behind trusted proxies, the right-most address of `X-Forwarded-For` that is not one of them.
 *
 * @param trustedProxies addresses and CIDR ranges
 */
export function createClientAddress(trustedProxies: readonly string[]): ClientAddress {
  const trusted = listOf(trustedProxies);
  return req => {
    let address = plainAddress(req.socket.remoteAddress ?? '');
    if (trustedProxies.length === 0) return address;
    const hops =
      (req.headers['x-forwarded-for'] as string | undefined)
        ?.split(',')
        .map(hop => plainAddress(hop.trim())) ?? [];
    while (isListed(trusted, address)) {
      const hop = hops.pop();
      if (hop === undefined || isIP(hop) === 0) return address;
      address = hop;
    }
    return address;
  };
}

/** Whether the peer itself is one of the trusted proxies. */
export function createProxyTrust(trustedProxies: readonly string[]): (req: IncomingMessage) => boolean {
  const trusted = listOf(trustedProxies);
  return req => isListed(trusted, plainAddress(req.socket.remoteAddress ?? ''));
}

/** IPv4 as IPv6 sockets show it, in its own form. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address;
}

function listOf(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [network = '', prefix] = range.split('/', 2);
    const family = isIPv6(network) ? 'ipv6' : 'ipv4';
    if (prefix === undefined) list.addAddress(network, family);
    else list.addSubnet(network, Number(prefix), family);
  }
  return list;
}

function isListed(list: BlockList, address: string): boolean {
  return isIP(address) !== 0 && list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}
