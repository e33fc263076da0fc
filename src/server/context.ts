/** What a request carries through the onion. */
import type { RouterContext } from '@koa/router';
import type { Next } from 'koa';
import type { DoorDecision } from '../access/doors.ts';

export interface AppState {
  /** What the guard decided; absent on a route that has none. */
  access?: DoorDecision;
  requestId: string;
  /** The address of the caller, as far as it can be believed. */
  address: string;
  /** The key that the request acted with, where it was found out otherwise than by the guard. */
  clientId?: string;
  /** The key that authenticated as itself, without a token. */
  self?: string;
  /** Milliseconds that an upstream took to answer. */
  upstreamMs?: number;
  /** Why it failed, where an error told: the code that the caller reads, and what the log says of it. */
  failure?: { readonly code: string; readonly reason: string };
}

export type AppContext = RouterContext<AppState>;
export type AppMiddleware = (ctx: AppContext, next: Next) => Promise<void> | void;
