/** What every part of one running instance is given. */
import type { Logger } from 'pino';
import type { LoadedSettings } from '../config/load.ts';
import { resolveIssuer } from '../config/settings.ts';
import { confirmDeployment } from '../issuer/deployment.ts';
import type { Foundation } from '../issuer/foundation.ts';
import type { AppServices } from '../server/app.ts';
import type { Metrics } from '../server/metrics.ts';
import type { Lifetime } from './lifetime.ts';

export interface InstanceOptions extends LoadedSettings, Lifetime {
  readonly port: number;
  readonly foundation: Foundation & { readonly epoch: string };
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Answers `/metrics`, where that is not on a port of its own. */
  readonly metricsRoute: AppServices['metricsRoute'];
  /** Failed authentications of one address in a minute, after which it is slowed down. */
  readonly failuresPerMinute: number;
}

export interface Instance extends InstanceOptions {
  readonly issuer: string;
  /** The default one. */
  readonly audience: string;
  /** Rejects where the store is not the one that this instance was started on. */
  readonly confirm: () => Promise<void>;
}

export function describeInstance(options: InstanceOptions): Instance {
  const { store, epoch } = options.foundation;
  return {
    ...options,
    ...resolveIssuer(options.settings, options.port),
    confirm: () => confirmDeployment(store, epoch),
  };
}
