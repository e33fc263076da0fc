/** The request that a proxy asks about: told once, without contradiction, and readable in one way. */
import { describe, expect, it } from 'vitest';
import { readForwardedRequest } from '../../src/gateway/forward-auth.ts';
import { Problem } from '../../src/protocol/errors.ts';

const original = { 'x-original-method': 'GET', 'x-original-uri': '/a?b=c' };
const forwarded = { 'x-forwarded-method': 'GET', 'x-forwarded-uri': '/a?b=c' };

describe('a forwarded request', () => {
  it.each([
    ['as nginx tells it', original],
    ['as Traefik and Caddy tell it', forwarded],
    ['told twice alike', { ...original, ...forwarded }],
    [
      'with a method of one and the address of the other',
      { 'x-original-method': 'GET', 'x-forwarded-uri': '/a?b=c' },
    ],
  ])('is read %s', (_, headers) => {
    expect(readForwardedRequest(headers)).toEqual({
      method: 'GET',
      url: '/a?b=c',
      path: '/a',
      search: 'b=c',
    });
  });

  it('keeps every byte of a query', () => {
    const headers = { ...original, 'x-original-uri': '/a?b=/../%2e&c=?&d' };
    expect(readForwardedRequest(headers).search).toBe('b=/../%2e&c=?&d');
  });

  it.each<[string, Record<string, string | string[]>]>([
    ['without a word', {}],
    ['without a method', { 'x-original-uri': '/a' }],
    ['without an address', { 'x-forwarded-method': 'GET' }],
    ['with two methods', { ...original, 'x-forwarded-method': 'POST' }],
    ['with two addresses', { ...original, 'x-forwarded-uri': '/b' }],
    ['with a third address', { ...original, 'x-original-url': '/b' }],
    ['with an empty address beside', { ...original, 'x-forwarded-uri': '' }],
    ['with a method in lower case', { ...original, 'x-original-method': 'get' }],
    ['with a method that is none', { ...original, 'x-original-method': 'G T' }],
    ['with a list of methods', { ...original, 'x-original-method': ['GET', 'GET'] }],
  ])('is refused %s', (_, headers) => {
    expect(() => readForwardedRequest(headers)).toThrow(Problem);
  });

  it.each([
    '',
    '*',
    'a',
    'http://h/a',
    '/a#b',
    '/public#/../private',
    '/%zz',
    '/a%',
    '/\x80',
    '/a b',
    '//a',
    '/a//b',
    '/a/../b',
    '/a/..',
    '/./a',
    '/a/%2e%2e/b',
    '/a%2fb',
    '/a%5Cb',
    '/a\\b',
    '/a%252fb',
    '/a;x=1',
    '/a%3Bx',
    '/a%00',
    '/a%0d%0aX: y',
    '/a%7f',
  ])('is refused for the address "%s"', uri => {
    expect(() => readForwardedRequest({ ...original, 'x-original-uri': uri })).toThrow(Problem);
  });

  it('is refused for an address of 100 KB', () => {
    const headers = { ...original, 'x-original-uri': `/${'a'.repeat(100_000)}` };
    expect(() => readForwardedRequest(headers)).toThrow(Problem);
  });
});
