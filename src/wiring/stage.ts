/**
 * What a service answers with, from its first moment: that it waits for the store, that it waits for a deployment, and as
 * soon as there is something to serve, that.
 */
import { awaitDeployment, awaitFoundation, isPassing } from '../issuer/await-deployment.ts';
import type { Foundation } from '../issuer/foundation.ts';
import type { Answer } from '../server/http-server.ts';
import { createWaitingApp } from '../server/waiting-app.ts';
import { openApp } from './app.ts';
import type { InstanceOptions } from './instance.ts';
import { type ServiceLifetime, tryWithin } from './lifetime.ts';

export interface StageOptions extends Omit<InstanceOptions, 'foundation' | keyof ServiceLifetime> {
  readonly lifetime: ServiceLifetime;
  /** Opens the store. @param hurry ends the wait for one that is away */
  readonly open: (hurry?: AbortSignal) => Promise<Foundation>;
  /** Ends the first wait for the store, behind which the next one follows. */
  readonly hurry: AbortSignal | undefined;
  /** Says who answers from now on. */
  readonly answerWith: (answer: Answer) => void;
}

/**
 * Serves, or begins to wait for what it is to serve.
 *
 * @returns what is served; undefined where it waits
 * @throws what no waiting heals
 */
export async function takeStage(options: StageOptions): Promise<Foundation | undefined> {
  const { open, hurry, lifetime } = options;
  // Redis may take its time to say that it is away, and a probe is to see that this process lives.
  const late = setTimeout(() => answerWaiting('store_unavailable', options), patience);
  const waitOut = (error: unknown) => beginWaiting(error, options);
  const foundation = await open(hurry)
    .catch(waitOut)
    .finally(() => clearTimeout(late));
  if (foundation === undefined) {
    lifetime.watchOver(serveOnceOpen(options));
    return undefined;
  }
  const { epoch } = foundation;
  // It may have gone away since it was opened.
  if (epoch !== undefined && (await serve(foundation, epoch, options).catch(waitOut)) !== undefined)
    return foundation;
  lifetime.watchOver(serveLater(foundation, options));
  return undefined;
}

/** Milliseconds for which requests at the very start wait for the store. */
const patience = 1000;

/** @throws the error where no waiting heals it: an embedded store's, say */
function beginWaiting(error: unknown, options: StageOptions): undefined {
  if (options.settings.redisUrl === undefined || !isPassing(error)) throw error;
  options.logger.error(
    { err: error },
    'the store is away: until it is there, everything is answered with 503',
  );
  answerWaiting('store_unavailable', options);
}

function answerWaiting(
  waitingFor: Parameters<typeof createWaitingApp>[0],
  { answerWith, ...options }: StageOptions,
): void {
  answerWith(createWaitingApp(waitingFor, options).callback());
}

async function serveOnceOpen(options: StageOptions): Promise<void> {
  const { open, logger, lifetime } = options;
  const foundation = await awaitFoundation(() => open(), logger, lifetime.stop);
  if (foundation !== undefined) await serveLater(foundation, options);
}

async function serveLater(foundation: Foundation, options: StageOptions): Promise<void> {
  const { logger, lifetime } = options;
  if (foundation.epoch === undefined) {
    logger.warn('the store holds no deployment: run "keyturn init" once; until then, 503 is the answer');
    answerWaiting('not_initialised', options);
  }
  const serveIt = async (epoch: string) => void (await serve(foundation, epoch, options));
  await awaitDeployment({ ...foundation, logger }, serveIt, lifetime.stop);
}

/** @returns what is served */
async function serve(foundation: Foundation, epoch: string, options: StageOptions): Promise<Foundation> {
  const { lifetime, open: _, hurry: __, answerWith, ...instance } = options;
  const app = await tryWithin(lifetime, own =>
    openApp({ ...instance, ...own, foundation: { ...foundation, epoch } }),
  );
  answerWith(app.callback());
  return foundation;
}
