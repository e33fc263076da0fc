/**
 * How soon a guarded server elsewhere refuses what was revoked, and what its guard costs: `npm run bench:guards`. The service,
 * the guarded server and whoever asks are processes of their own, on the loopback address.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import express from 'express';
import { createGuard, type GuardOptions } from '../src/middleware/express.ts';
import { describeTimes, markdownTable, spread } from './report.ts';
import { createKey, createResourceServer, revoke, serveEmbedded, tokenFor } from './service.ts';

interface Served {
  readonly issuer: string;
  readonly ownerKey: string;
  readonly apiKey: string;
  /** The key of the guarded server. */
  readonly serverKey: string;
}

interface Guarded {
  readonly url: string;
}

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    keys: { type: 'string', default: '200' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
  },
});
const [role, given = ''] = positionals;
const paths = ['/open', '/guarded'];
const answer = { items: Array.from({ length: 5 }, (_, i) => ({ name: `Item ${i}`, revision: i })) };
const agent = new Agent({ keepAlive: true });

if (role === 'service') await serveService();
else if (role === 'guarded') await serveGuarded(JSON.parse(given) as GuardOptions);
else await measure();

async function measure(): Promise<void> {
  const [service, served] = await start<Served>('service');
  const { issuer, serverKey } = served;
  const guardOptions = { issuer, audience: issuer, apiKey: serverKey } satisfies GuardOptions;
  const [guarded, { url }] = await start<Guarded>('guarded', JSON.stringify(guardOptions));
  try {
    say(await measureRefusals(served, url));
    say('');
    say(await measureCost(guarded, url, await tokenFor(issuer, served.apiKey)));
  } finally {
    guarded.disconnect();
    service.disconnect();
  }
}

/** From the sending of the call that revokes a key, and from its answer, to the first refusal of the key's token. */
async function measureRefusals(served: Served, url: string): Promise<string> {
  const { issuer } = served;
  const count = Number(options.keys);
  const [sinceSent, sinceAnswered, answers] = [[], [], []] as [number[], number[], number[]];
  for (let i = 0; i < count; i += 1) {
    const apiKey = await createKey(issuer, served.ownerKey);
    const token = await tokenFor(issuer, apiKey);
    if ((await ask(url, token)) !== 200) throw new Error('a good token was refused');
    const sent = performance.now();
    const revoking = revoke(issuer, apiKey).then(() => performance.now());
    for (let status = 200; status === 200;) {
      status = await ask(url, token);
      if (status !== 200 && status !== 401) throw new Error(`the guard answered ${status}`);
    }
    const refused = performance.now();
    const answered = await revoking;
    answers.push(answered - sent);
    sinceSent.push(refused - sent);
    // Where it was refused before that: nobody was let in after the answer.
    sinceAnswered.push(Math.max(0, refused - answered));
    for (let again = 0; again < 3; again += 1)
      if ((await ask(url, token)) !== 401) throw new Error('what was refused was let in again');
  }
  return markdownTable([
    ['ms', 'count', 'p50', 'p99', 'max'],
    ['revoke sent → answered', ...describeTimes(answers)],
    ['revoke sent → first refusal', ...describeTimes(sinceSent)],
    ['revoke answered → first refusal', ...describeTimes(sinceAnswered)],
  ]);
}

interface Round {
  readonly requests: number;
  /** Milliseconds. */
  readonly p99: number;
  /** Microseconds of the server's CPU for a request. */
  readonly cpu: number;
}

/** The same route of the same server, with its guard and without, by turns. */
async function measureCost(server: ChildProcess, url: string, token: string): Promise<string> {
  const run = (path: string, seconds: number) => runRound(server, url + path, token, seconds);
  for (const path of paths) await run(path, 2);
  const results: Record<string, Round[]> = { '/open': [], '/guarded': [] };
  for (let i = 0; i < Number(options.rounds); i += 1) {
    // Neither is always the first.
    for (const path of i % 2 === 0 ? paths : paths.toReversed())
      results[path]?.push(await run(path, Number(options.seconds)));
  }
  return describeCost(results['/open'] ?? [], results['/guarded'] ?? []);
}

async function runRound(server: ChildProcess, url: string, token: string, seconds: number): Promise<Round> {
  const before = await askForCpu(server);
  const headers = { authorization: `Bearer ${token}` };
  const result = await autocannon({ url, method: 'GET', headers, connections: 64, duration: seconds });
  if (result.non2xx > 0 || result.errors > 0) throw new Error(`${url} was refused`);
  const answered = result['2xx'];
  return {
    requests: answered / result.duration,
    p99: result.latency.p99,
    cpu: ((await askForCpu(server)) - before) / answered,
  };
}

function describeCost(open: readonly Round[], guarded: readonly Round[]): string {
  const row = (name: string, rounds: readonly Round[]) => [
    name,
    spread(rounds.map(({ requests }) => requests)),
    spread(rounds.map(({ p99 }) => p99)),
    spread(rounds.map(({ cpu }) => cpu)),
  ];
  // Round by round, for neighbours in time were disturbed alike.
  const pairs = open.map((round, i) => [round, guarded[i] ?? round] as const);
  const byRequests = pairs.map(([bare, behind]) => behind.requests / bare.requests);
  const byCpu = pairs.map(([bare, behind]) => bare.cpu / behind.cpu);
  const header = ['route', 'req/s (min–max)', 'p99 ms', 'CPU µs a request'];
  return [
    markdownTable([header, row('Express', open), row('Express, guarded', guarded)]),
    '',
    `guarded ÷ unguarded: ${spread(byRequests, 2)} by requests, ${spread(byCpu, 2)} by CPU`,
  ].join('\n');
}

async function serveGuarded(guardOptions: GuardOptions): Promise<void> {
  const guard = createGuard(guardOptions);
  await guard.ready();
  const app = express();
  const demand = {
    controller: 'Personalize.Connections',
    scope: 'personalize.external_webservices:read',
  } as const;
  app.get('/open', (_req, res) => void res.json(answer));
  app.get('/guarded', guard(demand), (_req, res) => void res.json(answer));
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  answerWithCpu();
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : '';
  process.send?.({ url: `http://127.0.0.1:${port}` } satisfies Guarded);
}

async function serveService(): Promise<void> {
  const served = await serveEmbedded();
  const authorization = await createResourceServer(served);
  const serverKey = atob(authorization.slice('Basic '.length)).slice(1);
  process.once('disconnect', () => process.exit());
  process.send?.({ ...served, serverKey } satisfies Served);
}

async function start<T>(...args: string[]): Promise<[ChildProcess, T]> {
  const child = fork(import.meta.filename, args, {
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const [message] = (await once(child, 'message')) as [T];
  return [child, message];
}

/** Microseconds, for the process and each time that it is asked. */
function answerWithCpu(): void {
  process.once('disconnect', () => process.exit());
  process.on('message', () => {
    const { user, system } = process.cpuUsage();
    process.send?.(user + system);
  });
}

async function askForCpu(child: ChildProcess): Promise<number> {
  const answered = once(child, 'message');
  child.send('cpu');
  const [cpu] = (await answered) as [number];
  return cpu;
}

function ask(url: string, token: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` };
    request(`${url}/guarded`, { agent, headers }, response => {
      response.resume().once('end', () => resolve(response.statusCode ?? 0));
    })
      .once('error', reject)
      .end();
  });
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
