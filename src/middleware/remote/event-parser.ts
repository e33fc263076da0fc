/** Server-sent events (WHATWG HTML section 9.2) out of the pieces in which they arrive. */

export interface ServerSentEvent {
  readonly event: string;
  readonly data: string;
  readonly id: string;
}

/** Takes in a piece of the stream. @returns the events that it completes */
export type EventParser = (piece: Uint8Array) => ServerSentEvent[];

export function createEventParser(): EventParser {
  const decoder = new TextDecoder();
  let rest = '';
  let fields: Record<string, string> = {};
  return piece => {
    const text = decoder.decode(piece, { stream: true });
    // A snapshot may be one line of megabytes: it is put together once, at its end.
    if (!text.includes('\n')) {
      rest += text;
      return [];
    }
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    const events: ServerSentEvent[] = [];
    for (const line of lines.map(each => each.replace(/\r$/, ''))) {
      if (line !== '') readField(line, fields);
      else if (fields['data'] !== undefined) {
        events.push({ event: fields['event'] ?? 'message', data: fields['data'], id: fields['id'] ?? '' });
        fields = {};
      } else fields = {};
    }
    return events;
  };
}

function readField(line: string, fields: Record<string, string>): void {
  const colon = line.indexOf(':');
  // A line that begins with a colon is a comment.
  if (colon === 0) return;
  const name = colon === -1 ? line : line.slice(0, colon);
  const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
  fields[name] = name === 'data' && fields['data'] !== undefined ? `${fields['data']}\n${value}` : value;
}
