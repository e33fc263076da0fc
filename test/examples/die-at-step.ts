/** Loaded before a program: it is killed at its DIE_AT-th deed, be it on the disk, beside `DIE_BESIDE`, or a request. */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

let deeds = 0;

function count(): void {
  deeds += 1;
  if (deeds === Number(process.env['DIE_AT'])) process.kill(process.pid, 'SIGKILL');
}

const deedNames = [
  'linkSync',
  'openSync',
  'renameSync',
  'rmSync',
  'symlinkSync',
  'writeFileSync',
  'fsyncSync',
] as const;

for (const name of deedNames) {
  const original = fs[name] as (...args: unknown[]) => unknown;
  const counted = (...args: unknown[]) => {
    const isOurs = args.some(
      arg => typeof arg === 'string' && arg.startsWith(process.env['DIE_BESIDE'] ?? ''),
    );
    if (isOurs || typeof args[0] === 'number') count();
    return original(...args);
  };
  Object.assign(fs, { [name]: counted });
}
syncBuiltinESMExports();

const { fetch } = globalThis;
globalThis.fetch = (...args) => {
  count();
  return fetch(...args);
};
