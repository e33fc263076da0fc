/**
 * Who may ask what tokens are worth: resource servers, with a token of their own or with their key. Found out here for
 * every endpoint that is for them.
 */
import type { Allowance, Decision, Demand } from '../access/decide.ts';
import type { Guard } from '../access/guard.ts';
import type { KeyGuard } from '../issuer/key-guard.ts';
import type { Throttle } from '../issuer/throttle.ts';
import { parseBasic } from '../protocol/authorization.ts';
import { OAuthError, Problem } from '../protocol/errors.ts';
import { type ClientCredentials, readClientCredentials, slowDownFailures } from './client-authentication.ts';
import type { AppContext, AppMiddleware } from './context.ts';
import { grantedToken } from './door-guard.ts';
import { noParameters, type Parameters } from './parameters.ts';

/** Asked later: whether the caller would still be let in, by what is in memory. */
export type IsStillWelcome = () => boolean;

export interface CallerOptions {
  readonly issuer: string;
  readonly guard: Guard;
  readonly keyGuard: KeyGuard;
  readonly throttle: Throttle;
  /** The guard for callers with a token, as every guarded route has it. */
  readonly guarded: (demand: Demand) => AppMiddleware;
}

export interface CallerCheck {
  /**
   * Lets in whoever may ask. The body is read only where it may hold the credentials, or the caller is let in.
   *
   * @returns undefined where the guard has answered with a refusal
   * @throws {OAuthError} where a key was sent that is not valid, or may not do this
   */
  admit(ctx: AppContext, readBody?: () => Promise<Parameters>): Promise<Admitted | undefined>;
}

export interface Admitted {
  readonly parameters: Parameters;
  readonly isStillWelcome: IsStillWelcome;
}

export function createCallerCheck(options: CallerOptions): CallerCheck {
  const demand: Demand = {
    audience: options.issuer,
    controllers: ['Keyturn.Introspection'],
    scope: 'keyturn:introspect',
  };
  const guarded = options.guarded(demand);
  return {
    async admit(ctx, readBody = async () => noParameters) {
      const { authorization } = ctx.req.headers;
      const byToken = authorization !== undefined && parseBasic(authorization).kind === 'none';
      if (byToken) return admitToken(ctx, readBody);
      const parameters = await readBody();
      const credentials = readClientCredentials(authorization, parameters);
      if (credentials === undefined) return admitToken(ctx, async () => parameters);
      return { parameters, isStillWelcome: await admitKey(ctx, credentials) };
    },
  };

  async function admitToken(
    ctx: AppContext,
    readBody: () => Promise<Parameters>,
  ): Promise<Admitted | undefined> {
    let isIn = false;
    await guarded(ctx, async () => {
      isIn = true;
    });
    if (!isIn) return undefined;
    const parameters = await readBody();
    if (parameters.get('client_secret') !== undefined || parameters.get('client_assertion') !== undefined) {
      throw new OAuthError(
        'invalid_request',
        'Authenticate in one way: by a token or by a key, not by both.',
      );
    }
    const token = grantedToken(ctx.state);
    return { parameters, isStillWelcome: () => isGood(options.guard.review(token)) };
  }

  async function admitKey(ctx: AppContext, credentials: ClientCredentials): Promise<IsStillWelcome> {
    const { address } = ctx.state;
    const presented = { ...credentials, address };
    const deciding = options.keyGuard.authorize(presented, ctx.req.headers.origin, demand);
    const decision = await slowDownFailures(deciding, options.throttle, ctx);
    if (decision.token !== undefined) ctx.state.clientId = decision.token.key.id;
    if (!decision.allowed) throw refusal(decision);
    const { token } = decision;
    return () => isGood(options.keyGuard.review(token));
  }
}

/** The state's being old for a moment is not the caller's doing. */
function isGood(decision: Decision<Allowance>): boolean {
  return decision.allowed || decision.code === 'revocation_state_stale';
}

function refusal({ code, detail }: Decision<Allowance> & { allowed: false }): OAuthError {
  const { status, detail: standard } = new Problem(code, detail);
  if (status === 503) return new OAuthError('temporarily_unavailable', standard);
  return status === 403
    ? new OAuthError('insufficient_scope', standard)
    : new OAuthError('invalid_client', standard);
}
