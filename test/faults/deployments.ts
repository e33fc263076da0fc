/** A deployment under test: its instances, a client that records, and the end of it all. */
import { afterAll, afterEach, expect } from 'vitest';
import { serveCli } from '../support/built-cli.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { createHistory, findViolations } from '../support/history.ts';
import { initialiseDeployment, type Instance, sharedSettings, startInstance } from '../support/instances.ts';
import type { RedisGroup } from '../support/redis-servers.ts';
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

/** Milliseconds that an election may take, and all that follows from it. */
export const longestFailover = 45_000;

type Deed = () => Promise<unknown> | void;
/** Where what is begun is noted, to be ended later. */
export type Later = (deed: Deed) => void;

const [endings, lastEndings]: [Deed[], Deed[]] = [[], []];
/** After the test, latest first. */
export const afterwards: Later = deed => void endings.push(deed);
/** After all tests of the file, latest first. */
export const atTheEnd: Later = deed => void lastEndings.push(deed);

/** All of them, whatever becomes of one: servers must not outlive a test that fails. */
async function end(deeds: Deed[]): Promise<void> {
  const failures: unknown[] = [];
  for (const deed of deeds.splice(0).toReversed()) {
    try {
      await deed();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

afterEach(() => end(endings), 60_000);
afterAll(() => end(lastEndings), 60_000);

/** On a Redis that is empty. In the end its whole history is checked. */
export async function deploy(redisUrl: string, later: Later = afterwards): Promise<Deployment> {
  const env = sharedSettings(redisUrl, bound);
  const owner = await initialiseDeployment(env);
  const history = createHistory();
  const client = createRecordedClient(history, owner);
  const instances: Instance[] = [];
  later(async () => {
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

/** Between callers and a port of this machine. */
export async function proxyTo(
  port: number,
  later: Later = afterwards,
  random?: () => number,
): Promise<FaultProxy> {
  const proxy = await startFaultProxy(port, random);
  later(() => proxy.close());
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

/** A proxy that a Redis layout is to be started with. */
export function proxyOnTheWay() {
  let proxy: FaultProxy | undefined;
  return {
    begin: async (port: number) => {
      proxy = await startFaultProxy(port);
      return proxy.port;
    },
    get: () => proxy!,
  };
}

/** Ends the layout with the test. */
export function stopLater(group: RedisGroup): RedisGroup {
  afterwards(() => group.stop());
  return group;
}
