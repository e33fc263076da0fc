/** Owns reading a JSON file so that a mistake is found by line and column, and never quoted: the file may hold secrets. */

export type JsonReading = { readonly value: unknown } | { readonly mistake: JsonMistake };

export interface JsonMistake {
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  readonly expected: string;
}

/** Reads JSON (RFC 8259) in which no object names a member twice. A byte order mark is passed over. */
export function readJson(text: string): JsonReading {
  const body = text.replace(/^\uFEFF/, '');
  const mistake = findMistake(body);
  return mistake === undefined ? { value: JSON.parse(body) } : { mistake };
}

function findMistake(text: string): JsonMistake | undefined {
  try {
    new Scanner(text).scanFile();
    return undefined;
  } catch (error) {
    if (!(error instanceof Unexpected)) throw error;
    const before = text.slice(0, error.at).split('\n');
    return { line: before.length, column: before.at(-1)!.length + 1, expected: error.message };
  }
}

class Unexpected extends Error {
  readonly at: number;

  constructor(at: number, expected: string) {
    super(expected);
    this.at = at;
  }
}

/** Walks over the text once and throws at the first place that cannot be JSON. */
class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  scanFile(): void {
    this.#scanValue(0);
    if (this.#at < this.#text.length) throw new Unexpected(this.#at, 'the end of the file');
  }

  #scanValue(depth: number): void {
    this.#take(/[ \t\r\n]*/y);
    if (depth > deepest) throw new Unexpected(this.#at, `at most ${deepest} levels`);
    if (this.#take(/\{/y) !== undefined) this.#scanObject(depth);
    else if (this.#take(/\[/y) !== undefined) this.#scanArray(depth);
    else if (this.#take(scalar) === undefined) throw new Unexpected(this.#at, 'a JSON value');
    this.#take(/[ \t\r\n]*/y);
  }

  #scanObject(depth: number): void {
    const names = new Set<string>();
    if (this.#take(/[ \t\r\n]*\}/y) !== undefined) return;
    do {
      this.#scanName(names);
      this.#scanValue(depth + 1);
    } while (this.#take(/,/y) !== undefined);
    if (this.#take(/\}/y) === undefined) throw new Unexpected(this.#at, "',' or '}'");
  }

  #scanName(names: Set<string>): void {
    this.#take(/[ \t\r\n]*/y);
    const at = this.#at;
    const quoted = this.#take(string);
    if (quoted === undefined) throw new Unexpected(at, 'a member name in double quotes');
    const name = String(JSON.parse(quoted));
    if (names.has(name)) throw new Unexpected(at, 'a member name that the object does not have yet');
    names.add(name);
    if (this.#take(/[ \t\r\n]*:/y) === undefined) throw new Unexpected(this.#at, "':'");
  }

  #scanArray(depth: number): void {
    if (this.#take(/[ \t\r\n]*\]/y) !== undefined) return;
    do this.#scanValue(depth + 1);
    while (this.#take(/,/y) !== undefined);
    if (this.#take(/\]/y) === undefined) throw new Unexpected(this.#at, "',' or ']'");
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }
}

const deepest = 64;
const string = /"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const scalar = new RegExp(
  `${string.source}|-?(?:0|[1-9]\\d*)(?:\\.\\d+)?(?:[eE][+-]?\\d+)?|true|false|null`,
  'y',
);
