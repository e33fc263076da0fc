/** The route that every client calls with its token: a list that only a key for connections may read. */
import { expect } from 'vitest';
import type { TestService } from '../support/service.ts';

/** Sees that the token opens the guarded route. */
export async function expectLetIn(service: TestService, accessToken: string): Promise<void> {
  const response = await fetch(`${service.url}/v2/connections`, {
    headers: { authorization: `Bearer ${accessToken}` },
  });
  await expectConnections(service, response);
}

/** Sees that this is the list of connections, in the shape of Sitecore Personalize. */
export async function expectConnections(service: TestService, response: Response): Promise<void> {
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({ href: `${service.url}/v2/connections`, items: [] });
}

/** Sees that the token opens nothing, and is told so as RFC 6750 has it. */
export async function expectRefused(service: TestService, accessToken: string): Promise<void> {
  const response = await fetch(`${service.url}/v2/connections`, {
    headers: { authorization: `Bearer ${accessToken}` },
  });
  expect(response.status).toBe(401);
  expect(response.headers.get('www-authenticate')).toMatch(/^Bearer .*error="invalid_token"/);
}

export const connectionScopes = {
  all: 'personalize.external_webservices:manage',
  read: 'personalize.external_webservices:read',
} as const;
