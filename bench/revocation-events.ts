/**
 * How soon a resource server elsewhere hears of a revocation, and what thousands who listen cost: `npm run
 * bench:revocation`. The service, those who listen and the load are processes of their own, on the loopback address.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import { openEvents } from '../test/support/event-reader.ts';
import { exchangeRequest } from './bare-servers.ts';
import { describeTimes, markdownTable } from './report.ts';
import { createResourceServer, revoke, serveEmbedded, tokenFor } from './service.ts';

interface Served {
  readonly issuer: string;
  /** Of the feature `connections`. */
  readonly apiKey: string;
  /** `Authorization` of one who may listen. */
  readonly authorization: string;
}

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    revocations: { type: 'string', default: '500' },
    listeners: { type: 'string', multiple: true, default: ['0', '2000', '10000', '0'] },
    seconds: { type: 'string', default: '8' },
  },
});
const path = '/oauth/revocations';
/** How long those who listen are left alone before the load begins. */
const restSeconds = 5;

if (positionals[0] === 'serve') await serve();
else if (positionals[0] === 'listen') await listen(positionals[1] ?? '', positionals[2] ?? '');
else await measure();

async function measure(): Promise<void> {
  const [server, served] = await start<Served>('serve');
  try {
    await measureLatency(served);
    const rows: string[][] = [];
    for (const count of options.listeners) rows.push(await measureListeners(server, served, Number(count)));
    const header = [
      'listeners',
      'CPU ms/s at rest',
      'token requests/s',
      'p50 ms',
      'p99 ms',
      'max ms',
      'RSS MB',
      'kB a listener',
    ];
    say(markdownTable([header, ...rows]));
  } finally {
    server.disconnect();
  }
}

/** From the sending of the request that revokes, which is answered when it is in force. */
async function measureLatency({ issuer, apiKey, authorization }: Served): Promise<void> {
  const count = Number(options.revocations);
  let reader = await openEvents(issuer + path, { authorization });
  await reader.next('snapshot');
  const [heard, answered, resumed] = [[], [], []] as [number[], number[], number[]];
  for (let i = 0; i < count; i += 1) {
    const token = await tokenFor(issuer, apiKey);
    const since = performance.now();
    const answer = revoke(issuer, token).then(() => answered.push(performance.now() - since));
    const { id } = await reader.next('revocation');
    heard.push(performance.now() - since);
    await answer;
    if (i % 5 > 0) continue;
    reader.close();
    await revoke(issuer, await tokenFor(issuer, apiKey));
    const back = performance.now();
    reader = await openEvents(issuer + path, { authorization, 'last-event-id': id });
    await reader.next('revocation');
    resumed.push(performance.now() - back);
  }
  reader.close();
  const rows = [
    ['revoke sent → event heard', ...describeTimes(heard)],
    ['revoke sent → answered', ...describeTimes(answered)],
    ['reconnect → missed event heard', ...describeTimes(resumed)],
  ];
  say(markdownTable([['ms', 'count', 'p50', 'p99', 'max'], ...rows]));
  say('');
}

async function measureListeners(server: ChildProcess, served: Served, count: number): Promise<string[]> {
  const before = await askForUse(server);
  const listeners = count === 0 ? undefined : (await start('listen', JSON.stringify(served), `${count}`))[0];
  const after = await askForUse(server);
  await delay(restSeconds * 1000);
  const rested = await askForUse(server);
  const target = {
    url: `${served.issuer}/oauth/token`,
    method: 'POST',
    ...exchangeRequest(served.apiKey),
  } as const;
  const result = await autocannon({ ...target, connections: 64, duration: Number(options.seconds) });
  if (listeners !== undefined) {
    listeners.disconnect();
    await once(listeners, 'exit');
  }
  if (result.non2xx > 0 || result.errors > 0) throw new Error('a token request was refused');
  const { p50, p99, max } = result.latency;
  const each = count === 0 ? '' : (((after.rss - before.rss) / count) * 1000).toFixed(1);
  const atRest = (rested.cpu - after.cpu) / restSeconds;
  const figures = [atRest, result['2xx'] / result.duration, p50, p99, max, after.rss];
  return [String(count), ...figures.map(value => value.toFixed(0)), each];
}

/** What the process has used: megabytes, and milliseconds of CPU. */
interface Use {
  readonly rss: number;
  readonly cpu: number;
}

async function serve(): Promise<void> {
  const served = await serveEmbedded();
  const authorization = await createResourceServer(served);
  process.on('message', () => {
    globalThis.gc?.();
    const { user, system } = process.cpuUsage();
    process.send?.({ rss: process.memoryUsage().rss / 1e6, cpu: (user + system) / 1000 } satisfies Use);
  });
  process.once('disconnect', () => process.exit());
  process.send?.({ issuer: served.issuer, apiKey: served.apiKey, authorization } satisfies Served);
}

/** Listens so many times over, and does nothing with what it hears. */
async function listen(text: string, count: string): Promise<void> {
  const { issuer, authorization } = JSON.parse(text) as Served;
  const request = `GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\n\r\n`;
  const open = async () => {
    const socket = connect({ port: Number(new URL(issuer).port), host: '127.0.0.1' });
    socket.on('data', () => undefined).write(request);
    await once(socket, 'data');
  };
  for (let opened = 0; opened < Number(count); opened += 100)
    await Promise.all(Array.from({ length: 100 }, open));
  process.once('disconnect', () => process.exit());
  process.send?.('listening');
}

async function start<T>(...args: string[]): Promise<[ChildProcess, T]> {
  const execArgv = ['--expose-gc', '--import', 'tsx'];
  const child = fork(import.meta.filename, args, { execArgv, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const [answer] = (await once(child, 'message')) as [T];
  return [child, answer];
}

async function askForUse(child: ChildProcess): Promise<Use> {
  const answered = once(child, 'message');
  child.send('use');
  const [use] = (await answered) as [Use];
  return use;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
