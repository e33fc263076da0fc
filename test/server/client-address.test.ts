/** Whose address a request is said to come from, directly and behind proxies. */
import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { createClientAddress } from '../../src/server/client-address.ts';

function addressOf(trusted: readonly string[], peer: string, forwarded?: string): string {
  const headers = {
    ...(forwarded !== undefined && { 'x-forwarded-for': forwarded }),
    'x-real-ip': '198.51.100.99',
    'true-client-ip': '198.51.100.99',
    forwarded: 'for=198.51.100.99',
  };
  return createClientAddress(trusted)({
    socket: { remoteAddress: peer },
    headers,
  } as unknown as IncomingMessage);
}

test.each<[string, readonly string[], string, string | undefined, string]>([
  ['nobody is trusted by default', [], '203.0.113.5', '198.51.100.1', '203.0.113.5'],
  ['not even the machine itself', [], '127.0.0.1', '198.51.100.1', '127.0.0.1'],
  ['a peer that is not trusted says nothing', ['10.0.0.0/8'], '203.0.113.5', '198.51.100.1', '203.0.113.5'],
  ['a trusted proxy says who called it', ['10.0.0.0/8'], '10.1.2.3', '198.51.100.1', '198.51.100.1'],
  [
    'what callers put before that is not believed',
    ['10.0.0.0/8'],
    '10.1.2.3',
    '192.0.2.1, 198.51.100.1',
    '198.51.100.1',
  ],
  ['two proxies in a row', ['10.0.0.0/8'], '10.1.2.3', '192.0.2.1, 198.51.100.1, 10.9.9.9', '198.51.100.1'],
  [
    'a second proxy that is not trusted is the caller',
    ['10.1.0.0/16'],
    '10.1.2.3',
    '198.51.100.1, 10.9.9.9',
    '10.9.9.9',
  ],
  ['only proxies: the farthest of them', ['10.0.0.0/8'], '10.1.2.3', '10.4.4.4, 10.9.9.9', '10.4.4.4'],
  ['no header: the proxy itself', ['10.0.0.0/8'], '10.1.2.3', undefined, '10.1.2.3'],
  ['nonsense in the header: the nearest that is known', ['10.0.0.0/8'], '10.1.2.3', 'unknown', '10.1.2.3'],
  ['a name in the header is no address', ['10.0.0.0/8'], '10.1.2.3', '198.51.100.1, localhost', '10.1.2.3'],
  ['an empty header', ['10.0.0.0/8'], '10.1.2.3', '', '10.1.2.3'],
  ['an address alone may be trusted', ['10.1.2.3'], '10.1.2.3', '198.51.100.1', '198.51.100.1'],
  ['and its neighbour is not', ['10.1.2.3'], '10.1.2.4', '198.51.100.1', '10.1.2.4'],
  ['IPv4 within IPv6 is IPv4', ['10.0.0.0/8'], '::ffff:10.1.2.3', '::ffff:198.51.100.1', '198.51.100.1'],
  ['IPv6', ['2001:db8::/32'], '2001:db8::1', '2001:db9::7', '2001:db9::7'],
  ['IPv6 that is not trusted', ['2001:db8::/32'], '2001:db9::1', '2001:db9::7', '2001:db9::1'],
])('%s', (_, trusted, peer, forwarded, expected) => {
  expect(addressOf(trusted, peer, forwarded)).toBe(expected);
});
