/** Servers to compare with, and the guard on a route whose twin has none. */
import { createHmac, generateKeyPairSync, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import Router from '@koa/router';
import { Redis } from 'ioredis';
import Koa from 'koa';
import { createDoorGuard, type DoorKeys } from '../src/access/doors.ts';
import { createGuard } from '../src/access/guard.ts';
import { Revocations } from '../src/access/revocations.ts';
import { createTokenVerifier } from '../src/access/verify-token.ts';
import { createSigner, signToken, type Signer } from '../src/issuer/sign-token.ts';
import { createThrottle } from '../src/issuer/throttle.ts';
import type { AppMiddleware, AppState } from '../src/server/context.ts';
import { createDoorGuardMiddleware, demandToken } from '../src/server/door-guard.ts';
import { listen } from './subject-process.ts';
import type { Target } from './subjects.ts';

const answer = JSON.stringify({
  items: Array.from({ length: 5 }, (_, i) => ({ name: `Item ${i}`, revision: i })),
});

export async function serveFloor(): Promise<Target> {
  const url = await listen((_req, res) => {
    res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': answer.length }).end(answer);
  });
  return { url, method: 'GET', headers: {} };
}

export async function serveKoa(token: 'none' | 'ignored' | 'guarded'): Promise<Target> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signer = createSigner('bench', 'ES256', privateKey);
  const verifier = createTokenVerifier({
    issuer,
    findKey: kid => (kid === 'bench' ? { kid, alg: 'ES256', publicKey } : undefined),
    now: Date.now,
    longestLife: 86_400,
  });
  const revocations = new Revocations(() => performance.now(), 5);
  setInterval(() => revocations.markFresh(performance.now()), 100);
  revocations.markFresh(performance.now());
  const guard = createGuard({ verifier, revocations, now: Date.now });
  const doorGuard = createDoorGuard({ guard, keys: noKeys, issuer, revocations });
  const guarded = createDoorGuardMiddleware({
    doorGuard,
    resourceMetadata: `${issuer}/.well-known/oauth-protected-resource`,
    throttle: createThrottle({ limit: 60, window: 60, now: Date.now }),
  });
  const demand = demandToken({ audience: issuer, controllers: ['Bench'], scope: 'bench:read' });
  const url = await listenKoa(token === 'guarded' ? [guarded(() => demand)] : []);
  const headers = { authorization: `Bearer ${await signToken(signer, claims())}` };
  return { url: `${url}/items`, method: 'GET', headers: token === 'none' ? {} : headers };
}

/** The route has no door for keys. */
const noKeys: DoorKeys = {
  findByIdentifier: async () => ({ code: 'api_key_unknown' }),
  findByAccessKey: async () => ({ code: 'access_key_invalid' }),
};

/** As little as an exchange can be: what a service with nothing but its purpose would do. */
export async function serveBareExchange(redisUrl: string): Promise<Target> {
  const redis = new Redis(redisUrl, { enableAutoPipelining: true });
  await redis.set(
    'bench',
    JSON.stringify({ hash: 'x'.repeat(43), feature: 'bench', scopes: ['bench:manage'] }),
  );
  const signer = createSigner(
    'bench',
    'ES256',
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  );
  const url = await listen((req, res) => void exchange(req, res, redis, signer));
  return { url, method: 'POST', ...exchangeRequest(`kt_${'0'.repeat(32)}_${'0'.repeat(38)}`) };
}

/** The body that every exchange is measured with: the door that clients use most. */
export function exchangeRequest(apiKey: string): Pick<Target, 'headers' | 'body'> {
  const body = new URLSearchParams({ grant_type: 'client_credentials', client_secret: apiKey });
  return { headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: body.toString() };
}

const issuer = 'http://127.0.0.1:8080';

function claims(): object {
  const iat = Math.floor(Date.now() / 1000);
  return {
    iss: issuer,
    sub: '0195c2f0-0000-7000-8000-000000000000',
    aud: issuer,
    exp: iat + 3600,
    iat,
    jti: randomUUID(),
    client_id: '0195c2f0-0000-7000-8000-000000000000',
    scope: 'bench:manage',
    feature: 'bench',
    allowed_controllers: ['Bench'],
    allowed_origins: [],
    key_version: 1,
  };
}

async function exchange(
  req: IncomingMessage,
  res: ServerResponse,
  redis: Redis,
  signer: Signer,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) if (Buffer.isBuffer(chunk)) chunks.push(chunk);
  const secret = new URLSearchParams(Buffer.concat(chunks).toString()).get('client_secret') ?? '';
  const record: unknown = JSON.parse((await redis.get('bench')) ?? '{}');
  const hash = createHmac('sha256', 'a-pepper').update(secret).digest('base64url');
  if (typeof record !== 'object' || hash === '') throw new Error('no record');
  const token = await signToken(signer, claims());
  const issued = { access_token: token, token_type: 'Bearer', expires_in: 3600, scope: 'bench:manage' };
  const body = JSON.stringify(issued);
  res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': body.length }).end(body);
}

function listenKoa(guards: readonly AppMiddleware[]): Promise<string> {
  const app = new Koa<AppState>();
  const router = new Router<AppState>();
  router.get('/items', ...guards, ctx => {
    ctx.type = 'application/json';
    ctx.body = answer;
  });
  app.use(router.routes());
  const callback = app.callback();
  return listen((req, res) => void callback(req, res));
}
