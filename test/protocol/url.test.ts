/** Reading URLs goes the same way however often it is done: engines rewrite what is done often. */
import { expect, test } from 'vitest';
import { isExtraClaimName } from '../../src/protocol/claims.ts';
import { parseOrigin } from '../../src/protocol/origin.ts';
import { parseUrl } from '../../src/protocol/url.ts';
import { parseWebUrl } from '../../src/protocol/web-url.ts';

test.each<[string, (text: string) => unknown]>([
  ['a URL', parseUrl],
  ['an origin', parseOrigin],
  ['an address', parseWebUrl],
  ['the name of a claim', name => isExtraClaimName(name) || undefined],
])('%s is still one after 50,000 others', (_name, read) => {
  const text = ['https://b', 'cher.example'].join('ü');
  const lost = Array.from({ length: 50_000 }, () => read(text)).filter(found => found === undefined);
  expect(lost).toHaveLength(0);
});

test.each(['', 'a', 'https://', 'https://a b', 'https://[', 'https://a:99999'])('%j is none', text => {
  expect(parseUrl(text)).toBeUndefined();
});
