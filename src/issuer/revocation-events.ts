/** How revocations are written for those who listen elsewhere: server-sent events, each under the id of its log entry. */
import type { Revocation } from '../access/revocations.ts';
import { formatLogId, parseLogId, perMillisecond } from '../store/log-id.ts';

/** The id of an entry as one integer, in the order of the log: milliseconds times a thousand, and the sequence. */
export function eventIdOf(entry: string): number {
  const { ms, sequence } = parseLogId(entry);
  return ms * perMillisecond + sequence;
}

/** The entry that an event's id stands for. */
export function entryOf(eventId: number): string {
  return formatLogId({ ms: Math.floor(eventId / perMillisecond), sequence: eventId % perMillisecond });
}

/** Reads an id that was sent back. Undefined where it is none, and for `0`, which is before all entries. */
export function parseEventId(text: string): number | undefined {
  const id = /^[1-9]\d{0,15}$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(id) ? id : undefined;
}

export function writeRevocationEvent(id: number, revocation: Revocation): Buffer {
  return writeEvent('revocation', id, JSON.stringify({ id: String(id), ...publicPart(revocation) }));
}

export function writeHeartbeat(id: number): Buffer {
  return writeEvent('heartbeat', id, JSON.stringify({ id: String(id) }));
}

/**
 * Everything that is revoked. There may be very much of it: now and then others get their turn. What comes in meanwhile
 * may be among it already.
 */
export async function writeSnapshot(id: number, revocations: Iterable<Revocation>): Promise<Buffer> {
  const [keys, tokens, signingKeys] = [createList(), createList(), createList()];
  let written = 0;
  for (const revocation of revocations) {
    if ('jti' in revocation) tokens.add(member(revocation.jti, revocation.exp));
    else if ('kid' in revocation) signingKeys.add(JSON.stringify(revocation.kid));
    else keys.add(member(revocation.client_id, revocation.min_key_version));
    written += 1;
    if (written % membersAtOnce === 0) await endOfTurn();
  }
  return Buffer.concat([
    Buffer.from(`id: ${id}\nevent: snapshot\ndata: {"id":"${id}","keys":{`),
    ...keys.end(),
    Buffer.from('},"tokens":{'),
    ...tokens.end(),
    Buffer.from('},"signing_keys":['),
    ...signingKeys.end(),
    Buffer.from(']}\n\n'),
  ]);
}

export function endOfTurn(): Promise<void> {
  return new Promise(resolve => {
    setImmediate(resolve);
  });
}

const membersAtOnce = 5000;

function writeEvent(event: string, id: number, data: string): Buffer {
  return Buffer.from(`id: ${id}\nevent: ${event}\ndata: ${data}\n\n`);
}

/** Items with commas between them, turned into bytes a part at a time. */
function createList(): { add(item: string): void; end(): Buffer[] } {
  const parts: Buffer[] = [];
  let items: string[] = [];
  const close = () => {
    const separator = parts.length > 0 && items.length > 0 ? ',' : '';
    parts.push(Buffer.from(separator + items.join()));
    items = [];
  };
  return {
    add(item) {
      items.push(item);
      if (items.length === membersAtOnce) close();
    },
    end() {
      close();
      return parts;
    },
  };
}

function member(name: string, value: number): string {
  return `${JSON.stringify(name)}:${value}`;
}

/** Without what is for the issuer alone. */
function publicPart(revocation: Revocation): object {
  if ('jti' in revocation) return { jti: revocation.jti, exp: revocation.exp };
  if ('kid' in revocation) return { kid: revocation.kid };
  return { client_id: revocation.client_id, min_key_version: revocation.min_key_version };
}
