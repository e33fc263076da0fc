/** What a collection is asked, and what it answers: the words between the route and whatever knows the answer. */
import type { CollectionRoute } from '../config/catalogue.ts';

/** One guarded call, allowed already. */
export interface CollectionCall {
  readonly route: CollectionRoute;
  /** The collection of the route's controller: of a child's route, its parent's. */
  readonly parentCollection: string;
  readonly path: string;
  /** The path at which a document of the collection is read, without its ref. */
  readonly itemPath: string;
  /** The path's parameters, in the order of the path. */
  readonly parameters: readonly string[];
  readonly query: URLSearchParams;
  /** A JSON object, where the call has a body. */
  readonly body: Readonly<Record<string, unknown>>;
  /** Who calls. */
  readonly clientId: string;
}

export interface CollectionAnswer {
  readonly status: number;
  readonly body: unknown;
}
