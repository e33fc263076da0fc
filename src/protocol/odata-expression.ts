/** Expressions of OData (`$filter`), as far as one may stand in parentheses beside another. */

/** Why the expression would reach beyond parentheses around it; undefined where it would not. */
export function findOpenPart(expression: string): 'string' | 'parenthesis' | undefined {
  // A quote within a string is doubled, so strings can be cut out as they stand.
  const outside = expression.replaceAll(/'(?:[^']|'')*'/g, '');
  if (outside.includes("'")) return 'string';
  let depth = 0;
  for (const character of outside) {
    if (character === '(') depth += 1;
    if (character === ')') depth -= 1;
    if (depth < 0) return 'parenthesis';
  }
  return depth === 0 ? undefined : 'parenthesis';
}
