/** HTTP as bytes, for requests that a well-behaved client cannot write. */
import { connect } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  /** Names in lower case, in the order in which they came. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  /** All that came, as it came. */
  readonly text: string;
  header(name: string): string | undefined;
}

export interface RawOptions {
  /** Milliseconds until an answer has to be whole. */
  readonly timeout?: number;
  /** Close our side once all is written, as a client that has hung up. */
  readonly halfClose?: boolean;
  /** Read one answer (the default), or all that comes until the server closes. */
  readonly until?: 'answer' | 'close';
}

/**
 * Writes the parts as they are and reads one answer.
 *
 * @returns undefined where the server closes the connection without a word
 */
export async function sendRaw(
  port: number,
  parts: string | Buffer | Iterable<string | Buffer>,
  { timeout = 10_000, halfClose = false, until = 'answer' }: RawOptions = {},
): Promise<RawAnswer | undefined> {
  const whole = typeof parts === 'string' || Buffer.isBuffer(parts) ? [parts] : parts;
  const text = await new Promise<string>((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' });
    let received = '';
    const finish = () => {
      socket.destroy();
      resolve(received);
    };
    socket.setTimeout(timeout, () => {
      socket.destroy();
      reject(new Error(`no whole answer in ${timeout} ms: ${received.slice(0, 200)}`));
    });
    socket.on('data', chunk => {
      received += chunk.toString('latin1');
      if (until === 'answer' && isWhole(received)) finish();
    });
    // A server that refuses a body may reset the connection; what it said before counts.
    socket.on('error', finish);
    socket.on('close', finish);
    socket.on('connect', () => {
      for (const part of whole) socket.write(typeof part === 'string' ? Buffer.from(part, 'latin1') : part);
      if (halfClose) socket.end();
    });
  });
  return text === '' ? undefined : parseAnswer(text);
}

/** A request of one string a line, and a blank line behind them. */
export function requestText(lines: readonly string[], body = ''): string {
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

const headEnd = '\r\n\r\n';

function isWhole(text: string): boolean {
  const end = text.indexOf(headEnd);
  if (end === -1) return false;
  const head = text.slice(0, end).toLowerCase();
  const body = text.slice(end + headEnd.length);
  if (head.startsWith('http/1.1 100')) return isWhole(body);
  if (/^http\/1\.1 (?:204|304)/.test(head)) return true;
  if (/\r\ntransfer-encoding: *chunked/.test(head)) return body.endsWith('0\r\n\r\n');
  const length = /\r\ncontent-length: *(\d+)/.exec(head)?.[1];
  return length !== undefined && body.length >= Number(length);
}

function parseAnswer(text: string): RawAnswer {
  if (text.startsWith('HTTP/1.1 100')) return parseAnswer(text.slice(text.indexOf(headEnd) + headEnd.length));
  const end = text.indexOf(headEnd);
  const [statusLine = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers = lines.map(line => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
  });
  return {
    status: Number(statusLine.split(' ')[1]),
    headers,
    body: text.slice(end + headEnd.length),
    text,
    header: name => headers.find(([own]) => own === name.toLowerCase())?.[1],
  };
}
