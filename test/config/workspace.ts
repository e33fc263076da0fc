/** A directory with configuration files that the tests write, and the loader on them. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { loadSettings, type LoadedSettings } from '../../src/config/load.ts';
import { ConfigurationError, type Problem } from '../../src/config/problems.ts';

const directory = mkdtempSync(join(tmpdir(), 'keyturn-config-'));
afterAll(() => rmSync(directory, { recursive: true }));

let count = 0;

/** The path of a new file, the owner's alone unless a mode is given. */
export function writeFile(content: string, mode = 0o600): string {
  const path = join(directory, `file-${count++}`);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

export function writeJson(value: unknown, mode?: number): string {
  return writeFile(JSON.stringify(value), mode);
}

/** With the file of settings that holds the members. */
export function loadWithFile(members: unknown, env: NodeJS.ProcessEnv = {}): LoadedSettings {
  return loadSettings({ KEYTURN_CONFIG: writeJson(members), ...env });
}

/** The error that loading ends with. */
export function failureOf(load: () => unknown): ConfigurationError {
  try {
    load();
  } catch (error) {
    if (error instanceof ConfigurationError) return error;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

export function problemsOf(env: NodeJS.ProcessEnv): readonly Problem[] {
  return failureOf(() => loadSettings(env)).problems;
}
