/** May this caller do this here? The one decision, pure, in the order that the contract states. */
import { allowsController } from '../protocol/controllers.ts';
import type { DenialCode } from '../protocol/errors.ts';
import { allowsOrigin } from '../protocol/origin.ts';
import { containsScope } from '../protocol/scope.ts';
import type { GenuineToken } from './verify-token.ts';

/** What a route asks of its caller. */
export interface Demand {
  readonly audience: string;
  /** All of them must be allowed: a GraphQL endpoint is one beside its controller. */
  readonly controllers: readonly string[];
  /** Undefined where being let in is enough. */
  readonly scope: string | undefined;
}

/** What a credential allows, whatever kind of credential it is. */
export type Allowance = Pick<GenuineToken, 'audiences' | 'scopes' | 'controllers' | 'origins'>;

/** What is known of the caller when the decision is taken. */
export interface Evidence<T extends Allowance = GenuineToken> {
  readonly credential: 'none' | 'several' | 'malformed' | 'genuine' | 'not_genuine';
  readonly token?: T | undefined;
  readonly expired: boolean;
  readonly revoked: boolean;
  /** The revocation state is too old to tell. */
  readonly stale: boolean;
  /** The request's `Origin`, where it has one. */
  readonly origin: string | undefined;
}

export type Decision<T extends Allowance = GenuineToken> = Granted<T> | Denied<T>;

interface Granted<T> {
  readonly allowed: true;
  readonly token: T;
}

interface Denied<T> {
  readonly allowed: false;
  readonly code: DenialCode;
  readonly detail?: string;
  readonly token?: T;
}

/** Anything not plainly allowed is refused. */
export function decideAccess<T extends Allowance>(evidence: Evidence<T>, demand: Demand): Decision<T> {
  const { origin } = evidence;
  const alive = decideLife(evidence);
  if (!alive.allowed) return alive;
  const { token } = alive;
  if (!token.audiences.has(demand.audience)) {
    return deny(
      'audience_mismatch',
      token,
      `This resource is "${demand.audience}": request a token with that audience.`,
    );
  }
  const missing = demand.controllers.find(name => !allowsController(token.controllers, name));
  if (missing !== undefined) {
    return deny(
      'controller_not_allowed',
      token,
      `The API key may not use the controller "${missing}": allow it on the key, or use a key of another feature.`,
    );
  }
  if (origin !== undefined && !allowsOrigin(token.origins, origin)) {
    return deny(
      'origin_not_allowed',
      token,
      "The request's origin is not among the CORS origins of the API key: add it there.",
    );
  }
  if (demand.scope !== undefined && !containsScope(token.scopes, demand.scope)) {
    return deny(
      'insufficient_scope',
      token,
      `The scope "${demand.scope}" is needed: request it, or use a key of a feature that has it.`,
    );
  }
  return { allowed: true, token };
}

/** Is the credential good at all? What every demand asks first, and introspection alone. */
export function decideLife<T extends Allowance>(evidence: Evidence<T>): Decision<T> {
  const { token } = evidence;
  if (evidence.credential === 'several') return deny('several_credentials');
  if (evidence.credential === 'none') return deny('credential_missing');
  if (evidence.credential !== 'genuine' || token === undefined) return deny('token_invalid');
  if (evidence.expired) return deny('token_expired', token);
  if (evidence.revoked) return deny('token_revoked', token);
  if (evidence.stale) return deny('revocation_state_stale', token);
  return { allowed: true, token };
}

function deny<T>(code: DenialCode, token?: T, detail?: string): Denied<T> {
  return { allowed: false, code, ...(token && { token }), ...(detail !== undefined && { detail }) };
}
