/** The texts of the revocation log and of the set beside it. What cannot be read is told apart from what is not there. */
import { randomBytes } from 'node:crypto';
import { endOf, type Revocation } from '../access/revocations.ts';

/** The log's name in the store. */
export const logName = 'revocations';

/** What an entry of the log says. */
export type News =
  | { readonly kind: 'revocation'; readonly revocation: Revocation }
  /** The ring of signing keys has changed. */
  | { readonly kind: 'ring' };

/** A member of the set: byte order is the order in which they lose their meaning. */
export function writeRevocation(revocation: Revocation): string {
  return `${String(endOf(revocation)).padStart(endLength, '0')}/${JSON.stringify(revocation)}`;
}

export function parseRevocation(member: string): Revocation | undefined {
  return revocationOf(parseObject(member.slice(endLength + 1)));
}

/** An entry of the log. Two that say the same differ: an entry that was lost and one in its place are not taken for one. */
export function writeNews(news: Revocation | 'ring'): string {
  const nonce = randomBytes(6).toString('base64url');
  return JSON.stringify(news === 'ring' ? { nonce, ring: true } : { nonce, ...news });
}

export function parseNews(text: string): News | undefined {
  const entry = parseObject(text);
  if (entry['ring'] === true) return { kind: 'ring' };
  const revocation = revocationOf(entry);
  return revocation && { kind: 'revocation', revocation };
}

/** Digits of a time in seconds. */
const endLength = 12;

/** Nothing where it is no object. */
export function parseObject(text: string): Partial<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}

function revocationOf(entry: Partial<Record<string, unknown>>): Revocation | undefined {
  const { jti, exp, kid, client_id, min_key_version, until, status } = entry;
  if (typeof jti === 'string') return isTime(exp) ? { jti, exp } : undefined;
  if (!isTime(until)) return undefined;
  if (typeof kid === 'string') return { kid, until };
  if (typeof client_id !== 'string' || !isCount(min_key_version)) return undefined;
  const revocation = { client_id, min_key_version, until };
  return status === 'disabled' || status === 'revoked' ? { ...revocation, status } : revocation;
}

function isTime(value: unknown): value is number {
  return isCount(value) && String(value).length <= endLength;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
