/**
 * What is revoked, in memory: two maps that only ever grow until the tokens they speak of have expired, so that
 * order, doubles and replays of the news do not matter.
 */

/** One piece of news from the revocation log. */
export type Revocation =
  | {
      /** Every token of the key with a lower version is dead. */
      readonly client_id: string;
      readonly min_key_version: number;
      /** Seconds since the epoch after which no such token can be alive. */
      readonly until: number;
    }
  | { readonly jti: string; readonly exp: number };

export interface RevocationView {
  isRevoked(token: { client_id: string; key_version: number; jti: string }): boolean;
  /** Milliseconds, by a monotonic clock, since the state was last known to be whole. */
  age(): number;
}

/** The state of one instance. It says what it was told; how fresh that is, is told to it too. */
export class Revocations implements RevocationView {
  readonly #keys = new Map<string, { version: number; until: number }>();
  readonly #tokens = new Map<string, number>();
  readonly #monotonic: () => number;
  #freshAt = Number.NEGATIVE_INFINITY;

  /** @param monotonic milliseconds since any fixed moment; never a wall clock */
  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  isRevoked(token: { client_id: string; key_version: number; jti: string }): boolean {
    const least = this.#keys.get(token.client_id)?.version;
    return (least !== undefined && token.key_version < least) || this.#tokens.has(token.jti);
  }

  /** The least version of the key's tokens that may live; 0 where nothing was ever revoked. */
  leastVersion(clientId: string): number {
    return this.#keys.get(clientId)?.version ?? 0;
  }

  age(): number {
    return this.#monotonic() - this.#freshAt;
  }

  apply(news: Revocation): void {
    if ('jti' in news) {
      this.#tokens.set(news.jti, Math.max(news.exp, this.#tokens.get(news.jti) ?? 0));
      return;
    }
    const known = this.#keys.get(news.client_id);
    this.#keys.set(news.client_id, {
      version: Math.max(news.min_key_version, known?.version ?? 0),
      until: Math.max(news.until, known?.until ?? 0),
    });
  }

  /** Says that everything which had happened by `moment` (monotonic milliseconds) has been applied. */
  markFresh(moment: number): void {
    this.#freshAt = Math.max(this.#freshAt, moment);
  }

  /** Says that where the news came from is not to be trusted any more: the state is as old as can be. */
  distrust(): void {
    this.#freshAt = Number.NEGATIVE_INFINITY;
  }

  /** Forgets what no living token can meet any more. `now` in seconds since the epoch, less the clock skew. */
  sweep(now: number): void {
    for (const [jti, exp] of this.#tokens) if (exp < now) this.#tokens.delete(jti);
    for (const [id, { until }] of this.#keys) if (until < now) this.#keys.delete(id);
  }

  get size(): number {
    return this.#keys.size + this.#tokens.size;
  }
}
