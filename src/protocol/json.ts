/** JSON from strangers: read strictly, so that two readers of one text cannot see different things in it. */

const deepest = 64;

/**
 * Parses JSON that has no duplicate member names and is at most 64 levels deep.
 *
 * @throws {SyntaxError} where the text is not such JSON
 */
export function parseStrictJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (countNames(text) !== countMembers(value)) throw new SyntaxError('duplicate member name');
  return value;
}

/**
 * As {@link parseStrictJson}, of an object.
 *
 * @throws {SyntaxError} for any other value too
 */
export function parseStrictObject(text: string): Record<string, unknown> {
  const value = parseStrictJson(text);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw new SyntaxError('not an object');
}

/** The member names that stand in the text: the strings followed by a colon. */
function countNames(text: string): number {
  let names = 0;
  let depth = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"(?:\s*:)?|[[{\]}]/g)) {
    if (token.startsWith('"')) names += token.endsWith(':') ? 1 : 0;
    else depth += token === '{' || token === '[' ? 1 : -1;
    if (depth > deepest) throw new SyntaxError(`more than ${deepest} levels deep`);
  }
  return names;
}

/** The members that parsing kept. */
function countMembers(value: unknown): number {
  let members = 0;
  const waiting = [value];
  while (waiting.length > 0) {
    const next = waiting.pop();
    if (typeof next !== 'object' || next === null) continue;
    const children: unknown[] = Object.values(next);
    if (!Array.isArray(next)) members += children.length;
    for (const child of children) waiting.push(child);
  }
  return members;
}
