/**
 * The tokens for one purpose (scope, audience, controllers, origins), one after the other: a living one is given at once,
 * one attempt serves all who wait, and a new one is got before the old one ends, as long as somebody uses them.
 */
import { type Clock, startAge, startPause } from './clock.ts';
import {
  type AttemptOptions,
  type Failure,
  type Obtained,
  obtainToken,
  type Outcome,
  type Refusal,
} from './obtain-token.ts';
import { failurePause, lookPause, refusalPause, renewalPause, type SharedPause } from './pauses.ts';
import { TokenUnavailable } from './token-unavailable.ts';
import { Waiters } from './waiters.ts';

export interface SourceOptions extends AttemptOptions {
  /** Milliseconds that a caller without a living token waits. */
  readonly patience: number;
  /** What the service has asked of every source of this client. */
  readonly quiet: SharedPause;
  /** From 0 to 1, without 1. */
  readonly random: () => number;
}

export interface TokenCall {
  readonly signal?: AbortSignal | undefined;
  /** A token of this source that a server has answered 401 to. */
  readonly rejected?: string | undefined;
}

interface HeldToken {
  readonly text: string;
  readonly age: () => number;
  /** Ages, in milliseconds. */
  readonly refreshAt: number;
  readonly endsAt: number;
  /** Since the last attempt to get one. */
  isUsed: boolean;
  isRejected: boolean;
}

interface Attempt {
  /** Milliseconds. What has not even timed out by then was part of something that is frozen, as a Worker is after its answer. */
  readonly overdueIn: () => number;
}

/** Why the last attempt brought no token. `left` says for how many milliseconds there is to be no other. */
type Trouble = {
  readonly count: number;
  readonly left: () => number;
  /** For how long a refused key is known to be one; of a failure nothing is known. */
  readonly refusalLeft: () => number;
} & (
  | { readonly outcome: Refusal; readonly isRefusal: true }
  | { readonly outcome: Failure; readonly isRefusal: false }
);

export class TokenSource {
  readonly #options: SourceOptions;
  readonly #clock: Clock;
  readonly #waiters: Waiters;
  #held: HeldToken | undefined;
  #trouble: Trouble | undefined;
  #attempt: Attempt | undefined;
  #renewals = { count: 0, age: () => Infinity };
  #cancelTimer: () => void = () => undefined;

  constructor(options: SourceOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#waiters = new Waiters(options.clock);
  }

  /**
   * The living token, at once where there is one; where that one is `rejected`, the next one.
   *
   * @throws {TokenRefused} where the service refuses the key or what is asked for
   * @throws {TokenUnavailable} where patience has ended, or is known to end in vain
   */
  async get({ signal, rejected }: TokenCall): Promise<string> {
    signal?.throwIfAborted();
    const held = this.#living();
    if (held === undefined || this.#isToReplace(held, rejected)) return this.#wait(signal);
    held.isUsed = true;
    if (held.age() >= held.refreshAt) this.#pursue();
    return held.text;
  }

  /** Leaves no timer behind. Who waits is still served. */
  close(): void {
    this.#cancelTimer();
  }

  #living(): HeldToken | undefined {
    return this.#held !== undefined && this.#held.age() < this.#held.endsAt ? this.#held : undefined;
  }

