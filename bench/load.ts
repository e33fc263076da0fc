/** One round of load on one server: how many requests it answered, how fast, and what that cost it. */
import autocannon from 'autocannon';
import type { ServerProcess } from './server-process.ts';

export interface Round {
  readonly requestsPerSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Microseconds of the server's CPU for a request: what a busy machine disturbs least. */
  readonly cpu: number;
}

const connections = 64;

/** @throws where any answer was an error: its speed would say nothing */
export async function runRound({ target, cpu }: ServerProcess, seconds: number): Promise<Round> {
  const before = await cpu();
  const result = await autocannon({ ...target, connections, duration: seconds });
  const used = (await cpu()) - before;
  const answered = result['2xx'];
  if (result.errors > 0 || result.non2xx > 0 || answered === 0) {
    throw new Error(`${target.url}: ${answered} answers, ${result.non2xx} refusals, ${result.errors} errors`);
  }
  const { p50, p99 } = result.latency;
  return { requestsPerSecond: answered / result.duration, p50, p99, cpu: used / answered };
}
