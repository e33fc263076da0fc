/** The forms of a Redis address. */
import { describe, expect, test } from 'vitest';
import { parseRedisUrl } from '../../src/store/redis-url.ts';

describe('a Redis URL', () => {
  test.each([
    ['redis://localhost', { layout: 'standalone', hosts: [host('localhost', 6379)], tls: false, db: 0 }],
    ['rediss://redis.example:7000/2', { tls: true, hosts: [host('redis.example', 7000)], db: 2 }],
    ['redis://h/?db=3', { db: 3 }],
    ['redis://[::1]:6380', { hosts: [host('::1', 6380)] }],
    ['redis://[fe80::1]', { hosts: [host('fe80::1', 6379)] }],
    ['redis://:p%40ss@h', { password: 'p@ss' }],
    ['redis://user:p:w@h', { username: 'user', password: 'p:w' }],
    [
      'redis+sentinel://u:p@a:1,[::1]:2,c/main?db=1',
      {
        layout: 'sentinel',
        hosts: [host('a', 1), host('::1', 2), host('c', 26_379)],
        master: 'main',
        username: 'u',
        password: 'p',
        db: 1,
      },
    ],
    ['rediss+sentinel://a/my%20master?sentinelPassword=s', { master: 'my master', sentinelPassword: 's' }],
    ['redis+cluster://a,b:7001', { layout: 'cluster', hosts: [host('a', 6379), host('b', 7001)], db: 0 }],
    ['rediss+cluster://a', { layout: 'cluster', tls: true }],
  ])('%s', (url, target) => {
    expect(parseRedisUrl(url)).toMatchObject(target);
  });

  test.each([
    ['', 'begins with'],
    ['http://h', 'begins with'],
    ['redis://', 'begins with'],
    ['redis+other://h', 'begins with'],
    ['redis://a,b', 'one host'],
    ['redis://h:0', 'port'],
    ['redis://h:65536', 'port'],
    ['redis://h:x', 'host'],
    ['redis://::1', 'host'],
    ['redis://h/x', 'database'],
    ['redis://h/1?db=2', 'two databases'],
    ['redis://h?timeout=1', 'unknown option: timeout'],
    ['redis://h?db=1&db=2', 'twice'],
    ['redis://user@h', 'without a password'],
    ['redis://:%@h', 'percent-encoded'],
    ['redis+sentinel://h', 'name of the master'],
    ['redis+cluster://h/1', 'only the database 0'],
  ])('%s is refused', (url, reason) => {
    expect(() => parseRedisUrl(url)).toThrow(reason);
  });

  test('a refusal does not tell the password', () => {
    expect(() => parseRedisUrl('redis://u:secret@h:bad')).toThrow(/^((?!secret).)*$/);
    expect(() => parseRedisUrl('redis://u:%secret@h')).toThrow(/^((?!secret).)*$/);
  });
});

function host(name: string, port: number) {
  return { host: name, port };
}
