/** The key's filter binds, whatever the caller's own says. */
import { describe, expect, it } from 'vitest';
import { andFilter } from '../../src/gateway/odata-filter.ts';
import { Problem } from '../../src/protocol/errors.ts';

const own = 'IsLatestVersion eq true';

function filterOf(search: string): string | null {
  return new URLSearchParams(andFilter(search, own)).get('$filter');
}

describe('the search filter of a key', () => {
  it.each([
    ['', own],
    ['$filter=', own],
    ["$filter=Name eq 'a'", `(Name eq 'a') and (${own})`],
    ["$filter=Name eq 'it''s (not'", `(Name eq 'it''s (not') and (${own})`],
    ['$filter=contains(Name,%27x%27)', `(contains(Name,'x')) and (${own})`],
    ['$FILTER=a eq 1', `(a eq 1) and (${own})`],
    ['filter=a eq 1', `(a eq 1) and (${own})`],
    ['%24filter=a or b', `(a or b) and (${own})`],
  ])('of the query "%s" makes %s', (search, expected) => {
    expect(filterOf(search)).toBe(expected);
  });

  it('leaves everything else as it was', () => {
    const edited = new URLSearchParams(andFilter('$top=5&$filter=a&x=1%262&$expand=B($select=c)', own));
    expect(Object.fromEntries(edited)).toEqual({
      $top: '5',
      x: '1&2',
      $expand: 'B($select=c)',
      $filter: `(a) and (${own})`,
    });
  });

  it.each([
    '$filter=1 eq 1) or (1 eq 1',
    '$filter=a)',
    '$filter=(a',
    "$filter=a eq 'x",
    "$filter=a eq 'x''",
    "$filter=a eq ')' or '(",
    '$filter=a&$filter=b',
    '$filter=a&filter=b',
    '$filter=a&$Filter=b',
    '$filter=a&%24filter=b',
    '$filter=a& $filter=b',
  ])('refuses "%s"', search => {
    expect(() => andFilter(search, own)).toThrow(Problem);
  });
});
