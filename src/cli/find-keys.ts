/** Finds key strings in bytes of any kind, by pattern and checksum, in memory that does not grow with their number. */
import { type ApiKeyString, parseApiKey } from '../protocol/api-key.ts';

export interface FoundKey {
  /** From 1. */
  readonly line: number;
  /** From 1, in bytes. */
  readonly column: number;
  readonly key: Pick<ApiKeyString, 'id' | 'last4'>;
}

/** Those in plain text (ASCII, UTF-8 and their kin), and those in UTF-16, as some shells write to files. */
export async function* findKeys(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<FoundKey> {
  let rest: Buffer = Buffer.alloc(0);
  let place: Place = { line: 1, column: 1 };
  for await (const chunk of chunks) {
    const bytes = Buffer.concat([rest, chunk]);
    let [at, here] = [0, place];
    for (const { start, end, key } of keysIn(bytes)) {
      // What ends in the rest of the chunk before was found there.
      if (end <= rest.length) continue;
      here = advance(here, bytes.subarray(at, start));
      at = start;
      yield { ...here, key };
    }
    const done = Math.max(0, bytes.length - (longestSpan - 1));
    place = advance(place, bytes.subarray(0, done));
    rest = bytes.subarray(done);
  }
}

/** Writes key strings in a text as they may be shown. */
export function maskKeys(text: string): string {
  return text.replaceAll(/kt_[0-9a-f]{32}_[0-9A-Za-z]{38}/g, key => `kt_…${key.slice(-4)}`);
}

interface Place {
  readonly line: number;
  readonly column: number;
}

interface Occurrence {
  readonly start: number;
  /** Behind its last byte. */
  readonly end: number;
  readonly key: ApiKeyString;
}

const keyLength = 74;
/** Bytes from one character to the next; in UTF-16 one of them is zero. */
const strides = [1, 2] as const;
const longestSpan = spanOf(2);

/** Bytes from the first character to the last. */
function spanOf(stride: number): number {
  return (keyLength - 1) * stride + 1;
}

function keysIn(bytes: Buffer): Occurrence[] {
  const found = strides.map(stride => Array.from(occurrences(bytes, stride)));
  return found.flat().toSorted((one, other) => one.start - other.start);
}

function* occurrences(bytes: Buffer, stride: number): Generator<Occurrence> {
  const prefix = [...'kt_'].join('\0'.repeat(stride - 1));
  for (let start = bytes.indexOf(prefix); start !== -1; start = bytes.indexOf(prefix, start + 1)) {
    const end = start + spanOf(stride);
    const key = parseApiKey(readCharacters(bytes.subarray(start, end), stride));
    if (key !== undefined) yield { start, end, key };
  }
}

/** Every `stride`th byte as a character; empty where there is more than zeros in between. */
function readCharacters(bytes: Buffer, stride: number): string {
  const between = bytes.filter((byte, place) => place % stride !== 0 && byte !== 0);
  return between.length > 0
    ? ''
    : Buffer.from(bytes.filter((_, place) => place % stride === 0)).toString('latin1');
}

function advance({ line, column }: Place, over: Buffer): Place {
  let lines = 0;
  let lineStart = -1;
  for (let at = over.indexOf(10); at !== -1; at = over.indexOf(10, at + 1)) {
    lines += 1;
    lineStart = at + 1;
  }
  return lines === 0
    ? { line, column: column + over.length }
    : { line: line + lines, column: over.length - lineStart + 1 };
}
