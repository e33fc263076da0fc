/** The file of `--public-jwk`. It is looked at before it is sent: a private key must not leave the machine by mistake. */
import { readFile } from 'node:fs/promises';
import { type PublicJwk, readPublicJwk } from '../issuer/public-jwk.ts';
import { CommandFailed } from './exit-codes.ts';

/** @throws {CommandFailed} where there is no such file, or no public key in it; what is in it is not repeated */
export async function readPublicJwkFile(path: string): Promise<PublicJwk> {
  const faults: string[] = [];
  const jwk = readPublicJwk(parseObject(path, await readText(path)), (member, detail) => {
    faults.push(`  ${member}${member === '' ? '' : ': '}${detail}`);
  });
  if (jwk !== undefined) return jwk;
  throw new CommandFailed(`${path} holds no public JWK that a key may have:\n${faults.join('\n')}`);
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new CommandFailed(
      `${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'}).`,
    );
  }
}

function parseObject(path: string, text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return { ...value };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new CommandFailed(`${path} is not JSON: it has to hold one public JWK (RFC 7517).`);
}
