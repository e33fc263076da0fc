/** The secrets of an embedded deployment: made once, kept beside its store, readable by nobody else. */
import { randomBytes } from 'node:crypto';
import { open, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '../protocol/system-error.ts';
import { WrongSecrets } from './deployment.ts';

export interface LocalSecrets {
  readonly peppers: readonly string[];
  readonly masterKey: string;
}

/**
 * Fills in what is not configured from the files `pepper` and `master-key`.
 *
 * @param isNew whether the store has never been in service: only then may a missing file be made
 * @throws {WrongSecrets} where a file is missing, or others may read it
 */
export async function openLocalSecrets(
  directory: string,
  configured: { peppers?: readonly string[] | undefined; masterKey?: string | undefined },
  isNew: boolean,
): Promise<LocalSecrets> {
  const read = (name: string) => readSecret(join(directory, name), isNew);
  return {
    peppers: configured.peppers ?? (await read('pepper')).split(/[\s,]+/),
    masterKey: configured.masterKey ?? (await read('master-key')),
  };
}

const markName = 'in-service';

/** Notes that the store beside this file is in service: if it is ever found empty, it was lost. */
export async function markInService(directory: string, epoch: string): Promise<void> {
  await writeFile(join(directory, markName), `${epoch}\n`, { mode: 0o600 });
}

export async function wasInService(directory: string): Promise<boolean> {
  return (await readIfThere(join(directory, markName))) !== undefined;
}

async function readSecret(file: string, mayMake: boolean): Promise<string> {
  const text = await readIfThere(file);
  if (text === undefined) {
    if (!mayMake) throw new WrongSecrets(`${file} is missing: the store beside it cannot be used without it`);
    return makeSecret(file);
  }
  if (((await stat(file)).mode & 0o077) !== 0)
    throw new WrongSecrets(`${file} may be read by others: chmod 600 it`);
  return text.trim();
}

/** Synced to disk before it is used: what is hashed or sealed with it must never outlive it. */
async function makeSecret(file: string): Promise<string> {
  const secret = randomBytes(32).toString('base64url');
  const handle = await open(file, 'wx', 0o600);
  try {
    await handle.writeFile(`${secret}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return secret;
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}
