/** What somebody writes who has installed the package: compiled against it, strictly, by package.test.ts. */
import express from 'express';
import Koa from 'koa';
import { createTokenClient, TokenUnavailable } from 'keyturn/client';
import { createGuard as createExpressGuard, type Caller } from 'keyturn/express';
import { createGuard as createFetchGuard } from 'keyturn/fetch';
import { createGuard as createKoaGuard, grantedCaller, type GuardState } from 'keyturn/koa';
import { createLogger, loadSettings, openService } from 'keyturn';

const options = {
  issuer: 'https://keys.example.com',
  audience: 'https://api.example.com',
  apiKey: async () => 'kt_…',
  stale: 'introspect',
} as const;

const guardExpress = createExpressGuard(options);
express().get('/orders', guardExpress({ controller: 'Shop.Orders', scope: 'orders:read' }), (req, res) => {
  const caller: Caller | undefined = req.keyturn;
  res.json({ feature: caller?.feature });
});

const guardKoa = createKoaGuard(options);
new Koa<GuardState>().use(guardKoa({ controller: 'Shop.Orders', scope: 'orders:read' })).use(ctx => {
  const { clientId, scopes } = grantedCaller(ctx);
  ctx.body = { clientId: clientId satisfies string, scopes: [...scopes] };
});

const guardFetch = createFetchGuard(options);
export async function GET(request: Request): Promise<Response> {
  const { caller, response } = await guardFetch(request, { controller: 'Shop.Orders', scope: 'orders:read' });
  if (response !== undefined) return response;
  return Response.json({ user: caller.user });
}

export const mistakes = [
  // @ts-expect-error a scope ends in an action
  guardExpress({ controller: 'Shop.Orders', scope: 'orders' }),
  // @ts-expect-error there are five actions
  guardExpress({ controller: 'Shop.Orders', scope: 'orders:write' }),
  // @ts-expect-error a route belongs to a controller
  guardKoa({ scope: 'orders:read' }),
  // @ts-expect-error a route asks for a scope
  guardKoa({ controller: 'Shop.Orders' }),
  // @ts-expect-error a route has a door at least
  guardKoa({ controller: 'Shop.Orders', scope: 'orders:read', doors: [] }),
  // @ts-expect-error there is no such door
  guardKoa({ controller: 'Shop.Orders', scope: 'orders:read', doors: ['cookie'] }),
  // @ts-expect-error three things can be done
  createKoaGuard({ ...options, stale: 'ignore' }),
  // @ts-expect-error who guards has an audience
  createKoaGuard({ issuer: 'https://keys.example.com', apiKey: 'kt_…' }),
];

const client = createTokenClient({ issuer: 'https://keys.example.com', apiKey: 'kt_…' });
export async function call(): Promise<string> {
  try {
    const response = await client.fetch('https://api.example.com/orders');
    return await response.text();
  } catch (error) {
    return error instanceof TokenUnavailable ? error.message : 'another error';
  }
}

export const service = openService(loadSettings({}), { logger: createLogger('info') });
