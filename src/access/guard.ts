/** The guard: gathers the evidence on a caller and asks for the decision. Every doorway comes through here. */
import { parseBearer } from '../protocol/authorization.ts';
import { type Decision, type Demand, decideAccess, decideLife, type Evidence } from './decide.ts';
import type { RevocationView } from './revocations.ts';
import type { GenuineToken, TokenVerifier } from './verify-token.ts';

/** A request as a doorway hands it in. */
export interface AccessRequest {
  readonly authorization: string | undefined;
  readonly origin: string | undefined;
  /** How many credentials the request carries beside the `Authorization` header. */
  readonly otherCredentials: number;
}

export interface Guard {
  /** Decides on one call. Rejects only on a fault, which a doorway answers as an error, never as allowed. */
  authorize(request: AccessRequest, demand: Demand): Promise<Decision>;
  /** Decides on a token alone, whatever it may be used for: what every call with it is asked first. */
  inspect(token: string): Promise<Decision>;
  /** As {@link inspect}, as of now, for a token that was let in before. */
  review(token: GenuineToken): Decision;
}

export interface GuardOptions {
  readonly verifier: TokenVerifier;
  readonly revocations: RevocationView;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export function createGuard(options: GuardOptions): Guard {
  return {
    async authorize(request, demand) {
      return decideAccess(await gatherEvidence(request, options), demand);
    },
    async inspect(text) {
      const token = await options.verifier.verify(text);
      return decideLife(withVerdict(token, undefined, options));
    },
    review: token => decideLife(withToken(token, undefined, options)),
  };
}

async function gatherEvidence(request: AccessRequest, options: GuardOptions): Promise<Evidence> {
  const { origin } = request;
  const bearer = parseBearer(request.authorization);
  if (request.otherCredentials > (bearer.kind === 'none' ? 1 : 0)) return without('several', origin);
  if (bearer.kind === 'none') return without('none', origin);
  if (bearer.kind === 'malformed') return without('malformed', origin);
  return withVerdict(await options.verifier.verify(bearer.token), origin, options);
}

function withVerdict(
  token: GenuineToken | undefined,
  origin: string | undefined,
  options: GuardOptions,
): Evidence {
  return token === undefined ? without('not_genuine', origin) : withToken(token, origin, options);
}

function without(credential: Evidence['credential'], origin: string | undefined): Evidence {
  return { credential, origin, expired: false, revoked: false, stale: false };
}

function withToken(token: GenuineToken, origin: string | undefined, options: GuardOptions): Evidence {
  return {
    credential: 'genuine',
    token,
    origin,
    expired: token.claims.exp <= options.now() / 1000,
    revoked: options.revocations.isRevoked(token),
    stale: options.revocations.isStale(),
  };
}
