/**
 * What is revoked, in memory: maps that only ever grow until the tokens they speak of have expired, so that
 * order, doubles and replays of the news do not matter.
 */

/** One piece of news from the revocation log. Times are in seconds since the epoch. */
export type Revocation = KeyRevocation | TokenRevocation | SigningKeyRevocation;

/** Every token of the key with a lower version is dead. */
export interface KeyRevocation {
  readonly client_id: string;
  readonly min_key_version: number;
  /** After which no such token can be alive. */
  readonly until: number;
  /** What became of the key itself with that version, where it cannot be used any more: for the issuer alone. */
  readonly status?: 'disabled' | 'revoked';
}

/** One token is dead. */
export interface TokenRevocation {
  readonly jti: string;
  readonly exp: number;
}

/** Every token that this signing key has signed is dead. */
export interface SigningKeyRevocation {
  readonly kid: string;
  /** After which no such token can be alive. */
  readonly until: number;
}

/** As much of a token as revocation asks for. */
export interface RevocableToken {
  readonly kid: string;
  readonly claims: { readonly client_id: string; readonly key_version: number; readonly jti: string };
}

export interface RevocationView {
  isRevoked(token: RevocableToken): boolean;
  /** Whether the state is too old to decide by. */
  isStale(): boolean;
}

/** The state of one instance. It says what it was told; how fresh that is, is told to it too. */
export class Revocations implements RevocationView {
  readonly #keys = new Map<string, KeyRevocation>();
  /** There may be a million of these: no object for each. */
  readonly #tokens = new Map<string, number>();
  readonly #signingKeys = new Map<string, number>();
  readonly #monotonic: () => number;
  readonly #maxStaleness: number;
  #freshAt = Number.NEGATIVE_INFINITY;

  /**
   * @param monotonic milliseconds since any fixed moment; never a wall clock
   * @param maxStaleness seconds after which the state is too old to decide by
   */
  constructor(monotonic: () => number, maxStaleness: number) {
    this.#monotonic = monotonic;
    this.#maxStaleness = maxStaleness;
  }

  isRevoked({ kid, claims }: RevocableToken): boolean {
    return (
      this.isKeyRevoked(claims.client_id, claims.key_version) ||
      this.#tokens.has(claims.jti) ||
      this.#signingKeys.has(kid)
    );
  }

  /** Whether a key has been changed, for less, since it had this version. */
  isKeyRevoked(clientId: string, keyVersion: number): boolean {
    return keyVersion < (this.#keys.get(clientId)?.min_key_version ?? 0);
  }

  /** What is known of a key: the least version that may live, and what became of it. */
  ofKey(clientId: string): KeyRevocation | undefined {
    return this.#keys.get(clientId);
  }

  isSigningKeyRevoked(kid: string): boolean {
    return this.#signingKeys.has(kid);
  }

  /** Milliseconds, by a monotonic clock, since the state was last known to be whole. */
  age(): number {
    return this.#monotonic() - this.#freshAt;
  }

  isStale(): boolean {
    return this.age() > this.#maxStaleness * 1000;
  }

  apply(news: Revocation): void {
    if ('jti' in news) this.#tokens.set(news.jti, Math.max(news.exp, this.#tokens.get(news.jti) ?? 0));
    else if ('kid' in news)
      this.#signingKeys.set(news.kid, Math.max(news.until, this.#signingKeys.get(news.kid) ?? 0));
    else this.#keys.set(news.client_id, mergeKeys(news, this.#keys.get(news.client_id)));
  }

  /** Everything that is known, each piece once. */
  *entries(): Generator<Revocation> {
    yield* this.#keys.values();
    for (const [jti, exp] of this.#tokens) yield { jti, exp };
    for (const [kid, until] of this.#signingKeys) yield { kid, until };
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
    for (const [id, { until }] of this.#keys) if (until < now) this.#keys.delete(id);
    for (const map of [this.#tokens, this.#signingKeys])
      for (const [name, end] of map) if (end < now) map.delete(name);
  }

  get size(): number {
    return this.#keys.size + this.#tokens.size + this.#signingKeys.size;
  }
}

/** Seconds since the epoch after which a revocation has nothing left to forbid. */
export function endOf(revocation: Revocation): number {
  return 'jti' in revocation ? revocation.exp : revocation.until;
}

/** The greater version wins, and of two that are equal the one that ended more; the end is the later one. */
function mergeKeys(news: KeyRevocation, known: KeyRevocation | undefined): KeyRevocation {
  if (known === undefined) return news;
  const until = Math.max(news.until, known.until);
  const winner = rank(news) > rank(known) ? news : known;
  return winner.until === until ? winner : { ...winner, until };
}

function rank({ min_key_version, status }: KeyRevocation): number {
  return min_key_version * 4 + (status === undefined ? 0 : severity[status]);
}

const severity = { disabled: 1, revoked: 2 };
