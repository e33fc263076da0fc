/** nginx with `proxy_pass`, as Debian installs it: one process, on a port of its own, in a directory of its own. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../test/support/free-port.ts';
import type { ServerProcess } from './server-process.ts';

/** Its version; undefined where it is not installed. */
export function findNginx(): string | undefined {
  const { status, stderr } = spawnSync('nginx', ['-v'], { encoding: 'utf8' });
  return status === 0 ? stderr.trim().replace('nginx version: ', '') : undefined;
}

export async function startNginx(upstream: string): Promise<ServerProcess> {
  const directory = mkdtempSync(path.join(tmpdir(), 'keyturn-bench-nginx-'));
  const port = await freePort();
  const file = path.join(directory, 'nginx.conf');
  writeFileSync(file, configuration(directory, port, new URL(upstream).host));
  const child = spawn('nginx', ['-p', directory, '-c', file], { stdio: ['ignore', 'ignore', 'inherit'] });
  const url = `http://127.0.0.1:${port}`;
  await untilItAnswers(url);
  return {
    target: { url, method: 'GET', headers: {} },
    cpu: async () => cpuOf(child.pid ?? 0),
    async stop() {
      const ended = new Promise(resolve => {
        child.once('exit', resolve);
      });
      child.kill();
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function configuration(directory: string, port: number, upstream: string): string {
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `
daemon off;
master_process off;
pid ${directory}/pid;
error_log ${directory}/error.log;
events { worker_connections 1024; }
http {
  access_log ${directory}/access.log;
  ${places.map(place => `${place}_temp_path ${directory}/${place};`).join(' ')}
  keepalive_requests 1000000;
  upstream bench { server ${upstream}; keepalive 128; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://bench;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
}`;
}

/** Microseconds, in steps of the kernel's hundredth of a second (proc(5)). */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

async function untilItAnswers(url: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    try {
      await (await fetch(url)).text();
      return;
    } catch {
      await delay(50);
    }
  }
  throw new Error('nginx does not answer');
}
