/** What a resource server has to hear from the service: its signing keys at the start, revocations for as long as it lives. */
import type { Revocations } from '../../access/revocations.ts';
import { pause } from './pause.ts';
import { followRevocations } from './revocation-stream.ts';
import { IssuerUnreachable, type ServiceCalls } from './service-calls.ts';
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
  /** Whether to listen for revocations. */
  readonly listen: boolean;
  /** The service's base URL. */
  readonly url: string;
  readonly warn?: ((message: string) => void) | undefined;
  readonly now: () => number;
  readonly monotonic: () => number;
}

/** Milliseconds that a call at the very start waits: a heartbeat comes each second. */
const patience = 2000;

export function openNews(options: NewsOptions): News {
  const { listen, url, warn = warnOnConsole } = options;
  const stop = new AbortController();
  const line = createLine(url, warn);
  const heard = createSignal();
  const refused = createSignal();
  const onFailure = (error: unknown) => {
    line.lost(error);
    if (isRefusal(error)) refused.give();
  };
  const listening = createSignal();
  const onFresh = () => {
    line.back();
    listening.give();
  };
  if (listen) void followRevocations({ ...options, onFresh, onFailure }, stop.signal);
  else listening.give();
  void Promise.all([loadKeys(options.signingKeys, onFailure, stop.signal), listening.given]).then(heard.give);
  const firstHeard = Promise.race([heard.given, pause(patience, stop.signal)]);
  return {
    firstHeard: () => firstHeard,
    async ready() {
      const isRefused = refused.given.then(() => true);
      if (await Promise.race([heard.given.then(() => false), isRefused]))
        throw new Error(`${url} does not let this API key hear of revocations: ${line.reason()}`);
    },
    close: () => stop.abort(),
  };
}

async function loadKeys(
  signingKeys: Pick<RemoteSigningKeys, 'refresh'>,
  onFailure: (error: unknown) => void,
  stop: AbortSignal,
): Promise<void> {
  while (!stop.aborted) {
    try {
      return await signingKeys.refresh();
    } catch (error) {
      onFailure(error);
      await pause(patience, stop);
    }
  }
}

/** The key is wrong, or is not one for this: trying again will not help before somebody sees to it. */
function isRefusal(error: unknown): boolean {
  return error instanceof IssuerUnreachable && (error.status === 401 || error.status === 403);
}

/** Tells of the connection when it is lost and when it is back, once each. */
function createLine(url: string, warn: (message: string) => void) {
  let failure: string | undefined;
  return {
    lost(error: unknown) {
      const reason = error instanceof Error ? error.message : String(error);
      if (failure === undefined) warn(`keyturn: nothing is heard from ${url} (${reason}); trying again`);
      failure = reason;
    },
    back() {
      if (failure !== undefined) warn(`keyturn: ${url} is heard again`);
      failure = undefined;
    },
    reason: () => failure ?? '',
  };
}

/** A library has no log of its own, and a guard that refuses everything must not do so in silence. */
function warnOnConsole(message: string): void {
  // oxlint-disable-next-line no-console
  console.warn(message);
}

/** Given once, and for good. */
function createSignal(): { readonly given: Promise<void>; give(): void } {
  let give = () => {};
  const given = new Promise<void>(resolve => {
    give = resolve;
  });
  return { given, give };
}
