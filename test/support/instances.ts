/** Instances of the service as processes of their own over one Redis: started, frozen, killed, and started again. */
import { initialise, openFoundation } from '../../src/compose.ts';
import { loadSettings } from '../../src/config/load.ts';
import { createLogger } from '../../src/server/logger.ts';
import type { ServingProcess } from './built-cli.ts';
import type { Key } from './recorded-client.ts';

export interface Instance {
  readonly name: string;
  readonly port: number;
  /** Every line that it has logged. */
  log(): string[];
  /** Stops it where it stands, as a hung machine does. */
  freeze(): void;
  thaw(): void;
  /** Ends it at once. */
  kill(): Promise<void>;
  /** Ends it as an operator does. */
  stop(): Promise<void>;
}

/** Starts `keyturn serve` and waits until it serves; ends it with this process at the latest. */
export type Serve = (env: Record<string, string>) => Promise<ServingProcess>;

/** What all instances of a deployment share. */
export function sharedSettings(redisUrl: string, maxStaleness = 1): Record<string, string> {
  return {
    KEYTURN_PEPPER: 'a-pepper-for-the-tests-alone-0001',
    KEYTURN_MASTER_KEY: 'a-master-key-for-the-tests-alone-1',
    KEYTURN_REDIS_URL: redisUrl,
    KEYTURN_ISSUER: 'https://keys.example.com',
    KEYTURN_MAX_STALENESS: String(maxStaleness),
  };
}

export async function startInstance(
  serve: Serve,
  name: string,
  env: Record<string, string>,
): Promise<Instance> {
  const serving = await serve(env);
  const end = async (signal: NodeJS.Signals) => {
    serving.kill('SIGCONT');
    serving.kill(signal);
    await serving.ended;
  };
  return {
    name,
    port: serving.port,
    log: () => serving.stdout.split('\n').filter(line => line !== ''),
    freeze: () => serving.kill('SIGSTOP'),
    thaw: () => serving.kill('SIGCONT'),
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  };
}

/** Makes the deployment and its first owner, as `keyturn init` does. */
export async function initialiseDeployment(env: Record<string, string>): Promise<Key> {
  const loaded = loadSettings(env);
  const logger = createLogger('silent', { write: () => undefined });
  const foundation = await openFoundation(loaded.settings, { logger });
  try {
    const result = await initialise('owner', loaded.settings, foundation);
    if (result.outcome !== 'initialised') throw new Error(`not initialised: ${result.outcome}`);
    const { apiKey, key } = result.accessKey;
    return { id: key.id, text: apiKey };
  } finally {
    await foundation.store.close();
  }
}
