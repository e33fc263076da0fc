/**
 * A caller as it is told to resource servers that ask about its key (RFC 7662), and read there: what the key allows, under the
 * names that a token's claims have, and all of its custom data, of which a token carries the marked part alone. Written and
 * read in one place, so that both sides mean the same.
 */
import type { Door } from '../protocol/doors.ts';
import type { Caller } from './doors.ts';

export function writeCaller(caller: Caller): Record<string, unknown> {
  const { clientId, user, expiresAt, customData } = caller;
  return {
    client_id: clientId,
    sub: user ?? clientId,
    key_version: caller.keyVersion,
    feature: caller.feature,
    scope: [...caller.scopes].join(' '),
    aud: [...caller.audiences],
    allowed_controllers: [...caller.controllers],
    allowed_origins: [...caller.origins],
    custom_data: customData,
    ...(expiresAt !== undefined && { exp: Math.floor(expiresAt / 1000) }),
  };
}

/** @throws {TypeError} where the answer is not what {@link writeCaller} writes */
export function readCaller(answer: Readonly<Record<string, unknown>>, door: Door): Caller {
  const clientId = text(answer['client_id']);
  const sub = text(answer['sub']);
  const exp = answer['exp'] === undefined ? undefined : integer(answer['exp']);
  return {
    door,
    clientId,
    keyVersion: integer(answer['key_version']),
    expiresAt: exp === undefined ? undefined : exp * 1000,
    feature: text(answer['feature']),
    user: sub === clientId ? undefined : sub,
    customData: dictionary(answer['custom_data']),
    visitor: undefined,
    audiences: new Set(texts(answer['aud'])),
    scopes: new Set(text(answer['scope']).split(' ')),
    controllers: new Set(texts(answer['allowed_controllers'])),
    origins: new Set(texts(answer['allowed_origins'])),
  };
}

function text(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new TypeError('not a string');
}

function integer(value: unknown): number {
  if (Number.isSafeInteger(value)) return Number(value);
  throw new TypeError('not an integer');
}

function texts(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(text);
  throw new TypeError('not a list');
}

function dictionary(value: unknown): Record<string, string> {
  if (typeof value !== 'object' || value === null) throw new TypeError('not an object');
  return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, text(entry)]));
}
