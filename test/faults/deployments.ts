/** A deployment under test: its instances, a client that records, and the end of it all. */
import { afterEach, expect } from 'vitest';
import { serveCli } from '../support/built-cli.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { createHistory, findViolations } from '../support/history.ts';
import { initialiseDeployment, type Instance, sharedSettings, startInstance } from '../support/instances.ts';
import { createRecordedClient, type RecordedClient } from '../support/recorded-client.ts';

export interface Deployment {
  readonly client: RecordedClient;
  /** One more instance; by way of `proxyPort` where its Redis is to be reached so. */
  start(name: string, env?: Record<string, string>): Promise<Instance>;
}

/** Seconds after which an instance refuses, in these tests. */
export const bound = 1;
/** Milliseconds that a revoking call may take at most while an instance is away; the rest is for a busy machine. */
export const longestRevocation = bound * 1000 + 1000 + 1500;

const ending: (() => Promise<unknown> | void)[] = [];

/** Does this after the test, latest first. */
export function afterwards(deed: () => Promise<unknown> | void): void {
  ending.push(deed);
}

afterEach(async () => {
  for (const deed of ending.splice(0).toReversed()) await deed();
}, 60_000);

/** On a Redis that is empty. After the test its whole history is checked. */
export async function deploy(redisUrl: string, settings: Record<string, string> = {}): Promise<Deployment> {
  const env = { ...sharedSettings(redisUrl, bound), ...settings };
  const owner = await initialiseDeployment(env);
  const history = createHistory();
  const client = createRecordedClient(history, owner);
  const instances: Instance[] = [];
  afterwards(async () => {
    client.close();
    await Promise.all(instances.map(instance => instance.kill()));
    expect(findViolations(history)).toEqual([]);
    for (const instance of instances) expectSoundLog(instance);
  });
  return {
    client,
    async start(name, overrides = {}) {
      const instance = await startInstance(serveCli, name, { ...env, ...overrides });
      instances.push(instance);
      return instance;
    },
  };
}

/** Between callers and a port of this machine, until the test ends. */
export async function proxyTo(port: number, random?: () => number): Promise<FaultProxy> {
  const proxy = await startFaultProxy(port, random);
  afterwards(() => proxy.close());
  return proxy;
}

/** The setting that leads an instance through a proxy. */
export function through(proxy: FaultProxy): Record<string, string> {
  return { KEYTURN_REDIS_URL: `redis://127.0.0.1:${proxy.port}` };
}

/** Whatever was done to it: nothing fatal, no answer 500, no secret. */
function expectSoundLog(instance: Instance): void {
  const lines = instance.log();
  expect(lines.filter(line => /"level":"fatal"|"status":500/.test(line))).toEqual([]);
  expect(lines.filter(line => /kt_[0-9a-f]{32}_|eyJ[\w-]{10,}\.[\w-]{10,}\./.test(line))).toEqual([]);
}
