/**
 * Revocation as the deployment remembers it: one append-only log. Each instance reads it whole at start and follows
 * it from then on; what a decision asks is in memory.
 */
import { type Revocation, Revocations } from '../access/revocations.ts';
import { clockSkewSeconds } from '../access/verify-token.ts';
import type { Clock, Store } from '../store/store.ts';
import { DeploymentLost } from './deployment.ts';

export interface RevocationLog {
  readonly revocations: Revocations;
  /** Kills every token of the key with a lower version. Resolves when that is durable and in force here. */
  revokeKey(clientId: string, minKeyVersion: number): Promise<void>;
  /** Kills one token, until `exp` (seconds since the epoch). */
  revokeToken(jti: string, exp: number): Promise<void>;
  /** Reads what has come since. Resolves when all of it is applied; several calls at once share one read. */
  catchUp(): Promise<void>;
}

/** Seconds: no token lives longer, whatever is configured. */
export const longestTokenLife = 86_400;

export interface RevocationLogOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Milliseconds of a clock that no one sets. */
  readonly monotonic: () => number;
  /** Rejects where the store is not the one that this instance knows: then nothing it says is news. */
  readonly confirm: () => Promise<void>;
  /** Told of entries that cannot be read; they are passed over, and those behind them applied. */
  readonly onMalformedEntry: (id: string) => void;
}

export function createRevocationLog(options: RevocationLogOptions): RevocationLog {
  const { store, clock } = options;
  const revocations = new Revocations(options.monotonic);
  let cursor: string | undefined;
  let reading: Promise<void> | undefined;
  let sweptAt = options.monotonic();

  const publish = async (news: Revocation): Promise<void> => {
    await store.append(logName, JSON.stringify(news), { retention });
    revocations.apply(news);
  };
  const read = async (): Promise<void> => {
    const startedAt = options.monotonic();
    await options.confirm().catch((error: unknown) => {
      if (error instanceof DeploymentLost) revocations.distrust();
      throw error;
    });
    let page;
    do {
      page = await store.readLog(logName, cursor, pageSize);
      for (const { id, value } of page) {
        const news = parseRevocation(value);
        if (news === undefined) options.onMalformedEntry(id);
        else revocations.apply(news);
        cursor = id;
      }
    } while (page.length === pageSize);
    revocations.markFresh(startedAt);
    if (startedAt - sweptAt < sweepInterval) return;
    sweptAt = startedAt;
    revocations.sweep(clock() / 1000 - clockSkewSeconds);
  };
  return {
    revocations,
    revokeKey: (client_id, min_key_version) =>
      publish({ client_id, min_key_version, until: Math.ceil(clock() / 1000) + longestTokenLife }),
    revokeToken: (jti, exp) => publish({ jti, exp }),
    catchUp() {
      reading ??= read().finally(() => {
        reading = undefined;
      });
      return reading;
    },
  };
}

const logName = 'revocations';
const pageSize = 1000;
/** Milliseconds. */
const sweepInterval = 60_000;
/** Milliseconds: an hour longer than any token lives. */
const retention = (longestTokenLife + 3600) * 1000;

function parseRevocation(text: string): Revocation | undefined {
  try {
    const entry = JSON.parse(text) as Partial<Record<string, unknown>>;
    const { client_id, min_key_version, until, jti, exp } = entry;
    if (typeof jti === 'string' && Number.isFinite(exp)) return { jti, exp: Number(exp) };
    if (typeof client_id !== 'string' || !Number.isSafeInteger(min_key_version) || !Number.isFinite(until))
      return undefined;
    return { client_id, min_key_version: Number(min_key_version), until: Number(until) };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
