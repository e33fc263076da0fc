/**
 * The `Search Filter` of an OData key: anded into the caller's `$filter`, so that the caller sees less and never more. A
 * filter that would close our parenthesis, and others that a server may read for it, are refused.
 */
import { Problem } from '../protocol/errors.ts';

/**
 * @param search the caller's query, without its question mark
 * @param own the key's filter
 * @returns the query with one `$filter` in it
 * @throws {Problem} `malformed_request`
 */
export function andFilter(search: string, own: string): string {
  const parameters = [...new URLSearchParams(search)];
  const filters = parameters.filter(([name]) => isFilter(name));
  const [filter, ...more] = filters;
  if (more.length > 0) throw refuse('Send one $filter.');
  const both = filter === undefined || filter[1].trim() === '' ? own : `(${closed(filter[1])}) and (${own})`;
  const others = new URLSearchParams(parameters.filter(([name]) => !isFilter(name)));
  return [others.toString(), `$filter=${encodeURIComponent(both)}`].filter(part => part !== '').join('&');
}

/** OData 4.01 lets the dollar sign be left out, and the case be any. */
function isFilter(name: string): boolean {
  return /^\s*\$?filter\s*$/i.test(name);
}

/** The expression, where each parenthesis and quote that it opens is closed, and none besides. */
function closed(expression: string): string {
  // A quote within a string is doubled, so strings can be cut out as they stand.
  const outside = expression.replaceAll(/'(?:[^']|'')*'/g, '');
  if (outside.includes("'")) throw refuse('A string in $filter is not closed.');
  let depth = 0;
  for (const character of outside) {
    if (character === '(') depth += 1;
    if (character === ')') depth -= 1;
    if (depth < 0) break;
  }
  if (depth !== 0) throw refuse('The parentheses in $filter do not match.');
  return expression;
}

function refuse(detail: string): Problem {
  return new Problem('malformed_request', detail);
}
