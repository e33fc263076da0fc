/** Server-sent events (WHATWG HTML section 9.2) out of the pieces in which they arrive, none of them longer than is allowed. */

export interface ServerSentEvent {
  readonly event: string;
  readonly data: string;
  readonly id: string;
}

/**
 * Takes in a piece of the stream.
 *
 * @returns the events that it completes
 * @throws {RangeError} where one is too long: what is to come is not to be read
 */
export type EventParser = (piece: Uint8Array) => ServerSentEvent[];

/** @param longest characters that an event may have */
export function createEventParser(longest: number): EventParser {
  const decoder = new TextDecoder();
  let rest = '';
  let length = 0;
  let fields: Fields = {};
  return piece => {
    const text = decoder.decode(piece, { stream: true });
    length += text.length;
    const events: ServerSentEvent[] = [];
    // A snapshot may be one line of megabytes: it is put together once, at its end.
    const lines = text.includes('\n') ? (rest + text).split('\n') : [rest + text];
    rest = lines.pop() ?? '';
    for (const line of lines.map(each => each.replace(/\r$/, ''))) {
      if (line !== '') readField(line, fields);
      else {
        const { event = 'message', data, id = '' } = fields;
        if (data !== undefined) events.push({ event, data: data.join('\n'), id });
        [fields, length] = [{}, rest.length];
      }
    }
    if (length > longest) throw new RangeError('an event is too long');
    return events;
  };
}

interface Fields {
  event?: string;
  data?: string[];
  id?: string;
}

/** Fields of other names, and comments, are passed over. */
function readField(line: string, fields: Fields): void {
  const colon = line.indexOf(':');
  const name = colon === -1 ? line : line.slice(0, colon);
  const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
  if (name === 'data') (fields.data ??= []).push(value);
  else if (name === 'event' || name === 'id') fields[name] = value;
}
