/** Guarded servers as processes of their own: one that stands still lets nothing in on old news, one that is closed ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { GuardOptions } from '../../../src/middleware/express.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { startService, type TestService } from '../../support/service.ts';
import { until } from '../../support/until.ts';
import { connections } from './guarded.ts';

const program = path.join(import.meta.dirname, 'guarded-process.ts');
let service: TestService;
let apiKey: string;
beforeAll(async () => {
  service = await startService();
  ({ apiKey } = await service.createKey({ feature: 'resource-server' }));
});
afterAll(() => service.stop());

async function start(mode: 'serve' | 'close', changes: Partial<GuardOptions> = {}) {
  const options = { issuer: service.url, audience: service.url, apiKey, ...changes };
  const args = ['--import', 'tsx', program, mode, JSON.stringify({ options, demand: connections })];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = once(child, 'close');
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  await until('it serves', () => {
    if (child.exitCode !== null) throw new Error(`it ended: ${stderr}`);
    return stdout.startsWith('port ');
  });
  const port = Number(stdout.slice('port '.length));
  const ask = async (token: string) => {
    const response = await fetch(`http://127.0.0.1:${port}/`, {
      headers: { authorization: `Bearer ${token}` },
    });
    await response.text();
    return response.status;
  };
  return { child, ask, ended, stderr: () => stderr };
}

async function revoke(token: string): Promise<void> {
  const body = new URLSearchParams({ token });
  expect((await fetch(`${service.url}/oauth/revoke`, { method: 'POST', body })).status).toBe(200);
}

test.each([5, 4, 3.5])(
  'a server that was frozen for %d seconds lets nothing in that was revoked meanwhile',
  async seconds => {
    const { child, ask } = await start('serve', { maxStaleness: 3 });
    const [gone, kept] = [await service.token(service.sampleKey), await service.token(service.sampleKey)];
    await until('it lets in', async () => (await ask(gone)) === 200);
    expect(await ask(kept)).toBe(200);
    child.kill('SIGSTOP');
    const frozen = performance.now();
    await revoke(gone);
    // They wait in its socket, before and behind what it is told.
    const waiting = Array.from({ length: 20 }, () => ask(gone));
    await until('it has stood still', () => performance.now() - frozen > seconds * 1000);
    waiting.push(...Array.from({ length: 20 }, () => ask(gone)));
    child.kill('SIGCONT');
    const statuses = new Set(await Promise.all(waiting));
    await until('it has caught up', async () => {
      const status = await ask(gone);
      statuses.add(status);
      return status === 401;
    });
    expect([...statuses].filter(status => status !== 401 && status !== 503)).toEqual([]);
    await until('it lets in again', async () => (await ask(kept)) === 200);
  },
  60_000,
);

test('a process ends by itself once its guard is closed', async () => {
  const { ended, stderr } = await start('close');
  expect(await ended).toEqual([0, null]);
  expect(stderr()).toBe('');
});

test.each<[string, 'drop' | 'refuse']>([
  ['says nothing', 'drop'],
  ['is away', 'refuse'],
])('also where the service %s', async (_, fault) => {
  const proxy = await startFaultProxy(service.port);
  onTestFinished(() => proxy.close());
  await proxy[fault]();
  const { ended, stderr } = await start('close', { url: `http://127.0.0.1:${proxy.port}` });
  expect(await ended).toEqual([0, null]);
  expect(stderr()).toContain('are not to be had');
  expect(stderr()).not.toContain(apiKey);
});
