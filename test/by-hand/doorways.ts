/** The four doorways of the check: how a case is sent to each, and how its answer is read. */
import { type RawAnswer, requestText, sendRaw } from '../support/raw-http.ts';
import type { Echo } from './echo-server.ts';
import type { Field, ProxyCase } from './proxy-case.ts';

export const doorways = ['keyturn', 'verify', 'nginx', 'caddy'] as const;
export type DoorwayName = (typeof doorways)[number];

export interface Outcome {
  readonly decision: 'pass' | 'refuse' | 'preflight';
  readonly status: number;
  readonly answer: RawAnswer;
  /** What the guarded server was sent; undefined where it was sent nothing. */
  readonly echo: Echo | undefined;
}

export type Ports = Readonly<Record<'keyturn' | 'nginx' | 'caddy', number>>;

export async function sendThrough(
  doorway: DoorwayName,
  asked: ProxyCase,
  ports: Ports,
): Promise<Outcome | undefined> {
  // A proxy sends preflights on, and asks about none.
  if (doorway === 'verify') return asked.expected === 'preflight' ? undefined : ask(asked, ports.keyturn);
  const answer = await send(ports[doorway], asked.method, asked.target, asked.fields, asked.body);
  const reached = answer.header('x-reached') !== undefined;
  const decided = doorway === 'keyturn' ? isSuccess(answer) : reached;
  const echo = reached && answer.body.startsWith('{') ? (JSON.parse(answer.body) as Echo) : undefined;
  const decision = asked.expected === 'preflight' && !reached ? 'preflight' : decided ? 'pass' : 'refuse';
  return { decision, status: answer.status, answer, echo };
}

/** As a careful proxy does: what the caller says of the address is dropped, and what it names in `Connection`. */
async function ask({ method, target, fields }: ProxyCase, port: number): Promise<Outcome> {
  const kept = fields.filter(
    ([name]) => !/^(?:connection|upgrade|x-(?:original|forwarded)-\w+)$/i.test(name),
  );
  const about: Field[] = [
    ['X-Forwarded-Method', method],
    ['X-Forwarded-Uri', target],
  ];
  const answer = await send(port, 'GET', '/auth/verify', [...about, ...kept], '');
  const decision = isSuccess(answer) ? 'pass' : 'refuse';
  return { decision, status: answer.status, answer, echo: undefined };
}

async function send(
  port: number,
  method: string,
  target: string,
  fields: readonly Field[],
  body: string,
): Promise<RawAnswer> {
  const lines = [`${method} ${target} HTTP/1.1`, 'Host: api.example'];
  if (!fields.some(([name]) => name === 'Connection')) lines.push('Connection: close');
  if (body !== '') lines.push(`Content-Length: ${Buffer.byteLength(body)}`);
  lines.push(...fields.map(([name, value]) => `${name}: ${value}`));
  const answer = await sendRaw(port, requestText(lines, body), { timeout: 15_000, until: 'close' });
  if (answer === undefined) throw new Error(`no answer to ${method} ${target}`);
  return { ...answer, body: bodyOf(answer) };
}

function bodyOf({ body, header }: RawAnswer): string {
  if (header('transfer-encoding') !== 'chunked') return body;
  let [rest, whole] = [body, ''];
  for (;;) {
    const size = Number.parseInt(rest, 16);
    if (!(size > 0)) return whole;
    const start = rest.indexOf('\r\n') + 2;
    whole += rest.slice(start, start + size);
    rest = rest.slice(start + size + 2);
  }
}

function isSuccess({ status }: RawAnswer): boolean {
  return status >= 200 && status < 300;
}
