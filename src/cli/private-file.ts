/** Reading a file that holds a secret: from disk, with a warning where others may read it too, or from stdin. */
import { open } from 'node:fs/promises';
import { CommandFailed } from './exit-codes.ts';
import { readInput, say, type Terminal } from './terminal.ts';

/** @throws {CommandFailed} where it cannot be read */
export async function readPrivateFile(terminal: Terminal, path: string): Promise<string> {
  return path === '-' ? readInput(terminal) : readFromDisk(terminal, path);
}

async function readFromDisk(terminal: Terminal, path: string): Promise<string> {
  try {
    const file = await open(path);
    try {
      const { mode } = await file.stat();
      if ((mode & 0o044) !== 0) say(terminal, `Others on this machine can read ${path}: chmod 600 it.`);
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new CommandFailed(`${path} cannot be read (${code}).`);
  }
}
