/** The guard of a server elsewhere, as a test asks it: on a clock that the test can move, and with what it has warned of. */
import { onTestFinished } from 'vitest';
import type { GuardOptions } from '../../../src/middleware/guard-options.ts';
import { readDemand, type RouteDemand } from '../../../src/middleware/guard-options.ts';
import { judgeRequest } from '../../../src/middleware/judge.ts';
import { openResourceServer, type ResourceServer } from '../../../src/middleware/resource-server.ts';
import { readCredentials } from '../../../src/protocol/credentials.ts';

export interface Guarded extends Pick<ResourceServer, 'ready' | 'close'> {
  readonly time: TestTime;
  readonly warnings: readonly string[];
  /** `200`, or the status and the code of the refusal. */
  ask(headers: Readonly<Record<string, string>>, demand?: Partial<RouteDemand>): Promise<string>;
  askWith(token: string): Promise<string>;
}

/** Both clocks of a guard: they go on by themselves, and further when told to. */
export class TestTime {
  #ahead = 0;
  #slept = 0;
  readonly now = (): number => Date.now() + this.#ahead + this.#slept;
  readonly monotonic = (): number => performance.now() + this.#ahead;

  advance(seconds: number): void {
    this.#ahead += seconds * 1000;
  }

  /** As while the machine sleeps: the clock that no one sets stands still. */
  sleep(seconds: number): void {
    this.#slept += seconds * 1000;
  }
}

/** What every route of the tests asks, of the audience that the service's tokens are for. */
export const connections: RouteDemand = {
  controller: 'Personalize.Connections',
  scope: 'personalize.external_webservices:read',
};

export function openGuarded(options: Omit<GuardOptions, 'warn'>): Guarded {
  const warnings: string[] = [];
  const time = new TestTime();
  const server = openResourceServer({ ...options, warn: message => void warnings.push(message) }, time);
  const ask: Guarded['ask'] = async (headers, demand) => {
    const request = { ...readCredentials(headers, ''), origin: headers['origin'] };
    const wanted = readDemand({ ...connections, ...demand }, server.audience);
    const { refusal } = await judgeRequest(request, wanted, '', server);
    return refusal === undefined ? '200' : `${refusal.status} ${codeOf(refusal.body)}`;
  };
  return {
    time,
    warnings,
    ask,
    askWith: token => ask({ authorization: `Bearer ${token}` }),
    ready: () => server.ready(),
    close: () => server.close(),
  };
}

/** Something to do when a test is over. */
export type AtTheEnd = (end: () => void | Promise<void>) => void;

/** As {@link openGuarded}, closed behind the test. @param atTheEnd of the test's own, where others run beside it */
export function guardInTest(
  options: Parameters<typeof openGuarded>[0],
  atTheEnd: AtTheEnd = onTestFinished,
): Guarded {
  const guarded = openGuarded(options);
  atTheEnd(() => guarded.close());
  return guarded;
}

function codeOf(body: object): string {
  const { code, error } = body as { code?: string; error?: { code: string } };
  return code ?? error?.code ?? '';
}
