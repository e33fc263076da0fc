/**
 * The `Search Filter` of an OData key: anded into the caller's `$filter`, so that the caller sees less and never more. A
 * filter that would close our parenthesis, and others that a server may read for it, are refused.
 */
import { Problem } from '../protocol/errors.ts';
import { findOpenPart } from '../protocol/odata-expression.ts';

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

/** @throws {Problem} where the expression would not stay within parentheses */
function closed(expression: string): string {
  const open = findOpenPart(expression);
  if (open === 'string') throw refuse('A string in $filter is not closed.');
  if (open === 'parenthesis') throw refuse('The parentheses in $filter do not match.');
  return expression;
}

function refuse(detail: string): Problem {
  return new Problem('malformed_request', detail);
}
