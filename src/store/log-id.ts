/**
 * Ids of log entries, `<milliseconds>-<sequence>`: strictly increasing, also when the clock goes back. A millisecond has a
 * thousand of them; whoever needs more takes them from those to come, so that an id is one safe integer too.
 */
export interface LogId {
  readonly ms: number;
  readonly sequence: number;
}

export function nextLogId(last: LogId | undefined, now: number): LogId {
  if (last === undefined || now > last.ms) return { ms: now, sequence: 0 };
  if (last.sequence + 1 < perMillisecond) return { ms: last.ms, sequence: last.sequence + 1 };
  return { ms: last.ms + 1, sequence: 0 };
}

export const perMillisecond = 1000;

export function isLogId(text: string): boolean {
  return form.test(text);
}

const form = /^(\d{1,16})-(\d{1,16})$/;

/** @throws TypeError where this is no id: ids are only ever handed back. */
export function parseLogId(text: string): LogId {
  const [, ms, sequence] = form.exec(text) ?? [];
  if (ms === undefined || sequence === undefined) throw new TypeError('not the id of a log entry');
  return { ms: Number(ms), sequence: Number(sequence) };
}

export function formatLogId(id: LogId): string {
  return `${id.ms}-${id.sequence}`;
}

/** Negative where `a` came before `b`. */
export function compareLogIds(a: string, b: string): number {
  const [one, other] = [parseLogId(a), parseLogId(b)];
  return one.ms - other.ms || one.sequence - other.sequence;
}