  /** The first of a thousand who hold the same dead token has it replaced, and the others wait for the same one. */
  #isToReplace(held: HeldToken, rejected: string | undefined): boolean {
    if (held.text !== rejected) return false;
    if (held.isRejected) return true;
    const { count, age } = this.#renewals;
    if (count > 0 && age() < renewalPause(count)) return false;
    this.#renewals = { count: age() < quietRenewals ? count + 1 : 1, age: startAge(this.#clock) };
    held.isRejected = true;
    return true;
  }

  #wait(signal: AbortSignal | undefined): Promise<string> {
    const { patience } = this.#options;
    const left = this.#pauseLeft();
    if (left > 0 && this.#trouble?.isRefusal === true) {
      this.#dropRejected();
      throw this.#trouble.outcome.error;
    }
    if (left > patience) throw this.#explain();
    const waiting = this.#waiters.add({ patience, signal, explain: () => this.#explain() });
    this.#pursue();
    return waiting;
  }

  /** An attempt now, or when it may be; none beside one that is under way. */
  #pursue(): void {
    const overdueIn = this.#attempt?.overdueIn() ?? 0;
    if (overdueIn > 0) this.#schedule(overdueIn);
    else if (this.#pauseLeft() > 0) this.#schedule(this.#pauseLeft());
    else this.#begin();
  }

  #pauseLeft(): number {
    return Math.max(this.#trouble?.left() ?? 0, this.#options.quiet.left());
  }

  #begin(): void {
    const attempt = { overdueIn: startPause(this.#clock, this.#options.timeout + grace) };
    this.#attempt = attempt;
    this.#cancelTimer();
    if (this.#held !== undefined) this.#held.isUsed = false;
    void this.#carryOut(attempt);
  }

  async #carryOut(attempt: Attempt): Promise<void> {
    const trouble = this.#trouble;
    const known = trouble?.isRefusal === true && trouble.refusalLeft() > 0 ? trouble.outcome : undefined;
    const outcome = await obtainToken(this.#options, known);
    if (this.#attempt !== attempt) return;
    this.#attempt = undefined;
    this.#settle(outcome);
  }

  #settle(outcome: Outcome): void {
    if (outcome.kind === 'obtained') return this.#hold(outcome);
    if (outcome.kind === 'refused') this.#refuse(outcome);
    else this.#fail(outcome);
    if (this.#isWanted()) this.#schedule(this.#pauseLeft());
  }

  #hold({ answer, age }: Obtained): void {
    const life = Math.min(answer.expiresIn * 1000, longestLife);
    this.#held = {
      text: answer.accessToken,
      age,
      refreshAt: life * (0.8 + jitter * (2 * this.#options.random() - 1)),
      endsAt: life - Math.min(life * 0.05, longestLeeway),
      isUsed: this.#waiters.size > 0,
      isRejected: false,
    };
    this.#trouble = undefined;
    this.#waiters.resolve(this.#held.text);
    this.#schedule(this.#held.refreshAt - age());
  }

  #refuse(outcome: Refusal): void {
    const before = this.#trouble?.isRefusal === true ? this.#trouble : undefined;
    const isRemembered = before?.outcome === outcome;
    const count = isRemembered ? before.count : (before?.outcome.key === outcome.key ? before.count : 0) + 1;
    this.#trouble = {
      isRefusal: true,
      outcome,
      count,
      left: startPause(this.#clock, lookPause),
      refusalLeft: isRemembered ? before.refusalLeft : startPause(this.#clock, refusalPause(count)),
    };
    if (!isRemembered) this.#options.quiet.extend((outcome.error.retryAfter ?? 0) * 1000);
    this.#dropRejected();
    this.#waiters.reject(outcome.error);
  }

  /** Neither a server nor the service takes it for good any more. */
  #dropRejected(): void {
    if (this.#held?.isRejected === true) this.#held = undefined;
  }

  #fail(outcome: Failure): void {
    const { quiet, random } = this.#options;
    const count = (this.#trouble?.isRefusal === false ? this.#trouble.count : 0) + 1;
    const asked = outcome.retryAfter ?? 0;
    quiet.extend(asked);
    const left = startPause(this.#clock, asked + failurePause(count, random));
    this.#trouble = { isRefusal: false, outcome, count, left, refusalLeft: () => 0 };
    this.#waiters.rejectImpatient(left(), () => this.#explain());
  }

  #explain(): TokenUnavailable {
    const { issuer, patience } = this.#options;
    const retryAfter = Math.max(1, Math.ceil(this.#pauseLeft() / 1000));
    const failure = this.#trouble?.isRefusal === false ? this.#trouble.outcome : undefined;
    if (failure !== undefined)
      return new TokenUnavailable(failure.code, failure.message, { ...failure, retryAfter });
    const isQuiet = this.#options.quiet.left() > 0;
    return isQuiet
      ? new TokenUnavailable(
          'temporarily_unavailable',
          `${issuer} has asked for a pause: try again in ${retryAfter} s.`,
          { retryAfter },
        )
      : new TokenUnavailable('unreachable', `No token has come from ${issuer} within ${patience} ms.`, {
          retryAfter,
        });
  }

  #isWanted(): boolean {
    return this.#waiters.size > 0 || this.#living()?.isUsed === true;
  }

  #schedule(delay: number): void {
    this.#cancelTimer();
    const run = () => {
      if (this.#isWanted()) this.#pursue();
    };
    this.#cancelTimer = this.#clock.setTimer(run, Math.max(delay, 0), false);
  }
}

/** Of a life: the refresh is due at 75 to 85 % of it, so that instances that began together do not stay together. */
const jitter = 0.05;
/** Milliseconds: what claims to live longer is refreshed each day all the same. */
const longestLife = 86_400_000;
/** Milliseconds before its end in which a token is not given any more, for it has yet to arrive; 5 % of a short life. */
const longestLeeway = 10_000;
/** Milliseconds that an attempt may take beyond its timeout, for timers are late on a busy machine. */
const grace = 1000;
/** Milliseconds without a rejected token after which the next one is a first one. */
const quietRenewals = 60_000;
