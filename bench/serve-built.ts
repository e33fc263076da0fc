/** Starts the built service as a process of its own, which ends with this one. Built by whoever starts the measurement. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import type { Serve } from '../test/support/instances.ts';
import { until } from '../test/support/until.ts';

const root = path.resolve(import.meta.dirname, '..');

export const serveBuilt: Serve = async env => {
  const child = spawn(process.execPath, [path.join(root, 'dist/cli/main.js'), 'serve'], {
    cwd: root,
    env: { PATH: process.env['PATH'], KEYTURN_PORT: '0', KEYTURN_LOG_LEVEL: 'silent', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const endNow = () => void child.kill('SIGKILL');
  process.once('exit', endNow);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = once(child, 'close').then(() => {
    process.off('exit', endNow);
    return { code: child.exitCode, signal: child.signalCode, stdout: '', stderr };
  });
  const line = /^Keyturn serves on (\S+) \(port (\d+)\)\.$/m;
  await until('keyturn serves', () => {
    if (child.exitCode !== null) throw new Error(`keyturn serve ended: ${stderr}`);
    return line.test(stderr);
  });
  const [, url = '', port] = line.exec(stderr) ?? [];
  const kill = (signal: NodeJS.Signals = 'SIGTERM') => void child.kill(signal);
  return { stdout: '', stderr, ended, kill, url, port: Number(port) };
};
