/** Owns what a wrong configuration looks like to its operator: problems, the error that carries them all, the report. */

export interface Problem {
  /** The setting's name, or the file with a JSON pointer (`keyturn.json#/tokenTtl`) or with line and column. */
  readonly where: string;
  /** What stands there, fit to be printed: never a secret. Absent where there is nothing or it may not be shown. */
  readonly was?: string;
  /** What may stand there. */
  readonly expected: string;
}

/** Every problem of one configuration. Its message names the places alone. */
export class ConfigurationError extends Error {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const distinct = withoutRepeats(problems);
    super(`wrong configuration: ${distinct.map(problem => printable(problem.where)).join(', ')}`);
    this.name = 'ConfigurationError';
    this.problems = distinct;
  }
}

/** The report for stderr. */
export function formatProblems(error: ConfigurationError): string {
  const count = error.problems.length;
  const title = `The configuration has ${count === 1 ? 'a problem' : `${count} problems`}:`;
  return `${[title, ...error.problems.map(formatProblem)].join('\n\n')}\n`;
}

/** A value as the report may show it. Of what looks like a URL, user, password and query are left out. */
export function showValue(value: unknown): string {
  if (typeof value === 'string') return shorten(JSON.stringify(redactUrl(value)));
  return typeof value === 'object' && value !== null ? nameType(value) : String(value);
}

/** What a value is, where the value itself may be a secret. */
export function nameType(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (value === null) return 'null';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** `file#/a/b`, each part escaped as RFC 6901 has it. */
export function pointerTo(file: string, ...parts: readonly (string | number)[]): string {
  return `${file}#${parts.map(part => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')}`;
}

/** ` (did you mean x?)` where one of the names is at most two letters away, else nothing. */
export function suggestName(wrong: string, names: readonly string[]): string {
  const nearest = names
    .map(name => ({ name, distance: editDistance(wrong.toLowerCase(), name.toLowerCase()) }))
    .reduce((best, next) => (next.distance < best.distance ? next : best), { name: '', distance: 3 });
  return nearest.name === '' ? '' : ` (did you mean ${nearest.name}?)`;
}

function withoutRepeats(problems: readonly Problem[]): Problem[] {
  const byText = new Map(problems.map(problem => [JSON.stringify(problem), problem]));
  return [...byText.values()];
}

function formatProblem({ where, was, expected }: Problem): string {
  const lines = [
    `  ${where}`,
    ...(was === undefined ? [] : [`    was       ${was}`]),
    `    expected  ${expected}`,
  ];
  return lines.map(printable).join('\n');
}

/** Control characters, and those that turn the direction of writing, would let a value forge lines of the report. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, character => {
    return `\\u${character.codePointAt(0)!.toString(16).padStart(4, '0')}`;
  });
}

function redactUrl(text: string): string {
  const withoutUser = text.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, '$1***@');
  return withoutUser.includes('://') ? withoutUser.replace(/[?#].*$/s, '?***') : withoutUser;
}

function shorten(text: string): string {
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}

function editDistance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, column) => column);
  for (let line = 0; line < one.length; line++) {
    const next = [line + 1];
    for (let column = 0; column < other.length; column++) {
      const replaced = row[column]! + (one[line] === other[column] ? 0 : 1);
      next.push(Math.min(row[column + 1]! + 1, next[column]! + 1, replaced));
    }
    row = next;
  }
  return row.at(-1)!;
}
