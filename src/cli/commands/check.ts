/** `keyturn check`: decides on a token as a guard would that hears of no revocations. */
import type { Command } from 'commander';
import type { Decision } from '../../access/decide.ts';
import { createGuard } from '../../access/guard.ts';
import { createTokenVerifier } from '../../access/verify-token.ts';
import { loadClientSettings } from '../../config/client-settings.ts';
import { longestTokenLife } from '../../protocol/claims.ts';
import { problems } from '../../protocol/errors.ts';
import { fetchAudience, fetchIssuer, fetchVerificationKeys } from '../discovery.ts';
import { CommandFailed } from '../exit-codes.ts';
import { withJson } from '../options.ts';
import { type OutputOptions, print, printJson, readInput, type Terminal } from '../terminal.ts';

export function addCheckCommand(program: Command, terminal: Terminal): void {
  withJson(program.command('check').argument('<token>', 'an access token, or - to read it from stdin'))
    .description('decide on a token as a guard would; revocation is not asked')
    .option('--audience <audience>', "that the resource has; the server's default where absent")
    .option('--controller <names...>', 'that the resource belongs to')
    .option('--scope <scope>', 'that the route asks for')
    .option('--origin <origin>', 'that the request comes from')
    .action((text: string, options) => check(terminal, text, options));
}

interface CheckOptions extends OutputOptions {
  readonly audience?: string;
  readonly controller?: string[];
  readonly scope?: string;
  readonly origin?: string;
}

async function check(terminal: Terminal, text: string, options: CheckOptions): Promise<void> {
  const { url } = loadClientSettings(terminal.env);
  const token = text === '-' ? (await readInput(terminal)).trim() : text;
  const decision = await decide(url, token, options, terminal.clock ?? Date.now);
  const verdict = describeDecision(decision);
  if (options.json === true) printJson(terminal, verdict);
  else for (const [name, value] of Object.entries(verdict)) print(terminal, `${name}: ${String(value)}`);
  if (!decision.allowed) throw new CommandFailed('');
}

async function decide(
  url: string,
  token: string,
  { audience, controller = [], scope, origin }: CheckOptions,
  now: () => number,
): Promise<Decision> {
  const [issuer, keys, demanded] = await Promise.all([
    fetchIssuer(url),
    fetchVerificationKeys(url),
    audience ?? fetchAudience(url),
  ]);
  const guard = createGuard({
    verifier: createTokenVerifier({
      issuer,
      findKey: kid => keys.get(kid),
      now,
      longestLife: longestTokenLife,
      // The server signs tokens of the type JWT for such audiences alone as want them.
      plainAudiences: new Set([demanded]),
    }),
    revocations: { isRevoked: () => false, isStale: () => false },
    now,
  });
  const request = { authorization: `Bearer ${token}`, origin, otherCredentials: 0 };
  return guard.authorize(request, { audience: demanded, controllers: controller, scope });
}

function describeDecision(decision: Decision): Readonly<Record<string, unknown>> {
  const claims = decision.token?.claims;
  return {
    allowed: decision.allowed,
    ...(!decision.allowed && {
      reason: decision.code,
      detail: decision.detail ?? problems[decision.code].detail,
    }),
    revocation: 'not asked: only the server knows what is revoked',
    ...(claims && {
      client: claims.client_id,
      subject: claims.sub,
      feature: claims.feature,
      scope: claims.scope,
      expires: new Date(claims.exp * 1000).toISOString(),
    }),
  };
}
