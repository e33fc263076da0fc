/** `keyturn signing-keys`: the keys that sign tokens, from the first to the last of their days. */
import { createPublicKey, type JsonWebKey } from 'node:crypto';
import type { Command } from 'commander';
import { loadClientSettings } from '../../config/client-settings.ts';
import { type AdminClient, type JsonObject, openAdminClient } from '../admin-client.ts';
import { fetchSigningAlg } from '../discovery.ts';
import { CommandFailed } from '../exit-codes.ts';
import { readPrivateJwkFile } from '../jwk-file.ts';
import { withJson } from '../options.ts';
import { type OutputOptions, print, printJson, printList, printRecord, type Terminal } from '../terminal.ts';

export function addSigningKeysCommands(program: Command, terminal: Terminal): void {
  const signingKeys = program.command('signing-keys').description('the keys that sign tokens');
  withJson(signingKeys.command('list'))
    .description('list the keys of the ring, oldest first; never a private key')
    .action(options => listSigningKeys(terminal, options));
  withJson(signingKeys.command('rotate'))
    .description('publish the next key, to sign after the lead')
    .option('--now', 'have it sign at once; validators that keep the key set may miss it for a while')
    .option('--alg <alg>', "one that the service signs with; KEYTURN_SIGNING_ALG's where absent")
    .action(options => rotate(terminal, options));
  withJson(signingKeys.command('revoke').argument('<kid>'))
    .description('end a key at once, and every token that it has signed')
    .action((kid: string, options) => revoke(terminal, kid, options));
  withJson(signingKeys.command('import').argument('<file>', 'a private JWK, or - for stdin'))
    .description('bring a key of your own, to sign after the lead')
    .option('--activate', 'have it sign at once')
    .action((file: string, options) => bring(terminal, file, options));
  withJson(signingKeys.command('export'))
    .description('print a public key, for validators that read no key set')
    .option('--pem', 'as PEM (SPKI); as a JWK where absent')
    .option('--kid <kid>', 'which; the active one where absent')
    .action(options => exportKey(terminal, options));
}

const path = '/admin/signing-keys';

async function listSigningKeys(terminal: Terminal, options: OutputOptions): Promise<void> {
  const admin = await openAdminClient(terminal.env);
  await printList(terminal, ringOf(admin), options, key => [
    key['kid'],
    key['alg'],
    key['state'],
    key['activeAt'],
    key['publishedUntil'] ?? '-',
  ]);
}

/** The ring is no list of pages. */
async function* ringOf(admin: AdminClient): AsyncGenerator<JsonObject> {
  const { items } = await admin.call('GET', path);
  yield* items as JsonObject[];
}

async function rotate(
  terminal: Terminal,
  { now, alg, ...output }: OutputOptions & { now?: boolean; alg?: string },
): Promise<void> {
  const admin = await openAdminClient(terminal.env);
  const body = { ...(now === true && { now }), ...(alg !== undefined && { alg }) };
  printRecord(terminal, await admin.call('POST', `${path}/rotate`, { body }), output);
}

async function revoke(terminal: Terminal, kid: string, output: OutputOptions): Promise<void> {
  const admin = await openAdminClient(terminal.env);
  printRecord(terminal, await admin.call('POST', `${path}/${encodeURIComponent(kid)}/revoke`), output);
}

async function bring(
  terminal: Terminal,
  file: string,
  { activate, ...output }: OutputOptions & { activate?: boolean },
): Promise<void> {
  const jwk = await readPrivateJwkFile(terminal, file);
  const admin = await openAdminClient(terminal.env);
  const body = { jwk, ...(activate === true && { activate }) };
  printRecord(terminal, await admin.call('POST', path, { body }), output);
}

async function exportKey(
  terminal: Terminal,
  { pem, kid, json }: OutputOptions & { pem?: boolean; kid?: string },
): Promise<void> {
  const key = await findKey(terminal, kid);
  const publicJwk = key['publicJwk'] as JsonWebKey;
  if (pem !== true)
    return json === true ? printJson(terminal, publicJwk) : print(terminal, JSON.stringify(publicJwk));
  const text = createPublicKey({ key: publicJwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
  if (json === true) printJson(terminal, { kid: key['kid'], alg: key['alg'], pem: text });
  else print(terminal, String(text).trimEnd());
}

async function findKey(terminal: Terminal, kid: string | undefined): Promise<JsonObject> {
  const admin = await openAdminClient(terminal.env);
  const alg = kid === undefined ? await fetchSigningAlg(loadClientSettings(terminal.env).url) : undefined;
  for await (const key of ringOf(admin)) {
    if (kid === undefined ? key['alg'] === alg && key['state'] === 'active' : key['kid'] === kid) return key;
  }
  throw new CommandFailed(
    `There is no such signing key: "keyturn signing-keys list" shows those of the ring.`,
  );
}
