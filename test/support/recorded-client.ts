/** A client of the instances of one deployment that writes down every call it makes, and how it ended. */
import { Agent, request } from 'node:http';
import { decodeJwt } from 'jose';
import type { Call, History, Operation } from './history.ts';

/** Where calls go to. */
export interface Target {
  readonly name: string;
  readonly port: number;
}

export interface Token {
  readonly id: string;
  readonly text: string;
  readonly key: string;
  /** When it was asked for. */
  readonly mintedAt: number;
}

export interface Key {
  readonly id: string;
  readonly text: string;
}

export interface Answered extends Call {
  /** What came, parsed; an empty object where it was no JSON. */
  readonly body: Readonly<Record<string, unknown>>;
}

export interface RecordedClient {
  readonly history: History;
  /** Calls a guarded route that is answered without a store. */
  use(at: Target, token: Token): Promise<Answered>;
  exchange(at: Target, key: Key): Promise<Answered & { minted?: Token }>;
  /** @throws where there is none */
  token(at: Target, key: Key): Promise<Token>;
  revokeToken(at: Target, token: Token): Promise<Answered>;
  revokeKey(at: Target, key: Key): Promise<Answered>;
  /** One step of a key's life, by the admin API: `disable`, `enable`, `revoke`. */
  step(at: Target, key: Key, step: string): Promise<Answered>;
  /** Makes a key, by the admin API. @throws where it cannot */
  createKey(at: Target): Promise<Key>;
  /** Any call of the admin API, as the owner. */
  admin(at: Target, method: string, path: string, body?: object): Promise<Answered>;
  get(at: Target, path: string): Promise<Answered>;
  close(): void;
}

/** @param deadline milliseconds after which a call counts as lost */
export function createRecordedClient(history: History, owner: Key, deadline = 10_000): RecordedClient {
  const agent = new Agent({ keepAlive: true, maxSockets: Infinity });
  let ownerToken: Token | undefined;

  async function call(at: Target, facts: Facts, wire: Wire): Promise<Answered> {
    const start = performance.now();
    const { status, text } = await send(agent, at.port, wire, deadline);
    const body = parse(text);
    const error = body['code'] ?? body['error'];
    const recorded: Call = {
      ...facts,
      instance: at.name,
      start,
      end: performance.now(),
      outcome: status ?? 'lost',
      ...(typeof error === 'string' && { code: error }),
    };
    history.add(recorded);
    return { ...recorded, body };
  }

  const exchange: RecordedClient['exchange'] = async (at, key) => {
    const answered = await call(at, { op: 'exchange', key: key.id }, exchangeWire(key));
    const text = answered.body['access_token'];
    if (typeof text !== 'string') return answered;
    const id = String(decodeJwt(text).jti);
    return { ...answered, minted: { id, text, key: key.id, mintedAt: answered.start } };
  };
  const token: RecordedClient['token'] = async (at, key) => {
    const answered = await exchange(at, key);
    if (answered.minted === undefined) throw new Error(`no token: ${answered.outcome} ${answered.code}`);
    return answered.minted;
  };
  const asOwner = async (at: Target, facts: Facts, method: string, path: string, body?: object) => {
    ownerToken ??= await token(at, owner);
    return call(at, facts, {
      method,
      path,
      headers: { authorization: `Bearer ${ownerToken.text}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  };
  return {
    history,
    exchange,
    token,
    use: (at, { id, key, text, mintedAt }) =>
      call(at, { op: 'use', token: id, key, mintedAt }, bearerWire(text)),
    revokeToken: (at, { id, text }) => call(at, { op: 'revoke-token', token: id }, revokeWire(text)),
    revokeKey: (at, { id, text }) => call(at, { op: 'revoke-key', key: id }, revokeWire(text)),
    step: (at, { id }, step) =>
      asOwner(
        at,
        { op: step === 'enable' ? 'enable-key' : 'revoke-key', key: id },
        'POST',
        `/admin/keys/${id}/${step}`,
      ),
    async createKey(at) {
      const fields = { name: 'A key', feature: 'connections' };
      const { outcome, code, body } = await asOwner(at, { op: 'change' }, 'POST', '/admin/keys', fields);
      if (outcome !== 201) throw new Error(`no key: ${outcome} ${code}`);
      return { id: (body['key'] as { id: string }).id, text: String(body['apiKey']) };
    },
    admin: (at, method, path, body) =>
      asOwner(at, { op: method === 'GET' ? 'look' : 'change' }, method, path, body),
    get: (at, path) => call(at, { op: 'look' }, { method: 'GET', path, headers: {} }),
    close: () => agent.destroy(),
  };
}

type Facts = Pick<Call, 'token' | 'key' | 'mintedAt'> & { readonly op: Operation };

interface Wire {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
}

const form = { 'content-type': 'application/x-www-form-urlencoded' };

function exchangeWire({ text }: Key): Wire {
  const body = new URLSearchParams({ grant_type: 'client_credentials', client_secret: text });
  return { method: 'POST', path: '/oauth/token', headers: form, body: body.toString() };
}

function revokeWire(token: string): Wire {
  const body = new URLSearchParams({ token });
  return { method: 'POST', path: '/oauth/revoke', headers: form, body: body.toString() };
}

function bearerWire(token: string): Wire {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  return { method: 'POST', path: '/v2/connections/testConnection', headers, body: '{}' };
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

/** Whatever keeps the answer from coming, it did not come. */
function send(
  agent: Agent,
  port: number,
  { method, path, headers, body = '' }: Wire,
  deadline: number,
): Promise<{ status?: number | undefined; text: string }> {
  return new Promise(resolve => {
    const signal = AbortSignal.timeout(deadline);
    const length = { 'content-length': String(Buffer.byteLength(body)) };
    const options = { agent, port, host: '127.0.0.1', method, path, signal };
    const call = request({ ...options, headers: { ...headers, ...(body !== '' && length) } }, response => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.once('error', () => resolve({ text: '' }));
      response.once('end', () => resolve({ status: response.statusCode, text }));
    });
    call.once('error', () => resolve({ text: '' }));
    call.end(body);
  });
}
