/**
 * The guard of a resource server elsewhere. It is the service's own, and does as configured where that cannot tell for
 * itself whether a token is revoked.
 */
import type { Decision } from '../../access/decide.ts';
import { createGuard, type Guard, type GuardOptions } from '../../access/guard.ts';
import type { GenuineToken } from '../../access/verify-token.ts';
import { parseBearer } from '../../protocol/authorization.ts';
import type { Introspection } from './introspection.ts';
import { IssuerUnreachable } from './service-calls.ts';

/** What becomes of a good token while the revocation state is too old to tell whether it is revoked. */
export type WhenStale = 'refuse' | 'introspect' | 'accept';

export interface RemoteGuardOptions extends GuardOptions {
  readonly introspection: Pick<Introspection, 'isActive'>;
  readonly stale: WhenStale;
}

export function createRemoteGuard(options: RemoteGuardOptions): Guard {
  const { revocations, stale, introspection } = options;
  const strict = createGuard(options);
  // Decides by what is known to be revoked, however old that is.
  const lenient = createGuard({
    ...options,
    revocations: { isRevoked: token => revocations.isRevoked(token), isStale: () => false },
  });
  if (stale === 'accept') return withFaults(lenient);
  if (stale === 'refuse') return withFaults(strict);

  const askWhereStale = async (
    decision: Decision,
    text: string,
    decideAgain: () => Decision | Promise<Decision>,
  ): Promise<Decision> => {
    if (decision.allowed || decision.code !== 'revocation_state_stale') return decision;
    if (await introspection.isActive(text)) return decideAgain();
    return { allowed: false, code: 'token_revoked', ...(decision.token && { token: decision.token }) };
  };
  return withFaults({
    async authorize(request, demand) {
      const bearer = parseBearer(request.authorization);
      return askWhereStale(
        await strict.authorize(request, demand),
        bearer.kind === 'bearer' ? bearer.token : '',
        () => lenient.authorize(request, demand),
      );
    },
    inspect: async text => askWhereStale(await strict.inspect(text), text, () => lenient.inspect(text)),
    review: token => lenient.review(token),
  });
}

/** Who cannot be asked has not said no: the caller is to keep its token, and come again. */
function withFaults(guard: Guard): Guard {
  const orUnreachable = (deciding: Promise<Decision>): Promise<Decision> =>
    deciding.catch((error: unknown): Decision => {
      if (error instanceof IssuerUnreachable) return { allowed: false, code: 'issuer_unreachable' };
      throw error;
    });
  return {
    authorize: (request, demand) => orUnreachable(guard.authorize(request, demand)),
    inspect: text => orUnreachable(guard.inspect(text)),
    review: (token: GenuineToken) => guard.review(token),
  };
}
