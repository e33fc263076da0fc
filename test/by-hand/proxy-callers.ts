/** Everybody who calls at the doorways: tokens and keys, good and bad, of one service. */
import { randomUUID } from 'node:crypto';
import type { TestService } from '../support/service.ts';

/** The one origin that the keys list. */
export const page = 'https://page.example';

export interface Callers {
  /** Of the feature `connections`, and {@link page}. */
  readonly token: string;
  readonly forged: string;
  readonly expired: string;
  readonly revoked: string;
  readonly ofOtherController: string;
  readonly ofOtherScope: string;
  /** A document that the token may read. */
  readonly ref: string;
  /** An `sc_apikey` for everything of Sitecore's, and {@link page}. */
  readonly siteKey: string;
  readonly draftKey: string;
  readonly narrowKey: string;
  /** An `X-SF-Access-Key` that may read content, and {@link page}. */
  readonly accessKey: string;
  /** A key string: never an `sc_apikey`. */
  readonly keyString: string;
}

export async function createCallers(service: TestService): Promise<Callers> {
  // The clock goes forward alone: first the token that is to be too old.
  const shortLived = await service.createKey({ tokenTtl: 2 });
  const expired = await service.token(shortLived.apiKey);
  service.clock.advance(120);

  const { apiKey } = await service.createKey({ corsOrigins: [page] });
  const token = await service.token(apiKey);
  const dead = await service.createKey({});
  const revoked = await service.token(dead.apiKey);
  await service.admin('POST', `/admin/keys/${dead.key.id}/revoke`);
  const templates = await service.createKey({ feature: 'developer-templates' });
  return {
    token,
    forged: `${token.slice(0, -6)}${token.endsWith('AAAAAA') ? 'BBBBBB' : 'AAAAAA'}`,
    expired,
    revoked,
    ofOtherController: await service.token(templates.apiKey),
    ofOtherScope: await service.token(apiKey, { scope: 'personalize.external_webservices:create' }),
    ref: await createDocument(service, token),
    siteKey: await createSiteKey(service, { allowedControllers: '*', corsOrigins: [page] }),
    draftKey: await createSiteKey(service, { draft: true }),
    narrowKey: await createSiteKey(service, { allowedControllers: [] }),
    accessKey: await createAccessKey(service),
    keyString: apiKey,
  };
}

async function createSiteKey(service: TestService, fields: Record<string, unknown>): Promise<string> {
  const { key } = await service.createKey({
    feature: 'services-client',
    doors: ['sc_apikey'],
    impersonationUser: 'extranet\\Ané',
    customData: { note: 'ü' },
    ...fields,
  });
  return key.id;
}

async function createDocument(service: TestService, token: string): Promise<string> {
  const answer = await fetch(`${service.url}/v2/connections`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: '{"name":"x"}',
  });
  return ((await answer.json()) as { ref: string }).ref;
}

async function createAccessKey(service: TestService): Promise<string> {
  const id = `reader-${randomUUID()}`;
  await service.admin('POST', '/admin/accounts', {
    id,
    role: 'member',
    permissions: ['content:read'],
    corsOrigins: [page],
  });
  const made = await service.admin('POST', `/admin/accounts/${id}/access-key`);
  return ((await made.json()) as { accessKey: string }).accessKey;
}
