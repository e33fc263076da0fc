/** `keyturn doctor`: looks a server over, and says what is not as it should be. */
import type { Command } from 'commander';
import { clockSkewSeconds } from '../../access/verify-token.ts';
import { loadClientSettings } from '../../config/client-settings.ts';
import { type AdminClient, type JsonObject, openAdminClient } from '../admin-client.ts';
import { allowsAnyController, allowsAnyOrigin } from '../discouraged.ts';
import { fetchIssuer, fetchPublic } from '../discovery.ts';
import { CommandFailed, exitCodes, explainFailure } from '../exit-codes.ts';
import { withJson } from '../options.ts';
import { type OutputOptions, print, printJson, type Terminal } from '../terminal.ts';
import { requestVerification } from './audit.ts';

export function addDoctorCommand(program: Command, terminal: Terminal): void {
  withJson(program.command('doctor'))
    .description(
      'look the server over; exits with 1 where something is wrong, with 69 where it cannot be reached',
    )
    .action(options => doctor(terminal, options));
}

type Level = 'ok' | 'warn' | 'fail';

interface Finding {
  readonly level: Level;
  readonly check: string;
  readonly detail: string;
}

type Judgement = readonly [level: Level, detail: string];

async function doctor(terminal: Terminal, { json }: OutputOptions): Promise<void> {
  const findings: Finding[] = [];
  for await (const finding of examine(terminal)) {
    findings.push(finding);
    const { level, check, detail } = finding;
    if (json !== true) print(terminal, `${level.padEnd(4)}  ${check}: ${detail}`);
  }
  if (json === true) printJson(terminal, findings);
  const failed = findings.filter(({ level }) => level === 'fail').map(({ check }) => check);
  if (failed.includes('reachable')) throw new CommandFailed('', exitCodes.unreachable);
  if (failed.length > 0) throw new CommandFailed('');
}

async function* examine(terminal: Terminal): AsyncGenerator<Finding> {
  const { url, apiKey } = loadClientSettings(terminal.env);
  const reachable = await judge('reachable', 'fail', () => judgeLife(url));
  yield reachable;
  if (reachable.level === 'fail') return;
  yield judge('ready', 'fail', () => judgeReadiness(url));
  yield judge('issuer', 'fail', () => judgeIssuer(url));
  yield judge('clock', 'fail', () => judgeClock(url, terminal.clock ?? Date.now));
  if (apiKey === undefined) {
    yield {
      level: 'warn',
      check: 'key',
      detail: 'Set KEYTURN_API_KEY to an access key to have the rest looked at.',
    };
    return;
  }
  let admin: AdminClient | undefined;
  yield judge('key', 'fail', async () => {
    admin = await openAdminClient(terminal.env);
    return ['ok', 'It has a token.'];
  });
  if (admin !== undefined) yield* examineDeployment(admin);
}

/** What a role does not let one see is no fault of the server. */
async function* examineDeployment(admin: AdminClient): AsyncGenerator<Finding> {
  yield judge('peppers', 'warn', () => judgePeppers(admin));
  yield judge('audit', 'warn', () => judgeAudit(admin));
  yield judge('wildcards', 'warn', () => judgeWildcards(admin));
}

async function judge(check: string, refused: Level, look: () => Promise<Judgement>): Promise<Finding> {
  try {
    const [level, detail] = await look();
    return { level, check, detail };
  } catch (error) {
    const { exitCode, message } = explainFailure(error);
    return { level: exitCode === exitCodes.notAuthorised ? refused : 'fail', check, detail: message };
  }
}

async function judgeLife(url: string): Promise<Judgement> {
  const { status } = await fetchPublic(url, '/livez');
  return status === 200 ? ['ok', url] : ['fail', `/livez of ${url} answers ${status}: is KEYTURN_URL right?`];
}

async function judgeReadiness(url: string): Promise<Judgement> {
  const response = await fetchPublic(url, '/readyz');
  if (response.ok) return ['ok', 'It can do its work.'];
  const { detail } = (await response.json().catch(() => ({}))) as JsonObject;
  return ['fail', typeof detail === 'string' ? detail : `/readyz answers ${response.status}.`];
}

async function judgeIssuer(url: string): Promise<Judgement> {
  const issuer = await fetchIssuer(url);
  return issuer === url
    ? ['ok', issuer]
    : [
        'warn',
        `The server calls itself ${issuer}, not ${url}: give that name to clients that compare the two.`,
      ];
}

/** Seconds of difference from which one should look after a clock; {@link clockSkewSeconds} are forgiven. */
const remarkable = 2;

/** `Date` has whole seconds, and the request took a while: what these explain is no difference. */
async function judgeClock(url: string, now: () => number): Promise<Judgement> {
  const before = now();
  const response = await fetchPublic(url, '/livez');
  const [after, date] = [now(), Date.parse(response.headers.get('date') ?? '')];
  if (Number.isNaN(date)) return ['warn', 'The answers have no Date.'];
  const ahead = Math.max(0, date - after);
  const behind = Math.max(0, before - (date + 1000));
  const seconds = Math.round(Math.max(ahead, behind) / 1000);
  const words = `${seconds} s between the server's clock and this one.`;
  if (seconds < remarkable) return ['ok', words];
  return seconds <= clockSkewSeconds
    ? ['warn', `${words} Guards forgive ${clockSkewSeconds} s.`]
    : ['fail', `${words} Guards forgive ${clockSkewSeconds} s: set the clocks.`];
}

interface PepperAnswer {
  readonly waiting: number;
  readonly peppers: readonly { readonly configured: boolean; readonly secrets: number }[];
}

async function judgePeppers(admin: AdminClient): Promise<Judgement> {
  const { waiting, peppers } = (await admin.call('GET', '/admin/peppers')) as JsonObject & PepperAnswer;
  const lost = peppers.filter(({ configured }) => !configured).reduce((sum, { secrets }) => sum + secrets, 0);
  if (lost > 0) return ['fail', `Key strings that do not work, for their pepper is not configured: ${lost}.`];
  return waiting > 0
    ? ['warn', `Key strings that wait to be renewed, by their next use: ${waiting}. Keep the older peppers.`]
    : ['ok', 'No key string waits to be renewed.'];
}

async function judgeAudit(admin: AdminClient): Promise<Judgement> {
  const { entries, head, faults } = await requestVerification(admin);
  const [first] = faults;
  return first === undefined
    ? ['ok', `${entries} entries in a whole chain, head ${head}`]
    : ['fail', `The chain does not verify. The first bad entry is ${first.seq}: ${first.fault}.`];
}

async function judgeWildcards(admin: AdminClient): Promise<Judgement> {
  let [origins, controllers] = [0, 0];
  for await (const key of admin.items('/admin/keys')) {
    if (key['status'] === 'revoked') continue;
    if (allowsAnyOrigin(key)) origins += 1;
    if (allowsAnyController(key)) controllers += 1;
  }
  return origins + controllers === 0
    ? ['ok', 'No key allows every origin or controller.']
    : ['warn', `Discouraged: keys that allow every origin: ${origins}; every controller: ${controllers}.`];
}
