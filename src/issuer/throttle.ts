/**
 * How often one address may fail to authenticate. It protects the processor, not the secrets: those have 190 bits.
 * A key is never locked, for then anyone could lock it. The counts are this instance's own: one more or less of them
 * decides nothing, and an attacker must not be able to make us write to the store.
 */
import { isIPv6 } from 'node:net';
import { LRUCache } from 'lru-cache';
import { Problem } from '../protocol/errors.ts';

export interface Throttle {
  /** Seconds that the address has to wait, or 0. */
  wait(address: string): number;
  /** Counts a failure. */
  fail(address: string): void;
}

export interface ThrottleOptions {
  /** Failures in one window, after which an address waits for the next. */
  readonly limit: number;
  /** Seconds. */
  readonly window: number;
  /** Milliseconds. */
  readonly now: () => number;
}

export function createThrottle({ limit, window, now }: ThrottleOptions): Throttle {
  const failures = new LRUCache<string, { count: number; endsAt: number }>({ max: 50_000 });
  const current = (address: string) => {
    const entry = failures.get(networkOf(address));
    return entry !== undefined && entry.endsAt > now() ? entry : undefined;
  };
  return {
    wait(address) {
      const entry = current(address);
      return entry === undefined || entry.count < limit ? 0 : Math.ceil((entry.endsAt - now()) / 1000);
    },
    fail(address) {
      const entry = current(address);
      if (entry === undefined) failures.set(networkOf(address), { count: 1, endsAt: now() + window * 1000 });
      else entry.count += 1;
    },
  };
}

/**
 * Counts a failure, and has an address wait that had failed too often before.
 *
 * @throws {Problem} `too_many_requests`
 */
export function slowDown(throttle: Throttle, address: string): void {
  const seconds = throttle.wait(address);
  throttle.fail(address);
  if (seconds === 0) return;
  throw new Problem('too_many_requests', undefined, { headers: { 'Retry-After': String(seconds) } });
}

/** One IPv6 subscriber has a /64: walking through its addresses is no way round. */
function networkOf(address: string): string {
  if (!isIPv6(address) || address.startsWith('::ffff:')) return address;
  const [head = '', tail] = address.split('::', 2);
  const groups = head === '' ? [] : head.split(':');
  const missing = tail === undefined ? 0 : 8 - groups.length - (tail === '' ? 0 : tail.split(':').length);
  const all = [...groups, ...Array.from({ length: missing }, () => '0'), ...(tail ? tail.split(':') : [])];
  return `${all.slice(0, 4).join(':')}::/64`;
}
