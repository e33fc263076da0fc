/**
 * One table of cases through every doorway: Koa, Express, Hono and plain fetch elsewhere, and the service's own routes. The
 * same decisions, statuses, headers and bodies.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stealSigningKey } from '../server/forged-tokens.ts';
import { sendRaw } from '../support/raw-http.ts';
import type { TestService } from '../support/service.ts';
import { describeOnEmbeddedStore } from '../support/stores.ts';
import { until } from '../support/until.ts';
import {
  type Ask,
  bearer,
  connections,
  elsewhere,
  everywhere,
  layout,
  news,
  origin,
  type Props,
  routes,
} from './doorway-cases.ts';
import { makeProps } from './doorway-props.ts';
import { type Doorway, openDoorways } from './doorways.ts';

// What the stores hold is nothing to a guard elsewhere; the service's own routes have suites on both.
describeOnEmbeddedStore('every doorway', store => {
  let service: TestService;
  let doorways: Doorway[];
  let props: Props;

  beforeAll(async () => {
    const place = await store.place();
    service = await store.start({}, place);
    props = await makeProps(service, await stealSigningKey(place));
    const { apiKey } = await service.createKey({ feature: 'resource-server' });
    doorways = await openDoorways({ issuer: service.url, audience: service.url, apiKey }, routes);
    await Promise.all(doorways.map(doorway => doorway.ready()));
  });
  afterAll(() => Promise.all(doorways.map(doorway => doorway.close())));

  const outcomes = async (ask: Ask) => {
    const { path, headers = {}, method = 'GET' } = ask(props);
    const look = async (url: string) => describeAnswer(await fetch(url + path, { method, headers }));
    return {
      ofService: await look(service.url),
      others: await Promise.all(doorways.map(each => look(each.url))),
    };
  };

  describe('decides as the service does', () => {
    test.each(everywhere)('on %s: %s', async (_, expected, ask) => {
      const { ofService, others } = await outcomes(ask);
      expect(others.map(({ verdict }) => verdict)).toEqual(doorways.map(() => expected));
      for (const other of others) expect(other).toEqual(others[0]);
      expect(ofService.verdict).toBe(expected);
      // Who is let in gets what is behind the route, and that is not the same.
      const isLetIn = expected.startsWith('200');
      expect(others[0]).toEqual(isLetIn ? { ...ofService, body: others[0]?.body } : ofService);
    });
  });

  describe('decides as all others', () => {
    test.each(elsewhere)('on %s: %s', async (_, expected, ask) => {
      const { others } = await outcomes(ask);
      expect(others.map(({ verdict }) => verdict)).toEqual(doorways.map(() => expected));
      for (const other of others) expect(other).toEqual(others[0]);
    });

    // Node joins what it does not drop: what two fields say together is no credential.
    test.each([
      ['two Authorization fields', 401, connections, (p: Props) => [bearerLine(p), bearerLine(p)]],
      ['two, one empty', 401, connections, (p: Props) => [bearerLine(p), 'Authorization:']],
      [
        'two equal sc_apikey fields',
        400,
        layout,
        (p: Props) => [`sc_apikey: ${p.site}`, `sc_apikey: ${p.site}`],
      ],
      ['two access keys', 401, news, (p: Props) => [`X-SF-Access-Key: ${p.accessKey}`, 'X-SF-Access-Key: x']],
      [
        'two Origin fields',
        403,
        connections,
        (p: Props) => [bearerLine(p), `Origin: ${origin}`, `Origin: ${origin}`],
      ],
    ])('on %s: %i, and the service refuses it at its front door', async (_, status, target, fields) => {
      const lines = [`GET ${target} HTTP/1.1`, 'Host: x', ...fields(props), 'Connection: close', '', ''];
      const ports = [...doorways, service].map(({ port }) => port);
      const answers = await Promise.all(ports.map(port => sendRaw(port, lines.join('\r\n'))));
      expect(answers.map(answer => answer?.status)).toEqual([...doorways.map(() => status), 400]);
    });
  });

  test('hears of a revocation everywhere', async () => {
    const { key, apiKey } = await service.createKey({});
    const token = await service.token(apiKey);
    const verdicts = () =>
      Promise.all(
        doorways.map(async ({ url }) =>
          describeAnswer(await fetch(url + connections, { headers: bearer(token) })),
        ),
      ).then(answers => answers.map(({ verdict }) => verdict));
    expect(await verdicts()).toEqual(doorways.map(() => '200'));
    await service.admin('POST', `/admin/keys/${key.id}/revoke`);
    await until('all of them refuse', async () =>
      (await verdicts()).every(verdict => verdict === '401 token_revoked'),
    );
  });
});

const bearerLine = ({ token }: Props) => `Authorization: Bearer ${token}`;

/** As much of an answer as the guard is responsible for. */
async function describeAnswer(response: Response) {
  const { status, headers } = response;
  const text = await response.text();
  const body = text === '' ? undefined : (JSON.parse(text) as Record<string, unknown>);
  const guarded = ['content-type', 'cache-control', 'www-authenticate', 'retry-after'];
  return {
    verdict: verdictOf(status, body),
    body: status === 200 ? { ...body, ref: undefined } : body,
    headers: status === 200 ? {} : Object.fromEntries(guarded.map(name => [name, headers.get(name)])),
  };
}

function verdictOf(status: number, body: Record<string, unknown> | undefined): string {
  if (status === 200 || body === undefined) return String(status);
  const { code, errors, error } = body as {
    code?: string;
    errors?: { extensions: { code: string } }[];
    error?: { code: string };
  };
  if (error !== undefined) return `Sitefinity ${status} ${error.code}`;
  if (errors?.[0] !== undefined) return `GraphQL ${status} ${errors[0].extensions.code}`;
  return `${status} ${String(code)}`;
}
