/** What the head of a request says by its form. */
import { describe, expect, it } from 'vitest';
import { hasBody, isWellEncoded } from '../../src/protocol/http-request.ts';

describe('a request', () => {
  it.each([
    [{}, false],
    [{ 'content-length': '0' }, false],
    [{ 'content-length': '1' }, true],
    [{ 'transfer-encoding': 'chunked' }, true],
  ])('with %j has a body: %s', (headers, expected) => {
    expect(hasBody(headers)).toBe(expected);
  });

  it('has a target of printable ASCII and whole percent codes', () => {
    for (const good of ['', '/', '/a%2Fb%c3%A9?c="d"&e=\\{}|^`~', '*'])
      expect(isWellEncoded(good)).toBe(true);
    for (const bad of ['/%', '/%4', '/%zz', '/%%41', '/a b', '/#a', '/é', '/\n', '/a\u0000', '/\u007f'])
      expect(isWellEncoded(bad)).toBe(false);
  });

  it('is looked at in time that grows with its length alone', () => {
    const begun = performance.now();
    expect(isWellEncoded(`/${'%41'.repeat(100_000)}%`)).toBe(false);
    expect(performance.now() - begun).toBeLessThan(1000);
  });
});
