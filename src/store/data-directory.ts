/** The directory of an embedded deployment: there, and closed to others where it was made here. */
import { chmod, mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { hasCode } from '../protocol/system-error.ts';

/**
 * Makes the directory, and those above it, where they are missing.
 *
 * Node's own way of doing so never ends where a file system says that a path is missing whose parent is there, as Linux's
 * /proc does.
 *
 * @throws {NodeJS.ErrnoException} where that cannot be
 */
export async function openDataDirectory(directory: string): Promise<void> {
  const whole = path.resolve(directory);
  if (await isDirectory(whole)) return;
  await makeWithParents(whole);
  // Whatever the mask says.
  await chmod(whole, 0o700);
}

async function makeWithParents(directory: string): Promise<void> {
  const parent = path.dirname(directory);
  if (!(await isDirectory(parent))) await makeWithParents(parent);
  try {
    await mkdir(directory, { mode: 0o700 });
  } catch (error) {
    // Another process may be at the same.
    if (!hasCode(error, 'EEXIST') || !(await isDirectory(directory))) throw error;
  }
}

async function isDirectory(place: string): Promise<boolean> {
  try {
    return (await stat(place)).isDirectory();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}
