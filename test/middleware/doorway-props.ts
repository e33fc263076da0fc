/** The keys and tokens that the cases ask with: good ones, dead ones, and some that no service would write. */
import { randomUUID } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { encodePart, signParts, type StolenKey } from '../server/forged-tokens.ts';
import type { TestService } from '../support/service.ts';
import { type Props, layoutController, graphqlController, origin } from './doorway-cases.ts';

export async function makeProps(service: TestService, { privateKey }: StolenKey): Promise<Props> {
  const { key, apiKey } = await service.createKey({
    corsOrigins: [origin],
    audiences: [service.url, 'https://other.example'],
  });
  const ours = { audience: service.url };
  const token = await service.token(apiKey, ours);
  const [header, claims] = [{ ...decodeProtectedHeader(token) }, decodeJwt(token)];
  const forge = (changes: object, headerChanges: object = {}) =>
    signParts(privateKey, { ...header, ...headerChanges }, { ...claims, jti: randomUUID(), ...changes });
  const now = Math.floor(Date.now() / 1000);

  const revoked = await service.token(apiKey, ours);
  await fetch(`${service.url}/oauth/revoke`, {
    method: 'POST',
    body: new URLSearchParams({ token: revoked }),
  });
  const dead = await service.createKey({});
  const ofRevokedKey = await service.token(dead.apiKey);
  await service.admin('POST', `/admin/keys/${dead.key.id}/revoke`);

  const siteKey = (fields: object = {}) =>
    service.createKey({
      feature: 'services-client',
      doors: ['token', 'sc_apikey'],
      corsOrigins: [origin],
      customData: { note: 'ü' },
      ...fields,
    });
  const site = await siteKey({ impersonationUser: 'extranet\\Ané' });
  const disabled = await siteKey();
  await service.admin('POST', `/admin/keys/${disabled.key.id}/disable`);
  const accessKey = await accessKeyOf(service, 'editor', ['content:manage']);
  return {
    token,
    narrow: await narrowed(service, apiKey),
    revoked,
    ofRevokedKey,
    forOthers: await service.token(apiKey, { audience: 'https://other.example' }),
    forged: {
      expired: forge({ iat: now - 120, exp: now - 60 }),
      typ: forge({}, { typ: 'JWT' }),
      issuer: forge({ iss: 'https://other.example' }),
      unsigned: `${encodePart({ ...header, alg: 'none' })}.${encodePart(claims)}.AA`,
      version: forge({ client_id: dead.key.id }),
      kid: forge({}, { kid: 'nobody' }),
    },
    site: site.key.id,
    siteSecret: site.apiKey,
    siteToken: await service.token(site.apiKey),
    draft: (await siteKey({ draft: true })).key.id,
    disabled: disabled.key.id,
    tokenOnly: key.id,
    layoutOnly: (await siteKey({ allowedControllers: [layoutController, graphqlController] })).key.id,
    accessKey,
    editorToken: await service.token(accessKey),
    poorAccessKey: await accessKeyOf(service, 'guest', []),
  };
}

async function narrowed(service: TestService, apiKey: string): Promise<string> {
  return service.token(apiKey, { audience: service.url, scope: 'personalize.external_webservices:create' });
}

async function accessKeyOf(service: TestService, id: string, permissions: string[]): Promise<string> {
  await service.admin('POST', '/admin/accounts', { id, role: 'member', permissions });
  const response = await service.admin('POST', `/admin/accounts/${id}/access-key`);
  return ((await response.json()) as { accessKey: string }).accessKey;
}
