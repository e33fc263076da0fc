/** Figures from rounds: medians with their spread, and ratios between subjects of one run. */
import { availableParallelism, cpus } from 'node:os';
import type { Round } from './load.ts';
import { type Subject, subjects } from './subjects.ts';

export type Results = ReadonlyMap<Subject, readonly Round[]>;

export function describeRun(results: Results): string {
  const rows = [...results].map(([subject, rounds]) => describeRow(subject, rounds, results.get('koa')));
  const header = ['subject', 'req/s (min–max)', '× koa', 'p50 ms', 'p99 ms', 'CPU µs'];
  return [
    `Node ${process.versions.node}, ${availableParallelism()} CPUs (${cpus()[0]?.model.trim() ?? 'unknown'})`,
    '',
    markdownTable([header, ...rows]),
    '',
    ...[...results.keys()].map(subject => `- ${subject}: ${subjects[subject]}`),
    '',
    ...describeRatios(results),
  ].join('\n');
}

/** The ratios that a goal speaks of: by requests, and by the server's CPU (the other way round: what it may cost). */
function describeRatios(results: Results): string[] {
  const pairs: [Subject, Subject][] = [
    ['koa, guarded', 'koa, token sent'],
    ['koa, guarded', 'koa'],
    ['exchange, redis', 'exchange, bare'],
  ];
  return pairs.flatMap(([subject, reference]) => {
    const [rounds, others] = [results.get(subject), results.get(reference)];
    if (rounds === undefined || others === undefined) return [];
    // Round by round, for neighbours in time were disturbed alike.
    const byRequests = rounds.map(
      (round, i) => round.requestsPerSecond / (others[i]?.requestsPerSecond ?? 0),
    );
    const byCpu = rounds.map((round, i) => (others[i]?.cpu ?? 0) / round.cpu);
    return `"${subject}" ÷ "${reference}": ${spread(byRequests, 2)} by requests, ${spread(byCpu, 2)} by CPU`;
  });
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = Number.NaN, high = Number.NaN] = [
    sorted[sorted.length % 2 === 0 ? middle - 1 : middle],
    sorted[middle],
  ];
  return (low + high) / 2;
}

export function spread(values: readonly number[], digits = 0): string {
  const show = (value: number) =>
    value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return `${show(median(values))} (${show(Math.min(...values))}–${show(Math.max(...values))})`;
}

export function markdownTable(rows: readonly (readonly string[])[]): string {
  const [header = [], ...body] = rows;
  return [header, header.map(() => '---'), ...body].map(row => `| ${row.join(' | ')} |`).join('\n');
}

function describeRow(
  subject: Subject,
  rounds: readonly Round[],
  koa: readonly Round[] | undefined,
): string[] {
  const requests = rounds.map(round => round.requestsPerSecond);
  const ratio = median(requests) / median(koa?.map(round => round.requestsPerSecond) ?? []);
  return [
    subject,
    spread(requests),
    Number.isNaN(ratio) ? '' : ratio.toFixed(2),
    String(median(rounds.map(round => round.p50))),
    String(median(rounds.map(round => round.p99))),
    median(rounds.map(round => round.cpu)).toFixed(0),
  ];
}

/** How many, p50, p99 and the greatest, in milliseconds. */
export function describeTimes(times: readonly number[]): string[] {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number) => (sorted[Math.ceil(part * sorted.length) - 1] ?? Number.NaN).toFixed(1);
  return [String(sorted.length), at(0.5), at(0.99), at(1)];
}
