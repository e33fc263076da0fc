/** The fields of a key as options of the command line, and as members of the admin API. */
import type { Command } from 'commander';
import { CommandFailed, exitCodes } from './exit-codes.ts';
import { readPublicJwkFile } from './jwk-file.ts';
import { readWholeNumber, splitPair } from './options.ts';
import type { OutputOptions } from './terminal.ts';

export interface KeyFieldOptions extends OutputOptions {
  readonly name?: string;
  readonly feature?: string;
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
  readonly publicJwk?: string;
  readonly clear?: string[];
}

/** Those that both create and update take, but for the name and the feature. */
export function withKeyFields(command: Command): Command {
  return command
    .option('--scope <scopes...>', "narrower than the feature's")
    .option('--controllers <list>', "separated by semicolons; the feature's where absent, none where empty")
    .option('--origins <list>', 'browser origins, separated by semicolons; * is discouraged')
    .option('--impersonation-user <user>', 'whom the key acts as')
    .option('--custom-data <name=value...>')
    .option('--custom-data-in-token <names...>', 'which of them go into the token')
    .option('--claim <uri=value...>', 'extra claims; a value that is JSON is taken as such')
    .option('--audience <audiences...>')
    .option('--door <doors...>', 'token, sc_apikey')
    .option('--owner <account>')
    .option('--not-before <time>', 'RFC 3339')
    .option('--expires-at <time>', 'RFC 3339')
    .option('--token-ttl <seconds>', 'how long its tokens live', readWholeNumber)
    .option('--public-jwk <file>', 'the key signs for itself, with the private key of this public JWK');
}

/** The body of a `POST` or `PATCH`; `--clear` sends null. */
export async function keyBody(options: KeyFieldOptions): Promise<Record<string, unknown>> {
  const { scope, controllers, origins, customData, claim, audience, door, publicJwk, ...rest } = options;
  const { json, out, clear = [], ...same } = rest;
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
    ...(publicJwk !== undefined && { publicJwk: await readPublicJwkFile(publicJwk) }),
    ...Object.fromEntries(clear.map(field => [memberOf(field), null])),
  };
}

/** A value that is JSON is taken as such, any other as a string. */
function readClaim(pair: string): [name: string, value: unknown] {
  const [name, text] = splitPair('--claim', pair);
  try {
    return [name, JSON.parse(text)];
  } catch (error) {
    if (error instanceof SyntaxError) return [name, text];
    throw error;
  }
}

/** Options that are called otherwise than the member. */
const renamed: ReadonlyMap<string, string> = new Map([
  ['scope', 'scopes'],
  ['controllers', 'allowedControllers'],
  ['origins', 'corsOrigins'],
  ['claim', 'claims'],
  ['audience', 'audiences'],
  ['door', 'doors'],
]);
const clearable: ReadonlySet<string> = new Set([
  ...renamed.values(),
  'impersonationUser',
  'customData',
  'customDataInToken',
  'owner',
  'notBefore',
  'expiresAt',
  'tokenTtl',
  'publicJwk',
]);

/** By the option's name (`expires-at`, with or without its dashes) or the member's (`expiresAt`). */
function memberOf(field: string): string {
  const name = field.replace(/^--/, '').replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
  const member = renamed.get(name) ?? name;
  if (clearable.has(member)) return member;
  throw new CommandFailed(`--clear does not know the field "${field}".`, exitCodes.usage);
}
