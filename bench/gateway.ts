/**
 * Measures the gateway beside other ways to the same upstream, in alternating rounds of one run: `npm run bench:gateway`.
 * Figures of different runs or machines are not to be compared; the ratios of one run are.
 */
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { answerSizes, type GatewaySubject, gatewaySubjects, isGatewaySubject } from './gateway-subjects.ts';
import { type Round, runRound } from './load.ts';
import { findNginx, startNginx } from './nginx-process.ts';
import { markdownTable, spread } from './report.ts';
import { type ServerProcess, startProcess } from './server-process.ts';

const { values: options } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, seconds: { type: 'string', default: '3' } },
});
const rounds = readNumber('--rounds', options.rounds, 10);
const seconds = readNumber('--seconds', options.seconds, 20);
const nginx = findNginx();

const servers = new Map<GatewaySubject, ServerProcess>();
try {
  const upstream = await startProcess('gateway-server.js', ['upstream']);
  servers.set('upstream', upstream);
  const others = Object.keys(gatewaySubjects)
    .filter(isGatewaySubject)
    .filter(subject => subject !== 'upstream');
  for (const subject of others) {
    if (subject !== 'nginx')
      servers.set(subject, await startProcess('gateway-server.js', [subject, upstream.target.url]));
    else if (nginx === undefined) say('nginx is left out: it is not installed.');
    else servers.set(subject, await startNginx(upstream.target.url));
  }
  say(
    `Node ${process.versions.node}, ${nginx ?? 'no nginx'}, ${availableParallelism()} CPUs (${cpus()[0]?.model})\n`,
  );
  for (const size of answerSizes) say(describe(size, await measure(size)));
  for (const subject of servers.keys()) say(`- ${subject}: ${gatewaySubjects[subject]}`);
} finally {
  for (const server of servers.values()) await server.stop();
}

/** Round by round, every subject in its turn: what disturbs the machine disturbs all. */
async function measure(size: number): Promise<Map<GatewaySubject, Round[]>> {
  const results = new Map<GatewaySubject, Round[]>();
  const ask = ({ target, ...server }: ServerProcess, length: number) =>
    runRound({ ...server, target: { ...target, url: `${target.url}/items/${size}` } }, length);
  for (const [subject, server] of servers) {
    await ask(server, 3);
    results.set(subject, []);
  }
  for (let round = 1; round <= rounds; round += 1) {
    process.stderr.write(`${size} bytes, round ${round} of ${rounds}\n`);
    for (const [subject, server] of servers) results.get(subject)?.push(await ask(server, seconds));
  }
  return results;
}

function describe(size: number, results: ReadonlyMap<GatewaySubject, readonly Round[]>): string {
  const reference = results.get('http-proxy-3') ?? [];
  const rows = [...results].map(([subject, measured]) => [
    subject,
    spread(measured.map(round => round.requestsPerSecond)),
    spread(
      measured.map((round, i) => round.requestsPerSecond / (reference[i]?.requestsPerSecond ?? 0)),
      2,
    ),
    spread(
      measured.map(round => round.p50),
      1,
    ),
    spread(
      measured.map(round => round.p99),
      1,
    ),
    spread(measured.map(round => round.cpu)),
  ]);
  const header = ['GET', 'req/s (min–max)', '× http-proxy-3', 'p50 ms', 'p99 ms', 'CPU µs'];
  return `${size} bytes\n\n${markdownTable([header, ...rows])}\n`;
}

function readNumber(option: string, text: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new Error(`${option} takes a whole number from 1 to ${most}, not "${text}"`);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
