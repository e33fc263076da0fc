/** Owns reading a file together with who else may read it. */
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';

export interface FileContent {
  readonly text: string;
  /** The permission bits, 0 where the system has none. */
  readonly mode: number;
}

/** @throws {NodeJS.ErrnoException} where there is no such file or it cannot be read */
export type ReadFile = (path: string) => FileContent;

/** Content and mode are of one open file, which nobody can swap in between. */
export const readFileWithMode: ReadFile = path => {
  const file = openSync(path, 'r');
  try {
    const mode = process.platform === 'win32' ? 0 : fstatSync(file).mode & 0o777;
    return { text: readFileSync(file, 'utf8'), mode };
  } finally {
    closeSync(file);
  }
};

/** The content, or in a word why there is none: messages of the system repeat the path, which may be a misplaced secret. */
export function tryRead(path: string, readFile: ReadFile): FileContent | string {
  try {
    return readFile(path);
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
  }
}
