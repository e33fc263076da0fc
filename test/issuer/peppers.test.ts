/** A new pepper: keys go on working, each is hashed anew at its next use, and the report says when the old one may go. */
import { beforeAll, describe, expect, it } from 'vitest';
import { openService, type Service } from '../../src/compose.ts';
import { loadSettings } from '../../src/config/load.ts';
import { WrongSecrets } from '../../src/issuer/deployment.ts';
import { createLogger } from '../../src/server/logger.ts';
import { until } from '../support/until.ts';
import { describeOnEachStore, type StorePlace } from '../support/stores.ts';

interface Report {
  readonly current: string;
  readonly peppers: readonly {
    readonly id: string;
    readonly configured: boolean;
    readonly secrets: number;
  }[];
  readonly waiting: number;
}

const [a, b, c] = ['the-first-pepper-of-all', 'the-second-pepper-of-all', 'the-third-pepper-of-all'];

describeOnEachStore('the pepper', store => {
  let place: StorePlace;
  let ownerKey: string;
  let keys: string[];

  beforeAll(async () => {
    place = await store.place();
    const service = await store.start({ env: { KEYTURN_PEPPER: a } }, place);
    ownerKey = service.ownerKey;
    const made = await Promise.all(Array.from({ length: 4 }, () => service.createKey({})));
    keys = made.map(({ apiKey }) => apiKey);
    // One in a rotation has two secrets, one that has been revoked none that count.
    const [rotating, revoked] = [await service.createKey({}), await service.createKey({})];
    const rotated = await service.admin('POST', `/admin/keys/${rotating.key.id}/rotations`, {
      mode: 'overlap',
    });
    keys.push(rotating.apiKey, ((await rotated.json()) as { apiKey: string }).apiKey);
    await service.admin('POST', `/admin/keys/${revoked.key.id}/revoke`);
    if (service.sampleKey !== '') keys.push(service.sampleKey);
    await service.stop();
  });

  /** The same deployment with these peppers. */
  async function open(...peppers: string[]): Promise<Service> {
    const loaded = loadSettings({
      KEYTURN_PORT: '0',
      KEYTURN_DATA_DIR: place.dataDir,
      KEYTURN_PEPPER: peppers.join(','),
      ...(place.redisUrl !== undefined && {
        KEYTURN_REDIS_URL: place.redisUrl,
        KEYTURN_MASTER_KEY: 'a-master-key-for-the-tests-alone-1',
      }),
    });
    return openService(loaded, { logger: createLogger('silent', { write: () => undefined }) });
  }

  async function during<T>(peppers: string[], deed: (port: number) => Promise<T>): Promise<T> {
    const service = await open(...peppers);
    try {
      return await deed(service.port);
    } finally {
      await service.close(1000);
    }
  }

  function exchange(port: number, apiKey: string): Promise<Response> {
    return fetch(`http://127.0.0.1:${port}/oauth/token`, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'client_credentials', client_secret: apiKey }),
    });
  }

  async function works(port: number, ...apiKeys: string[]): Promise<number[]> {
    return (await Promise.all(apiKeys.map(apiKey => exchange(port, apiKey)))).map(({ status }) => status);
  }

  async function reportOf(port: number): Promise<Report> {
    const { access_token: token } = (await (await exchange(port, ownerKey)).json()) as {
      access_token: string;
    };
    const answer = await fetch(`http://127.0.0.1:${port}/admin/peppers`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(answer.status).toBe(200);
    return (await answer.json()) as Report;
  }

  /** Until the renewals, which no exchange waits for, have come to this. */
  async function waitFor(port: number, waiting: number): Promise<Report> {
    let report = await reportOf(port);
    await until(`${waiting} secrets wait`, async () => {
      report = await reportOf(port);
      return report.waiting === waiting;
    });
    return report;
  }

  it('is renewed in each key as it is used, until none waits', async () => {
    const all = keys.length;
    const [first = '', second = '', ...others] = keys;
    await during([b, a], async port => {
      // The owner's own key asks, and is renewed by that.
      const before = await waitFor(port, all);
      expect(before.peppers.map(({ configured }) => configured)).toEqual([true, true]);
      expect(before.peppers[0]).toMatchObject({ id: before.current, secrets: 1 });
      expect(JSON.stringify(before)).not.toMatch(/the-(?:first|second)-pepper/);
      expect(await works(port, first)).toEqual([200]);
      await waitFor(port, all - 1);
      expect(await works(port, first, first, second, second)).toEqual([200, 200, 200, 200]);
      await waitFor(port, all - 2);
    });

    // What has been renewed needs the old pepper no more; what has not is refused without it, and works with it.
    await during([b], async port => {
      expect(await works(port, ownerKey, first, second)).toEqual([200, 200, 200]);
      expect(await works(port, ...others)).toEqual(others.map(() => 401));
      const report = await reportOf(port);
      expect(report.waiting).toBe(all - 2);
      expect(report.peppers.find(({ configured }) => !configured)?.secrets).toBe(all - 2);
    });

    await during([b, a], async port => {
      expect(await works(port, ...others)).toEqual(others.map(() => 200));
      expect((await waitFor(port, 0)).peppers[1]).toMatchObject({ configured: true, secrets: 0 });
    });
    await during([b], async port => {
      expect(await works(port, ...keys, ownerKey)).toEqual([...keys, ownerKey].map(() => 200));
      expect(await reportOf(port)).toMatchObject({ waiting: 0, peppers: [{ secrets: all + 1 }] });
    });
  });

  describe('that the deployment was last hashed with', () => {
    it.each<[string, string[]]>([
      ['is missing', [c]],
      ['has been left behind', [a]],
      ['has been left behind for another', [c, a]],
    ])('%s: the service does not start, and says which one it wants', async (_, peppers) => {
      await expect(open(...peppers)).rejects.toThrow(WrongSecrets);
      await expect(open(...peppers)).rejects.toThrow(
        /hashed with the pepper [\w-]{8}, which is not among KEYTURN_PEPPER/,
      );
      await expect(open(...peppers)).rejects.not.toThrow(/pepper-of-all/);
    });

    it('may be the second: it is the first that hashes from then on', async () => {
      await during([c, b], port => works(port, ownerKey));
      await expect(open(b)).rejects.toThrow(WrongSecrets);
      await during([b, c], async port => {
        expect(await works(port, ...keys)).toEqual(keys.map(() => 200));
      });
    });
  });
});
