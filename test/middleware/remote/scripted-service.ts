/**
 * A service that does as the test says, also what no Keyturn would: its JWK set, its stream of revocations and its
 * introspection can each be replaced, and all that it is asked is kept.
 */
import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { encodePart, signEs256 } from '../../server/forged-tokens.ts';

export interface Question {
  readonly path: string;
  /** Monotonic milliseconds. */
  readonly at: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export type Answer = (res: ServerResponse, question: Question) => void;

export interface ScriptedService {
  readonly url: string;
  readonly questions: readonly Question[];
  /** Those to the path, from the given one on. */
  asked(path: keyof Answers, from?: number): Question[];
  readonly answers: Answers;
  /** A token that is signed with this key, or the first. */
  mint(claims?: Readonly<Record<string, unknown>>, key?: ScriptedKey): string;
  /** Writes to everyone who listens. */
  say(text: string): void;
  /** Sends no heartbeats any more. */
  hush(): void;
  /** Connections that listen now. */
  listeners(): number;
  close(): Promise<void>;
}

export interface Answers {
  '/.well-known/jwks.json': Answer;
  '/oauth/revocations': Answer;
  '/oauth/introspect': Answer;
}

export interface ScriptedKey {
  readonly kid: string;
  readonly jwk: Readonly<Record<string, unknown>>;
  readonly privateKey: KeyObject;
}

export function makeKey(kid: string): ScriptedKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { kid, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' } };
}

export async function startScriptedService(firstKey = makeKey('first')): Promise<ScriptedService> {
  const questions: Question[] = [];
  const streams = new Set<ServerResponse>();
  const answers: Answers = {
    '/.well-known/jwks.json': answerJson({ keys: [firstKey.jwk] }),
    '/oauth/revocations': answerEvents(snapshot()),
    '/oauth/introspect': answerJson({ active: true }),
  };
  const answer = async (req: IncomingMessage, res: ServerResponse) => {
    const path = req.url ?? '';
    const at = performance.now();
    let body = '';
    for await (const chunk of req.setEncoding('utf8')) body += String(chunk);
    const question = { path, at, headers: req.headers, body };
    questions.push(question);
    if (path === '/oauth/revocations') {
      streams.add(res);
      res.once('close', () => streams.delete(res));
    }
    if (path in answers) answers[path as keyof Answers](res, question);
    else res.writeHead(404).end();
  };
  const server = createServer((req, res) => void answer(req, res));
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const say = (text: string) => streams.forEach(stream => void stream.write(text));
  const beats = setInterval(() => say(heartbeat()), 1000);
  return {
    url,
    questions,
    answers,
    asked: (path, from = 0) => questions.slice(from).filter(question => question.path === path),
    mint: (claims = {}, key = firstKey) => mintToken({ iss: url, aud: url, ...claims }, key),
    say,
    hush: () => clearInterval(beats),
    listeners: () => streams.size,
    close: () =>
      new Promise(resolve => {
        clearInterval(beats);
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export function answerJson(body: unknown, status = 200): Answer {
  return answerText(JSON.stringify(body), status);
}

export function answerText(text: string, status = 200, headers: Record<string, string> = {}): Answer {
  return res => void res.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text);
}

/** A stream that begins with this, and the first heartbeat. */
export function answerEvents(text: string): Answer {
  return res => void res.writeHead(200, { 'content-type': 'text/event-stream' }).write(text + heartbeat());
}

/** Takes the question, and says nothing. */
export const answerNothing: Answer = () => undefined;

export function snapshot(members: object = {}, id = 1): string {
  return event('snapshot', { keys: {}, tokens: {}, signing_keys: [], ...members }, id);
}

export function event(name: string, members: object, id: number | string): string {
  return `id: ${id}\nevent: ${name}\ndata: ${JSON.stringify({ id: String(id), ...members })}\n\n`;
}

export function heartbeat(id = 1): string {
  return event('heartbeat', {}, id);
}

function mintToken(claims: object, { kid, privateKey }: ScriptedKey): string {
  const iat = Math.floor(Date.now() / 1000);
  const client = '0195c2f0-0000-7000-8000-000000000000';
  const payload = {
    sub: client,
    client_id: client,
    iat,
    exp: iat + 3600,
    jti: randomUUID(),
    scope: 'personalize.external_webservices:manage',
    feature: 'connections',
    allowed_controllers: ['Personalize.Connections'],
    allowed_origins: [],
    key_version: 1,
    ...claims,
  };
  const input = `${encodePart({ typ: 'at+jwt', alg: 'ES256', kid })}.${encodePart(payload)}`;
  return `${input}.${signEs256(privateKey, input).toString('base64url')}`;
}
