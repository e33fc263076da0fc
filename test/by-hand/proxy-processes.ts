/** nginx and Caddy as this machine has them, with the configurations of examples/, on ports and in directories of their own. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort } from '../support/free-port.ts';
import { until } from '../support/until.ts';

export interface ProxyProcess {
  readonly port: number;
  stop(): Promise<void>;
}

export interface Behind {
  readonly keyturnPort: number;
  readonly appPort: number;
}

const examples = path.resolve(import.meta.dirname, '../../examples');

/** Those of the programs that this machine does not have. */
export function findMissing(programs: readonly string[]): string[] {
  return programs.filter(program => spawnSync(program, ['-h'], { stdio: 'ignore' }).error !== undefined);
}

export function startNginx(behind: Behind): Promise<ProxyProcess> {
  return start('nginx', 'nginx/keyturn.conf', behind, async directory => {
    const main = path.join(directory, 'nginx.conf');
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      .map(what => `  ${what}_temp_path ${directory}/${what};\n`)
      .join('');
    await writeFile(
      main,
      `daemon off;\npid ${directory}/pid;\nerror_log ${directory}/error.log;\nevents {}\n` +
        `http {\n  access_log off;\n${temporary}  include keyturn.conf;\n}\n`,
    );
    return ['-p', directory, '-c', main, '-e', path.join(directory, 'error.log')];
  });
}

export function startCaddy(behind: Behind): Promise<ProxyProcess> {
  return start('caddy', 'caddy/Caddyfile', behind, async directory => {
    const main = path.join(directory, 'Caddyfile.check');
    await mkdir(path.join(directory, 'storage'));
    await writeFile(
      main,
      `{\n\tadmin off\n\tdefault_bind 127.0.0.1\n\tstorage file_system ${directory}/storage\n}\nimport Caddyfile\n`,
    );
    return ['run', '--config', main, '--adapter', 'caddyfile'];
  });
}

async function start(
  program: string,
  example: string,
  behind: Behind,
  prepare: (directory: string) => Promise<string[]>,
): Promise<ProxyProcess> {
  const directory = await mkdtemp(path.join(tmpdir(), `keyturn-${program}-`));
  const port = await freePort();
  await cp(path.join(examples, path.dirname(example)), directory, { recursive: true });
  await movePorts(path.join(directory, path.basename(example)), port, behind);
  const child = spawn(program, await prepare(directory), {
    cwd: directory,
    env: { ...process.env, HOME: directory, XDG_CONFIG_HOME: directory },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', chunk => (said += String(chunk)));
  const stop = async () => {
    await end(child);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await untilListening(port, child);
  } catch (error) {
    await stop();
    throw new Error(`${program} did not start: ${said}`, { cause: error });
  }
  return { port, stop };
}

/** The three addresses of an example, and nothing else of it. */
async function movePorts(file: string, port: number, { keyturnPort, appPort }: Behind): Promise<void> {
  const text = await readFile(file, 'utf8');
  const moved = text
    .replaceAll('127.0.0.1:8080', `127.0.0.1:${keyturnPort}`)
    .replaceAll('127.0.0.1:3000', `127.0.0.1:${appPort}`)
    .replaceAll('listen 8000;', `listen 127.0.0.1:${port};`)
    .replaceAll('http://:8000 {', `http://:${port} {`);
  if (!moved.includes(String(port))) throw new Error(`${file} names no port to listen on`);
  await writeFile(file, moved);
}

async function untilListening(port: number, child: ChildProcess): Promise<void> {
  await until('the proxy listens', () => {
    if (child.exitCode !== null) throw new Error(`exit code ${child.exitCode}`);
    return isListening(port);
  });
}

function isListening(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise(resolve => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
}
