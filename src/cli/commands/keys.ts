/** `keyturn keys`: makes, lists, shows and revokes API keys, through the admin API. */
import { openAdminClient } from '../admin-client.ts';
import { CommandFailed, exitCodes } from '../exit-codes.ts';
import { handOver, type OutputOptions, print, printJson, say, type Terminal } from '../terminal.ts';

export interface CreateKeyOptions extends OutputOptions {
  readonly name: string;
  readonly feature: string;
  readonly scope?: string[];
  readonly controllers?: string;
  readonly origins?: string;
  readonly impersonationUser?: string;
  readonly customData?: string[];
  readonly customDataInToken?: string[];
  readonly claim?: string[];
  readonly audience?: string[];
  readonly door?: string[];
  readonly owner?: string;
  readonly draft?: boolean;
  readonly notBefore?: string;
  readonly expiresAt?: string;
  readonly tokenTtl?: number;
}

export async function createKey(terminal: Terminal, options: CreateKeyOptions): Promise<void> {
  const body = keyBody(options);
  const admin = await openAdminClient(terminal.env);
  await handOver(terminal, options, async () => {
    const { key, apiKey } = await admin.call('POST', '/admin/keys', body);
    const { id, name } = key as Record<string, unknown>;
    say(terminal, `Key ${String(id)} ("${String(name)}") is made. It is shown this once:`);
    return { name: 'apiKey', text: String(apiKey), rest: { key } };
  });
}

export interface ListKeysOptions extends OutputOptions {
  readonly feature?: string;
  readonly owner?: string;
  readonly status?: string;
  readonly query?: string;
}

export async function listKeys(terminal: Terminal, options: ListKeysOptions): Promise<void> {
  const admin = await openAdminClient(terminal.env);
  const { feature, owner, status, query } = options;
  const filters = Object.entries({ feature, owner, status, q: query }).filter(
    ([, value]) => value !== undefined,
  );
  const items: Record<string, unknown>[] = [];
  let cursor: string | null = null;
  do {
    const search = new URLSearchParams([...(filters as [string, string][]), ['limit', '100']]);
    if (cursor !== null) search.set('cursor', cursor);
    const page = await admin.call('GET', `/admin/keys?${search.toString()}`);
    items.push(...(page['items'] as Record<string, unknown>[]));
    cursor = page['next'] as string | null;
  } while (cursor !== null);
  if (options.json === true) printJson(terminal, items);
  else for (const key of items) print(terminal, keyLine(key));
}

export async function showKey(terminal: Terminal, id: string, options: OutputOptions): Promise<void> {
  const admin = await openAdminClient(terminal.env);
  printKey(terminal, await admin.call('GET', `/admin/keys/${encodeURIComponent(id)}`), options);
}

export async function revokeKey(terminal: Terminal, id: string, options: OutputOptions): Promise<void> {
  const admin = await openAdminClient(terminal.env);
  printKey(terminal, await admin.call('POST', `/admin/keys/${encodeURIComponent(id)}/revoke`), options);
}

function keyBody(options: CreateKeyOptions): Record<string, unknown> {
  const { json, out, scope, controllers, origins, customData, claim, audience, door, ...same } = options;
  return {
    ...same,
    ...(scope && { scopes: scope }),
    ...(controllers !== undefined && { allowedControllers: controllers }),
    ...(origins !== undefined && { corsOrigins: origins }),
    ...(customData && {
      customData: Object.fromEntries(customData.map(pair => splitPair('--custom-data', pair))),
    }),
    ...(claim && { claims: Object.fromEntries(claim.map(readClaim)) }),
    ...(audience && { audiences: audience }),
    ...(door && { doors: door }),
  };
}

function splitPair(option: string, pair: string): [string, string] {
  const at = pair.indexOf('=');
  if (at < 1) throw new CommandFailed(`${option} takes NAME=VALUE, not "${pair}".`, exitCodes.usage);
  return [pair.slice(0, at), pair.slice(at + 1)];
}

/** A value that is JSON is taken as such, any other as a string. */
function readClaim(pair: string): [string, unknown] {
  const [name, text] = splitPair('--claim', pair);
  try {
    return [name, JSON.parse(text)];
  } catch (error) {
    if (error instanceof SyntaxError) return [name, text];
    throw error;
  }
}

function keyLine(key: Record<string, unknown>): string {
  const { id, status, feature, account, name } = key;
  return [id, status, feature ?? `account ${String(account)}`, name].map(String).join('\t');
}

function printKey(terminal: Terminal, key: Record<string, unknown>, options: OutputOptions): void {
  if (options.json === true) return printJson(terminal, key);
  for (const [name, value] of Object.entries(key)) {
    print(terminal, `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`);
  }
}
