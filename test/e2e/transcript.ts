/** Writes down what a service answers, with everything that differs from run to run replaced by its kind and number. */
import type { TestService } from '../support/service.ts';

export interface Entry {
  readonly step: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export interface Call {
  readonly token?: string;
  readonly headers?: Record<string, string>;
  readonly form?: Record<string, string> | [string, string][];
  readonly json?: unknown;
  /** A body as it is. */
  readonly text?: string;
}

export class Transcript {
  readonly entries: Entry[] = [];
  readonly #service: TestService;
  readonly #numbers = new Map<string, string>();

  constructor(service: TestService) {
    this.#service = service;
  }

  /** Calls, writes the answer down, and returns its body as it was. */
  async call(step: string, method: string, path: string, call: Call = {}): Promise<Record<string, unknown>> {
    const response = await fetch(`http://127.0.0.1:${this.#service.port}${path}`, {
      method,
      headers: {
        ...(call.token !== undefined && { authorization: `Bearer ${call.token}` }),
        ...(call.json !== undefined && { 'content-type': 'application/json' }),
        ...call.headers,
      },
      ...bodyOf(call),
    });
    const text = await response.text();
    this.entries.push({
      step,
      status: response.status,
      headers: Object.fromEntries(
        told.flatMap(name => {
          const value = response.headers.get(name);
          return value === null ? [] : [[name, this.#normalise(value)]];
        }),
      ),
      body: text === '' ? '' : parse(this.#normalise(text)),
    });
    return parse(text) as Record<string, unknown>;
  }

  get(step: string): Entry {
    const entry = this.entries.find(entry => entry.step === step);
    if (entry === undefined) throw new Error(`there is no step "${step}"`);
    return entry;
  }

  #normalise(text: string): string {
    return (
      text
        .replaceAll(this.#service.url, 'https://keyturn')
        .replaceAll(/"(eyJ[\w-]+\.[\w-]+\.[\w-]+)"/g, (_, token: string) => this.#normalise(readToken(token)))
        .replaceAll(/kt_[0-9a-f]{32}_[0-9A-Za-z]{38}/g, key => this.#number('key', key))
        .replaceAll(/[0-9a-z]{9}\/[0-9a-f-]{36}/g, cursor => this.#number('cursor', cursor))
        .replaceAll(/[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/g, id => this.#number('id', id))
        .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, '<time>')
        .replaceAll(/"(kid|x|y|last4)":"([^"]*)"/g, (_, name: string) => `"${name}":"<${name}>"`)
        // When the last use of a key is written down is nobody's promise.
        .replaceAll(/,"(?:lastUsedAt|lastUsedFrom)":(?:"[^"]*"|null)/g, '')
        .replace(/^"[\w-]+"$/, '"<tag>"')
    );
  }

  #number(kind: string, text: string): string {
    const known = this.#numbers.get(text) ?? `<${kind} ${this.#numbers.size + 1}>`;
    this.#numbers.set(text, known);
    return known;
  }
}

/** The headers that a client acts upon. */
const told = [
  'content-type',
  'cache-control',
  'www-authenticate',
  'location',
  'allow',
  'etag',
  'retry-after',
  'vary',
  'access-control-allow-origin',
  'access-control-allow-credentials',
  'access-control-allow-methods',
  'access-control-allow-headers',
  'access-control-expose-headers',
  'access-control-max-age',
];

function bodyOf({ form, json, text }: Call): { body?: string | URLSearchParams } {
  if (form !== undefined) return { body: new URLSearchParams(form) };
  if (json !== undefined) return { body: JSON.stringify(json) };
  return text === undefined ? {} : { body: text };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return text;
    throw error;
  }
}

/** Header and claims, with the token's life in place of its times. */
function readToken(token: string): string {
  const [header, payload] = token
    .split('.', 2)
    .map(part => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>);
  const { iat, exp, ...claims } = payload ?? {};
  return JSON.stringify({ header, claims: { ...claims, life: Number(exp) - Number(iat) } });
}
