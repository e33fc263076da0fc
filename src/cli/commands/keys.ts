/** `keyturn keys`: the whole life of API keys, through the admin API. */
import { type Command, Option } from 'commander';
import { type AdminClient, createSelfClient, type JsonObject, openAdminClient } from '../admin-client.ts';
import { warnOfWildcards } from '../discouraged.ts';
import { CommandFailed, exitCodes } from '../exit-codes.ts';
import { changeHolder, deleteHolder, type IfMatchOption } from '../holders.ts';
import { keyBody, type KeyFieldOptions, withKeyFields } from '../key-fields.ts';
import { readWholeNumber, withIfMatch, withJson, withSecret } from '../options.ts';
import {
  handOver,
  type OutputOptions,
  print,
  printJson,
  printList,
  printRecord,
  say,
  type Secret,
  type Terminal,
} from '../terminal.ts';

export function addKeysCommands(program: Command, terminal: Terminal): void {
  const keys = program.command('keys').description('make, list, change, rotate and end API keys');
  addFieldCommands(keys, terminal);
  withJson(keys.command('list'))
    .description('list keys, newest first')
    .option('--feature <name>')
    .option('--owner <account>')
    .option('--status <status>', 'draft, active, disabled, expired or revoked')
    .option('--query <text>', 'part of the name, or the id')
    .action(options => listKeys(terminal, options));
  withJson(keys.command('show').argument('<id>'))
    .description('show a key; never its secret')
    .action((id: string, options) => callForKey(terminal, 'GET', keyPath(id), options));
  for (const [step, description] of steps)
    withJson(keys.command(step).argument('<id>'))
      .description(description)
      .action((id: string, options) => callForKey(terminal, 'POST', `${keyPath(id)}/${step}`, options));
  addRotationCommands(keys, terminal);
  withIfMatch(withJson(keys.command('delete').argument('<id>')))
    .description('end a key and all its tokens, and forget it')
    .action((id: string, options) =>
      deleteHolder(terminal, keyPath(id), { id, title: `Key ${id}` }, options),
    );
}

const steps = [
  ['publish', 'make a draft live'],
  ['disable', 'end all tokens of a key, and give out no more until it is enabled'],
  ['enable', 'let a disabled key work again; its old tokens stay dead'],
  ['revoke', 'end a key and all its tokens, for good'],
] as const;

function addFieldCommands(keys: Command, terminal: Terminal): void {
  const create = withSecret(keys.command('create'))
    .description('make a key; the key string is shown this once')
    .requiredOption('--name <name>')
    .requiredOption('--feature <name>');
  withKeyFields(create)
    .option('--draft', 'not live until published')
    .action(options => createKey(terminal, options));
  const update = withIfMatch(withJson(keys.command('update').argument('<id>').usage('<id> [options]')))
    .description('change a key; what narrows it ends its tokens')
    .option('--name <name>')
    .option('--feature <name>');
  withKeyFields(update)
    .option('--clear <fields...>', 'back to the default: expires-at, origins, owner, …')
    .action((id: string, options) => updateKey(terminal, id, options));
}

function addRotationCommands(keys: Command, terminal: Terminal): void {
  const modes = new Option(
    '--mode <mode>',
    'whether the old one works on: a while, until first use, not at all',
  )
    .choices(['overlap', 'first-use', 'now'])
    .default('overlap');
  withSecret(keys.command('rotate').argument('[id]'))
    .description('give a key a new key string, which is shown this once; its id stays')
    .addOption(modes)
    .option('--grace <seconds>', 'that the old one has left; a day where absent', readWholeNumber)
    .option('--self', 'rotate the key in KEYTURN_API_KEY, by itself')
    .action((id: string | undefined, options) => rotateKey(terminal, id, options));
  withJson(keys.command('cancel-rotation').argument('<id>'))
    .description('take the new key string back; the old one works on')
    .action((id: string, options) =>
      callForKey(terminal, 'DELETE', `${keyPath(id)}/rotations/current`, options),
    );
}

function keyPath(id: string): string {
  return `/admin/keys/${encodeURIComponent(id)}`;
}

