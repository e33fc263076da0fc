/**
 * Sitecore's `[RequiredApiKey]` for anyone's own Koa routes: a Keyturn service is asked about each request, as a proxy in
 * front would ask, and what it refuses is answered in its words.
 */
import type { Context, Middleware } from 'koa';
import { retryAfterSeconds } from '../protocol/errors.ts';
import { problemDocument, problemMediaType } from '../protocol/problem-document.ts';

export interface RequiredApiKeyOptions {
  /**
   * The base URL of the Keyturn service. It has to trust this server's address (`KEYTURN_TRUSTED_PROXIES`), and to have the
   * routes in its `controllers.json`, with `"requireApiKey": true`.
   */
  readonly url: string;
  /** Milliseconds that it has to answer; 2,000 by default. */
  readonly timeout?: number;
}

/** Who called, as Keyturn says. Empty where there is nothing. */
export interface KeyIdentity {
  readonly keyId: string;
  readonly feature: string;
  /** Space-separated. */
  readonly scope: string;
  readonly controller: string;
  /** The impersonation user. */
  readonly user: string;
  readonly customData: Readonly<Record<string, string>>;
}

export interface RequiredApiKeyState {
  keyturn?: KeyIdentity;
}

/** Lets in nobody whom Keyturn does not let in: also not where it cannot be asked, which is 503. */
export function createRequiredApiKey({
  url,
  timeout = 2000,
}: RequiredApiKeyOptions): Middleware<RequiredApiKeyState> {
  return async (ctx, next) => {
    const answer = await ask(ctx, url, timeout);
    if (answer?.status !== 200) return refuse(ctx, answer);
    ctx.state.keyturn = readIdentity(answer.headers);
    return next();
  };
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** Undefined where there is no answer in time. */
async function ask({ req, method }: Context, url: string, timeout: number): Promise<Answer | undefined> {
  const credentials = ['authorization', 'sc_apikey', 'x-sf-access-key', 'origin'].flatMap(name => {
    const value = req.headers[name];
    return typeof value === 'string' ? [[name, value] as [string, string]] : [];
  });
  try {
    const response = await fetch(`${url}/auth/verify`, {
      headers: [...credentials, ['x-forwarded-method', method], ['x-forwarded-uri', req.url ?? '']],
      redirect: 'manual',
      signal: AbortSignal.timeout(timeout),
    });
    return { status: response.status, headers: response.headers, body: await response.text() };
  } catch {
    // Whatever the reason: whoever cannot be asked has not said yes.
    return undefined;
  }
}

/** Of the answer's fields those that are the caller's business. */
const passedOn = /^(?:content-type|www-authenticate|cache-control|vary|retry-after|access-control-.*)$/;

function refuse(ctx: Pick<Context, 'status' | 'set' | 'body'>, answer: Answer | undefined): void {
  if (answer === undefined || answer.status < 400) {
    ctx.status = 503;
    ctx.set({ 'Retry-After': String(retryAfterSeconds), 'Content-Type': problemMediaType });
    ctx.body = JSON.stringify(problemDocument('store_unavailable', 'Keyturn cannot be asked: try again.'));
    return;
  }
  ctx.status = answer.status;
  for (const [name, value] of answer.headers) if (passedOn.test(name)) ctx.set(name, value);
  ctx.body = answer.body;
}

function readIdentity(headers: Headers): KeyIdentity {
  const read = (name: string) => decodeURIComponent(headers.get(`x-keyturn-${name}`) ?? '');
  const data = Buffer.from(read('custom-data'), 'base64url').toString();
  return {
    keyId: read('key-id'),
    feature: read('feature'),
    scope: read('scope'),
    controller: read('controller'),
    user: read('user'),
    customData: data === '' ? {} : (JSON.parse(data) as Record<string, string>),
  };
}
