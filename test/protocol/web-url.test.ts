/** Which URLs a path can be added to, and which of them can be an issuer's. */
import { describe, expect, it } from 'vitest';
import { isIssuer, parseWebUrl } from '../../src/protocol/web-url.ts';

describe('an issuer', () => {
  it.each(['https://a.example', 'http://127.0.0.1:8080', 'https://a.example/b', 'https://a.example/b/c%20d'])(
    'is %s',
    text => {
      expect(isIssuer(text)).toBe(true);
      expect(parseWebUrl(text)).toEqual(new URL(text));
    },
  );

  it.each(['https://a.example/', 'https://a.example//', 'https://a.example/b/', 'https://a.example/b//'])(
    'has no slash at its end: %s',
    text => expect(isIssuer(text)).toBe(false),
  );

  it.each(['HTTPS://a.example', 'https://A.example', 'https://a.example:443', 'https://a.example/b/../c'])(
    'is in its normal form, as %s is not',
    text => {
      expect(isIssuer(text)).toBe(false);
      expect(parseWebUrl(text)).toBeInstanceOf(URL);
    },
  );
});

describe('what a path is added to', () => {
  it.each([
    undefined,
    5,
    '',
    'a.example',
    'ftp://a.example',
    'https://',
    'https://a.example?',
    'https://a.example#',
    'https://a@a.example',
    'https://@a.example',
    'https:\\\\a.example',
    ' https://a.example',
    'https://a.example\n',
    'https://a.example/b c',
    'https://a.example:99999',
    'undefined',
  ])('is not %j', text => {
    expect(parseWebUrl(text)).toBeUndefined();
    expect(isIssuer(text)).toBe(false);
  });
});
