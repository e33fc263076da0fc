/** What the rotation asks the service, and asks again where the answer was lost. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Failure, findKey, type Journal, type Key } from './key-folder.ts';

export interface Reply {
  /** 0 where there was none. */
  readonly status: number;
  readonly body: string;
  /** The service's own words on what is wrong. */
  readonly detail: string;
  /** How often it was asked. */
  readonly tries: number;
}

/** Does the service take this key? */
export function exchange(url: string, key: string): Promise<Reply> {
  const body = new URLSearchParams({ grant_type: 'client_credentials', client_secret: key });
  return call(`${url}/oauth/token`, { method: 'POST', body });
}

/** A new secret for the key, or the one that was given for this journal already. */
export function askForSecret(url: string, key: Key, { request, idempotencyKey }: Journal): Promise<Reply> {
  return call(`${url}/keys/self/rotations`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`${key.id}:${key.text}`).toString('base64')}`,
      'content-type': 'application/json',
      'idempotency-key': idempotencyKey,
    },
    body: request,
  });
}

/** What is known of the secret that is to end, where the reply is 200: undefined where it has ended. */
export async function lookAtOldSecret(
  url: string,
  key: Key,
  watcher: string,
): Promise<{ reply: Reply; oldSecret?: string | undefined }> {
  const issued = await exchange(url, watcher);
  if (issued.status !== 200) return { reply: issued };
  const headers = { authorization: `Bearer ${readField(issued, 'access_token')}` };
  const reply = await call(`${url}/admin/keys/${key.id}`, { headers });
  if (reply.status !== 200) return { reply };
  const { secrets } = parseJson(reply) as { secrets: Record<string, string | null>[] };
  const old = secrets.find(({ state }) => state === 'retiring');
  if (old === undefined) return { reply };
  const { lastUsedAt, lastUsedFrom, retiresAt } = old;
  return { reply, oldSecret: `last used ${lastUsedAt} from ${lastUsedFrom}, ends ${retiresAt}` };
}

export function readKey(reply: Reply): Key | undefined {
  return findKey(readField(reply, 'apiKey'));
}

export function readLifetime(reply: Reply): number {
  return Number(readField(reply, 'expires_in'));
}

export function describeReply({ status, detail }: Reply): string {
  return detail === '' ? `(${status}).` : `(${status}): ${detail}`;
}

/** What was lost, came at a bad time or is still under way is repeated: there is no call here that may not be. */
async function call(url: string, init: RequestInit): Promise<Reply> {
  for (let tries = 1; ; tries += 1) {
    const { status, body } = await callOnce(url, init);
    const isPassing = status === 0 || status >= 500 || [408, 409, 425, 429].includes(status);
    if (!isPassing || tries === 10) return { status, body, detail: detailOf(body), tries };
    await sleep(1000);
  }
}

async function callOnce(url: string, init: RequestInit): Promise<Pick<Reply, 'status' | 'body'>> {
  try {
    const response = await fetch(url, { ...init, redirect: 'manual', signal: AbortSignal.timeout(30_000) });
    return { status: response.status, body: await response.text() };
  } catch {
    return { status: 0, body: '{"detail":"There was no answer."}' };
  }
}

function detailOf(body: string): string {
  return /"(?:detail|error_description)":"([^"]*)"/.exec(body)?.[1] ?? '';
}

function readField(reply: Reply, name: string): string {
  const value = (parseJson(reply) as Record<string, unknown>)[name];
  if (typeof value === 'string' || typeof value === 'number') return String(value);
  throw new Failure(`The answer holds no ${name}.`);
}

/** What JSON.parse says of a fault quotes the text, and the text may hold a secret. */
function parseJson({ body }: Reply): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw new Failure('The answer is not JSON.');
  }
}
