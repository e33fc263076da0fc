/** What a server publishes about itself: who it is, for whom its tokens are, and the keys that verify them. */
import { createPublicKey, type JsonWebKey } from 'node:crypto';
import type { VerificationKey } from '../access/verify-token.ts';
import { CommandFailed, exitCodeOf } from './exit-codes.ts';

/** Milliseconds. */
const patience = 10_000;

/** Asks for a public page. */
export function fetchPublic(url: string, path: string): Promise<Response> {
  return fetch(url + path, { redirect: 'manual', signal: AbortSignal.timeout(patience) });
}

export async function fetchIssuer(url: string): Promise<string> {
  return readText(url, '/.well-known/oauth-authorization-server', 'issuer');
}

/** The audience that resources ask for where they name none of their own. */
export async function fetchAudience(url: string): Promise<string> {
  return readText(url, '/.well-known/oauth-protected-resource', 'resource');
}

/** The algorithm that the server signs with where an audience asks for no other. */
export async function fetchSigningAlg(url: string): Promise<unknown> {
  const path = '/.well-known/openid-configuration';
  const { id_token_signing_alg_values_supported: algs } = await fetchDocument(url, path);
  if (!Array.isArray(algs)) throw notOurs(path, 200);
  return algs[0];
}

export async function fetchVerificationKeys(url: string): Promise<ReadonlyMap<string, VerificationKey>> {
  const path = '/.well-known/jwks.json';
  const { keys } = await fetchDocument(url, path);
  if (!Array.isArray(keys)) throw notOurs(path, 200);
  const readable = (keys as JsonWebKey[]).map(readKey).filter(key => key !== undefined);
  return new Map(readable.map(key => [key.kid, key]));
}

async function readText(url: string, path: string, member: string): Promise<string> {
  const value = (await fetchDocument(url, path))[member];
  if (typeof value !== 'string') throw notOurs(path, 200);
  return value;
}

async function fetchDocument(url: string, path: string): Promise<Record<string, unknown>> {
  const response = await fetchPublic(url, path);
  if (!response.ok) throw notOurs(path, response.status);
  try {
    return { ...((await response.json()) as object) };
  } catch (error) {
    if (error instanceof SyntaxError) throw notOurs(path, response.status);
    throw error;
  }
}

function notOurs(path: string, status: number): CommandFailed {
  const words = `${path} (${status}) does not answer as a Keyturn server does: is KEYTURN_URL right?`;
  return new CommandFailed(words, exitCodeOf(status));
}

function readKey(jwk: JsonWebKey): VerificationKey | undefined {
  const { kid, alg } = jwk;
  if (typeof kid !== 'string' || typeof alg !== 'string') return undefined;
  return { kid, alg, publicKey: createPublicKey({ key: jwk, format: 'jwk' }) };
}
