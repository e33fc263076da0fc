/**
 * What clients saw of a deployment, call by call, and what must never be in it whatever has happened: a check of the
 * whole, after the fact, in the manner of Jepsen. An outcome that was not told is unknown, and proves nothing.
 */

export interface Call {
  readonly op: Operation;
  readonly instance: string;
  /** Milliseconds, by the clock of the one process that makes all calls. */
  readonly start: number;
  readonly end: number;
  /** The status; `lost` where there was no answer, or none in time. */
  readonly outcome: number | 'lost';
  /** The error code of the answer. */
  readonly code?: string;
  /** The id of the token, where it is about one. */
  readonly token?: string;
  /** The id of the key whose token, secret or status it is about. */
  readonly key?: string;
  /** Of a token that is used: when it was asked for. */
  readonly mintedAt?: number;
}

/** `revoke-key` also for any other change that must end the tokens of a key. */
export type Operation =
  'use' | 'exchange' | 'revoke-token' | 'revoke-key' | 'enable-key' | 'forge' | 'change' | 'look';

export interface History {
  readonly calls: readonly Call[];
  add(call: Call): void;
}

export function createHistory(): History {
  const calls: Call[] = [];
  return { calls, add: call => void calls.push(call) };
}

/** Everything that is wrong with a history, in words; nothing where it is as promised. */
export function findViolations({ calls }: History): string[] {
  const ends = readEnds(calls);
  return calls.flatMap(call => {
    const fault = faultOf(call, ends);
    return fault === undefined ? [] : [describe(fault, call)];
  });
}

function faultOf(call: Call, ends: Ends): string | undefined {
  if (call.outcome === 'lost') return undefined;
  const isAccepted = call.outcome >= 200 && call.outcome < 300;
  if (call.op === 'forge') return isAccepted ? 'N3: what was never issued was accepted' : undefined;
  if (isAccepted) return isEnded(call, ends) ? 'N2: accepted after it was revoked' : undefined;
  if (call.outcome === 503) return undefined;
  if (call.outcome === 401) return mayBeEnded(call, ends) ? undefined : 'N6: a good credential was refused';
  return 'N6: an answer that no fault may cause';
}

/** From when on something is known to have ended, and from when on it may have. */
interface Ends {
  readonly told: ReadonlyMap<string, number>;
  readonly tried: ReadonlyMap<string, number>;
  /** Keys that were enabled again: their secrets may be good, their older tokens not. */
  readonly enabled: ReadonlySet<string>;
}

function readEnds(calls: readonly Call[]): Ends {
  const told = new Map<string, number>();
  const tried = new Map<string, number>();
  const keepEarliest = (map: Map<string, number>, name: string, time: number) =>
    map.set(name, Math.min(time, map.get(name) ?? Infinity));
  const enabled = new Set(calls.filter(({ op }) => op === 'enable-key').map(({ key }) => key ?? ''));
  for (const call of calls) {
    const name = call.op === 'revoke-token' ? call.token : call.op === 'revoke-key' ? call.key : undefined;
    if (name === undefined) continue;
    keepEarliest(tried, name, call.start);
    if (call.outcome === 200 || call.outcome === 204) keepEarliest(told, name, call.end);
  }
  return { told, tried, enabled };
}

function isEnded({ op, token, key = '', start, mintedAt }: Call, { told, enabled }: Ends): boolean {
  const ofKey = told.get(key) ?? Infinity;
  if (op === 'exchange') return ofKey < start && !enabled.has(key);
  if (op !== 'use') return false;
  return (ofKey < start && (mintedAt ?? 0) < ofKey) || (told.get(token ?? '') ?? Infinity) < start;
}

function mayBeEnded({ token, key, end }: Call, { tried }: Ends): boolean {
  return [token, key].some(name => (tried.get(name ?? '') ?? Infinity) <= end);
}

function describe(fault: string, { op, instance, start, end, outcome, code, token, key }: Call): string {
  const times = `${start.toFixed(1)} to ${end.toFixed(1)} ms`;
  return `${fault}: ${op} at ${instance}, ${times}: ${outcome} ${code ?? ''} (key ${key}, token ${token})`;
}

/** Milliseconds from a moment to the start of the first call after it that succeeded. @throws where none did */
export function recoveryTime({ calls }: History, since: number, matches: (call: Call) => boolean): number {
  const successes = calls.filter(call => call.start >= since && call.outcome === 200 && matches(call));
  if (successes.length === 0) throw new Error('nothing succeeded after that moment');
  return Math.min(...successes.map(call => call.start)) - since;
}

/** How often each outcome came, as `200` or `503 store_unavailable`. */
export function tally(calls: readonly Call[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { outcome, code } of calls) {
    const name = code === undefined ? String(outcome) : `${outcome} ${code}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}
