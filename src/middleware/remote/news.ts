/** What a resource server has to hear from the service: its signing keys at the start, revocations for as long as it lives. */
import type { Revocations } from '../../access/revocations.ts';
import { pause } from './pause.ts';
import { followRevocations } from './revocation-stream.ts';
import { isKeyRefused, type ServiceCalls } from './service-calls.ts';
import type { RemoteSigningKeys } from './signing-keys.ts';

export interface News {
  /** Resolves when all has been heard once, or has been waited for long enough. */
  firstHeard(): Promise<void>;
  /** Resolves when all has been heard once. @throws {Error} where the service does not accept this server's key */
  ready(): Promise<void>;
  close(): void;
}

export interface NewsOptions {
  readonly service: Pick<ServiceCalls, 'open'>;
  readonly signingKeys: Pick<RemoteSigningKeys, 'refresh'>;
  readonly revocations: Revocations;
  /** Seconds after which the state is too old to decide by. */
  readonly maxStaleness: number;
  /** Whether to listen for revocations. */
  readonly listen: boolean;
  /** Asks the service something, by this server's key: where nothing is listened to, it shows that the key is accepted. */
  readonly probe: () => Promise<unknown>;
  /** The service's base URL. */
  readonly url: string;
  /** Somebody else's: it may throw, and may give a promise. */
  readonly warn?: ((message: string) => unknown) | undefined;
  readonly now: () => number;
  readonly monotonic: () => number;
}

/** Milliseconds that a call at the very start waits: a heartbeat comes each second. */
const patience = 2000;

export function openNews(options: NewsOptions): News {
  const { listen, probe, signingKeys, url, warn = warnOnConsole } = options;
  const stop = new AbortController();
  const line = createLine(url, message => void tell(warn, message));
  const [keysHeard, revocationsHeard, refused, closed] = [
    createSignal(),
    createSignal(),
    createSignal(),
    createSignal(),
  ];
  const onFailure = (error: unknown) => {
    line.lost('revocations', error);
    if (isKeyRefused(error)) refused.give();
  };
  const onFresh = () => {
    line.back('revocations');
    revocationsHeard.give();
  };
  if (listen) void followRevocations({ ...options, onFresh, onFailure }, stop.signal);
  else void untilDone(probe, onFresh, onFailure, stop.signal);
  const onKeys = () => {
    line.back('signing keys');
    keysHeard.give();
  };
  const onNoKeys = (error: unknown) => line.lost('signing keys', error);
  void untilDone(() => signingKeys.refresh(), onKeys, onNoKeys, stop.signal);
  const heard = Promise.all([keysHeard.given, revocationsHeard.given]).then(() => 'heard' as const);
  const firstHeard = Promise.race([heard, pause(patience, stop.signal)]).then(() => undefined);
  return {
    firstHeard: () => firstHeard,
    async ready() {
      const outcomes = [heard, refused.given.then(() => 'refused'), closed.given.then(() => 'closed')];
      const outcome = await Promise.race(outcomes);
      if (outcome === 'closed') throw new Error('the guard is closed');
      if (outcome === 'refused')
        throw new Error(
          `${url} does not accept this server's API key (${line.reason('revocations')}): it has to be an active key of the feature "resource-server"`,
        );
    },
    close() {
      stop.abort();
      closed.give();
    },
  };
}

/** Tries until it works. */
async function untilDone(
  task: () => Promise<unknown>,
  onDone: () => void,
  onFailure: (error: unknown) => void,
  stop: AbortSignal,
): Promise<void> {
  while (!stop.aborted) {
    try {
      await task();
      return onDone();
    } catch (error) {
      if (!stop.aborted) onFailure(error);
      await pause(patience, stop);
    }
  }
}

type Subject = 'signing keys' | 'revocations';

/** Tells of what is not heard any more, and of what is heard again, once each. */
interface Line {
  lost(subject: Subject, error: unknown): void;
  back(subject: Subject): void;
  reason(subject: Subject): string;
}

function createLine(url: string, warn: (message: string) => void): Line {
  const failures = new Map<Subject, string>();
  return {
    lost(subject, error) {
      const reason = describe(error);
      const isNew = !failures.has(subject);
      failures.set(subject, reason);
      if (isNew) warn(`keyturn: the ${subject} of ${url} are not to be had (${reason}); trying again`);
    },
    back(subject) {
      if (failures.delete(subject)) warn(`keyturn: the ${subject} of ${url} are heard again`);
    },
    reason: subject => failures.get(subject) ?? 'for a moment',
  };
}

/** Never rejects: whoever cannot be told is no reason to hear nothing more. */
async function tell(warn: (message: string) => unknown, message: string): Promise<void> {
  try {
    await warn(message);
  } catch (error) {
    warnOnConsole(`${message} (which \`warn\` was not told: ${describe(error)})`);
  }
}

/** A library has no log of its own, and a guard that refuses everything must not do so in silence. */
function warnOnConsole(message: string): void {
  // oxlint-disable-next-line no-console
  console.warn(message);
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Given once, and for good. */
function createSignal(): { readonly given: Promise<void>; give(): void } {
  let give = () => {};
  const given = new Promise<void>(resolve => {
    give = resolve;
  });
  return { given, give };
}
