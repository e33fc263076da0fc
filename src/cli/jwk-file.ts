/** Files that hold a JWK: one that may be shown, or one that must not. What is in a file is never repeated. */
import { type FileHandle, open } from 'node:fs/promises';
import { type PublicJwk, readPublicJwk } from '../issuer/public-jwk.ts';
import { CommandFailed } from './exit-codes.ts';
import { readInput, say, type Terminal } from './terminal.ts';

/**
 * The file of `--public-jwk`. It is looked at before it is sent: a private key must not leave the machine by mistake.
 *
 * @throws {CommandFailed} where it cannot be read, or there is no public key in it
 */
export async function readPublicJwkFile(path: string): Promise<PublicJwk> {
  const text = await readFrom(path, file => file.readFile('utf8'));
  const faults: string[] = [];
  const jwk = readPublicJwk(parseObject(path, text, 'public'), (member, detail) => {
    faults.push(`  ${member}${member === '' ? '' : ': '}${detail}`);
  });
  if (jwk !== undefined) return jwk;
  throw new CommandFailed(`${path} holds no public JWK that a key may have:\n${faults.join('\n')}`);
}

/**
 * A private key, from disk, with a warning where others may read it too, or from stdin (`-`).
 *
 * @throws {CommandFailed} where it cannot be read
 */
export async function readPrivateJwkFile(terminal: Terminal, path: string): Promise<object> {
  const text = await (path === '-'
    ? readInput(terminal)
    : readFrom(path, async file => {
        const { mode } = await file.stat();
        if ((mode & 0o044) !== 0) say(terminal, `Others on this machine can read ${path}: chmod 600 it.`);
        return file.readFile('utf8');
      }));
  return parseObject(path, text, 'private');
}

async function readFrom(path: string, read: (file: FileHandle) => Promise<string>): Promise<string> {
  try {
    const file = await open(path);
    try {
      return await read(file);
    } finally {
      await file.close();
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new CommandFailed(`${path} cannot be read (${code}).`);
  }
}

/** What a parser says of a fault may repeat the secret. */
function parseObject(
  path: string,
  text: string,
  kind: 'public' | 'private',
): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new CommandFailed(`${path} holds no JSON object: bring a ${kind} JWK.`);
}
