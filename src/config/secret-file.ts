/** Decides whether a file may hold a secret, and reads it. */
import { nameType, type Problem } from './problems.ts';
import { tryRead, type ReadFile } from './read-file.ts';

/** The secret without the line break at its end. The path is not shown before it is known to be one. */
export function readSecretFile(
  where: string,
  path: unknown,
  readFile: ReadFile,
): Problem | { readonly where: string; readonly value: string } {
  if (typeof path !== 'string') return { where, was: nameType(path), expected: 'the path of a file' };
  const content = tryRead(path, readFile);
  if (typeof content === 'string')
    return { where, was: `${content} (not shown)`, expected: 'the path of a readable file' };
  const [problem] = refuseOpenMode(where, path, content.mode);
  return problem ?? { where, value: content.text.replace(/[\r\n]+$/, '') };
}

/** A file that holds a secret is its owner's alone. */
export function refuseOpenMode(where: string, path: string, mode: number): Problem[] {
  if ((mode & 0o077) === 0) return [];
  const was = `${path} with mode ${(mode & 0o777).toString(8).padStart(4, '0')}`;
  return [
    { where, was, expected: 'a file that its owner alone can read (chmod 600), for it holds a secret' },
  ];
}
