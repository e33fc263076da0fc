/** What the service tells of itself in numbers, in Prometheus' text format: of its answers, of what it knows, of its process. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

export interface Metrics {
  readonly contentType: string;
  /** Counts an answer. */
  count(answer: Answer): void;
  /** From now on an instance's own numbers are told too, in the place of any other's. */
  follow(instance: InstanceFigures): void;
  /** All of it, as it is now. */
  read(): Promise<string>;
}

export interface Answer {
  readonly method: string;
  /** As the table of routes spells it, without what a caller sent; undefined where none matched. */
  readonly route: string | undefined;
  readonly status: number;
  readonly seconds: number;
  /** Why it was refused, by the closed list of errors. */
  readonly code: string | undefined;
}

/** Read when somebody asks. */
export interface InstanceFigures {
  isReady(): Promise<boolean>;
  /** Seconds since the revocation state was last known to be whole. */
  revocationAge(): number;
  /** Revocations that are held in memory. */
  revocations(): number;
  /** Who listens to the event stream. */
  listeners(): number;
}

export function createMetrics(): Metrics {
  const answers = new Registry();
  const process = processRegistry();
  const durations = new Histogram({
    name: 'keyturn_http_request_duration_seconds',
    help: 'Time to answer a request, to the end of what streams.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [answers],
  });
  const refusals = new Counter({
    name: 'keyturn_refusals_total',
    help: 'Requests that were refused, by the code that says why.',
    labelNames: ['code'],
    registers: [answers],
  });
  let instance = new Registry();
  gaugesIn(instance)(...readiness, () => 0);
  return {
    contentType: answers.contentType,
    count({ method, route = 'none', status, seconds, code }) {
      durations.observe({ method, route, status }, seconds);
      if (code !== undefined) refusals.inc({ code });
    },
    follow(figures) {
      instance = describeInstance(figures);
    },
    async read() {
      const all = [answers, instance, process];
      return (await Promise.all(all.map(registry => registry.metrics()))).join('');
    },
  };
}

const readiness = ['keyturn_ready', 'Whether /readyz answers 200: 1 or 0.'] as const;

function describeInstance(figures: InstanceFigures): Registry {
  const registry = new Registry();
  const tell = gaugesIn(registry);
  tell(...readiness, async () => Number(await figures.isReady()));
  tell('keyturn_revocation_age_seconds', 'Since the revocation state was last known to be whole.', () =>
    figures.revocationAge(),
  );
  tell('keyturn_revocations', 'Revocations in memory.', () => figures.revocations());
  tell('keyturn_revocation_listeners', 'Listeners to GET /oauth/revocations.', () => figures.listeners());
  return registry;
}

function gaugesIn(registry: Registry) {
  return (name: string, help: string, read: () => number | Promise<number>) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        this.set(await read());
      },
    });
}

let ofProcess: Registry | undefined;

/** One for all services of a process, as what it observes has no end; without the version of Node, which helps an attacker. */
function processRegistry(): Registry {
  if (ofProcess !== undefined) return ofProcess;
  ofProcess = new Registry();
  collectDefaultMetrics({ register: ofProcess });
  ofProcess.removeSingleMetric('nodejs_version_info');
  return ofProcess;
}