async function createKey(terminal: Terminal, options: KeyFieldOptions): Promise<void> {
  if (options.publicJwk !== undefined) return createWithoutSecret(terminal, options);
  const body = await keyBody(options);
  const admin = await openAdminClient(terminal.env);
  await handOver(terminal, options, async () => {
    const secret = readMadeKey(await admin.make('/admin/keys', body));
    const { id, name } = secret.rest.key;
    warnOfWildcards(terminal, secret.rest.key);
    say(terminal, `Key ${String(id)} ("${String(name)}") is made. It is shown this once:`);
    return secret;
  });
}

/** What the client has to know of such a key is its id. */
async function createWithoutSecret(terminal: Terminal, options: KeyFieldOptions): Promise<void> {
  if (options.out !== undefined)
    throw new CommandFailed('With --public-jwk there is no secret: leave --out out.', exitCodes.usage);
  const body = await keyBody(options);
  const admin = await openAdminClient(terminal.env);
  const made = await admin.make('/admin/keys', body);
  const { id, name } = made['key'] as JsonObject;
  warnOfWildcards(terminal, made['key'] as JsonObject);
  say(
    terminal,
    `Key ${String(id)} ("${String(name)}") is made. It has no key string: it signs. Its client id:`,
  );
  if (options.json === true) printJson(terminal, made);
  else print(terminal, String(id));
}

function readMadeKey({ key, apiKey }: JsonObject): Secret & { rest: { key: JsonObject } } {
  return { name: 'apiKey', text: String(apiKey), rest: { key: key as JsonObject } };
}

interface ListKeysOptions extends OutputOptions {
  readonly feature?: string;
  readonly owner?: string;
  readonly status?: string;
  readonly query?: string;
}

async function listKeys(terminal: Terminal, options: ListKeysOptions): Promise<void> {
  const { feature, owner, status, query, ...output } = options;
  const admin = await openAdminClient(terminal.env);
  const keys = admin.items('/admin/keys', { feature, owner, status, q: query });
  await printList(terminal, keys, output, key => [key['id'], key['status'], key['feature'], key['name']]);
}

async function callForKey(
  terminal: Terminal,
  method: string,
  path: string,
  options: OutputOptions,
): Promise<void> {
  const admin = await openAdminClient(terminal.env);
  printRecord(terminal, await admin.call(method, path), options);
}

async function updateKey(
  terminal: Terminal,
  id: string,
  { ifMatch, ...options }: KeyFieldOptions & IfMatchOption,
): Promise<void> {
  await changeHolder(terminal, keyPath(id), await keyBody(options), { ...options, ifMatch });
}

interface RotateOptions extends OutputOptions {
  readonly mode: 'overlap' | 'first-use' | 'now';
  readonly grace?: number;
  readonly self?: boolean;
}

async function rotateKey(terminal: Terminal, id: string | undefined, options: RotateOptions): Promise<void> {
  const { mode, grace, self, ...output } = options;
  if (mode === 'now' && grace !== undefined)
    throw new CommandFailed(
      '--mode now leaves no --grace: the old key string ends at once.',
      exitCodes.usage,
    );
  const { client, path } = await findRotation(terminal, id, self === true);
  await handOver(terminal, output, async () => {
    const secret = readMadeKey(await client.make(path, { mode, ...(grace !== undefined && { grace }) }));
    const { id, secrets } = secret.rest.key;
    say(
      terminal,
      `Key ${String(id)} has a new key string. ${describeOld(mode, secrets)} It is shown this once:`,
    );
    return secret;
  });
}

/** Of another key by the admin API, of one's own by itself. */
async function findRotation(
  { env }: Terminal,
  id: string | undefined,
  isSelf: boolean,
): Promise<{ client: AdminClient; path: string }> {
  if (isSelf === (id !== undefined))
    throw new CommandFailed('Name the key by its id, or say --self: one of the two.', exitCodes.usage);
  return id === undefined
    ? { client: createSelfClient(env), path: '/keys/self/rotations' }
    : { client: await openAdminClient(env), path: `${keyPath(id)}/rotations` };
}

function describeOld(mode: RotateOptions['mode'], secrets: unknown): string {
  if (mode === 'now') return 'The old one and all tokens are dead.';
  if (mode === 'first-use')
    return 'The old one works until the new one is used, and for its grace from then on.';
  const retiring = (secrets as JsonObject[]).find(({ retiresAt }) => retiresAt !== null);
  return `The old one works until ${String(retiring?.['retiresAt'])}.`;
}
