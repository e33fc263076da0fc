/**
 * Measures the service beside bare servers, in alternating rounds of one run: `npm run bench`. Figures of different
 * runs or machines are not to be compared; the ratios of one run are.
 */
import { mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { findRedisBinary } from '../test/support/redis-binary.ts';
import { startRedis } from '../test/support/redis-servers.ts';
import { type Round, runRound } from './load.ts';
import { describeRun } from './report.ts';
import { type ServerProcess, startServer } from './server-process.ts';
import { isSubject, needsRedis, type Subject, subjects } from './subjects.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '4' },
    only: { type: 'string', multiple: true },
    profile: { type: 'string' },
  },
});
const rounds = readNumber('--rounds', options.rounds, 20);
const seconds = readNumber('--seconds', options.seconds, 60);
if (options.profile !== undefined) mkdirSync(options.profile, { recursive: true });
const wanted = readSubjects(options.only);

const redis = wanted.some(needsRedis) && (await hasRedis()) ? await startRedis() : undefined;
const servers = new Map<Subject, ServerProcess>();
try {
  for (const subject of wanted) {
    if (redis === undefined && needsRedis(subject)) say(`"${subject}" is left out: there is no Redis here.`);
    else servers.set(subject, await startServer(subject, redis?.url ?? '', options.profile));
  }
  say(describeRun(await measure()));
} finally {
  for (const server of servers.values()) await server.stop();
  await redis?.stop();
}

/** Round by round, every subject in its turn: what disturbs the machine disturbs all. */
async function measure(): Promise<Map<Subject, Round[]>> {
  const results = new Map<Subject, Round[]>();
  for (const [subject, server] of servers) {
    await runRound(server, 2);
    results.set(subject, []);
  }
  for (let round = 1; round <= rounds; round += 1) {
    process.stderr.write(`round ${round} of ${rounds}\n`);
    for (const [subject, server] of servers) results.get(subject)?.push(await runRound(server, seconds));
  }
  return results;
}

function readSubjects(names = Object.keys(subjects)): Subject[] {
  const known = names.filter(isSubject);
  if (known.length === names.length) return known;
  throw new Error(`--only takes one of: ${Object.keys(subjects).join('; ')}`);
}

function readNumber(option: string, text: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new Error(`${option} takes a whole number from 1 to ${most}, not "${text}"`);
}

async function hasRedis(): Promise<boolean> {
  try {
    await findRedisBinary();
    return true;
  } catch (error) {
    process.stderr.write(`${String(error)}\n`);
    return false;
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
