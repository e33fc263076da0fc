/**
 * Whether anybody's pages may ask here: the union of the origins that active keys and accounts list. Preflights ask it, and
 * anybody may send any number of them: so what the lists hold is remembered for a moment (`short-memory.ts`). Nothing is let
 * in by that: browsers keep the answer for minutes, and the request that follows is decided by its own key's origins, as they
 * are then.
 */
import type { Catalogue } from '../config/catalogue.ts';
import { allowsController, effectiveControllers } from '../protocol/controllers.ts';
import { anyOrigin, parseOrigin } from '../protocol/origin.ts';
import type { Clock } from '../store/store.ts';
import type { Accounts } from './accounts.ts';
import type { ApiKeys } from './api-keys.ts';
import { createShortMemory } from './short-memory.ts';

/**
 * @param header the request's `Origin`
 * @throws {StoreUnavailable} where it cannot be told
 */
export type OriginUnion = (header: string, controller: string) => Promise<boolean>;

export interface OriginUnionOptions {
  readonly apiKeys: Pick<ApiKeys, 'withOrigin' | 'originChanges'>;
  readonly accounts: Pick<Accounts, 'withOrigin' | 'originChanges'>;
  readonly catalogue: Catalogue;
  readonly clock: Clock;
}

export function createOriginUnion(options: OriginUnionOptions): OriginUnion {
  const { apiKeys, accounts, catalogue, clock } = options;
  const openingsOf = createShortMemory({
    read: origin => readOpenings(origin, options),
    changes: () => apiKeys.originChanges(),
    clock,
  });
  const hasAccount = createShortMemory({
    read: origin => readAccounts(origin, options),
    changes: () => accounts.originChanges(),
    clock,
  });
  return async (header, controller) => {
    const origin = parseOrigin(header);
    if (origin === undefined) return false;
    const isForAccounts = catalogue.controllers.get(controller)?.doors.includes('x-sf-access-key') === true;
    for (const listed of [origin, anyOrigin]) {
      const openings = await openingsOf(listed);
      if (openings.some(opening => isOpen(opening, controller, clock()))) return true;
      if (isForAccounts && (await hasAccount(listed))) return true;
    }
    return false;
  };
}

/** What an active key, and every other that is like it in this, lets pages of its origins do. */
interface Opening {
  readonly controllers: ReadonlySet<string>;
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly until: number;
}

/** Keys are like one another: ten thousand of one feature are one opening, if none says otherwise. */
async function readOpenings(
  origin: string,
  { apiKeys, catalogue }: OriginUnionOptions,
): Promise<readonly Opening[]> {
  const openings = new Map<string, Opening>();
  for await (const { feature = '', allowedControllers, notBefore, expiresAt } of apiKeys.withOrigin(origin)) {
    const kind = JSON.stringify([feature, allowedControllers, notBefore, expiresAt]);
    const found = catalogue.features.get(feature);
    if (found === undefined || openings.has(kind)) continue;
    const controllers = new Set(effectiveControllers(allowedControllers, found.controllers));
    openings.set(kind, { controllers, from: notBefore ?? 0, until: expiresAt ?? Infinity });
  }
  return [...openings.values()];
}

function isOpen({ controllers, from, until }: Opening, controller: string, now: number): boolean {
  return from <= now && now < until && allowsController(controllers, controller);
}

/** Whether the origin is that of an account with an access key. */
async function readAccounts(origin: string, { accounts }: OriginUnionOptions): Promise<boolean> {
  for await (const { accessKey } of accounts.withOrigin(origin)) if (accessKey !== undefined) return true;
  return false;
}
