/** `POST /oauth/introspect` (RFC 7662): what a token or a key string is worth now, for resource servers. */
import type { Introspector } from '../../issuer/introspect.ts';
import { OAuthError } from '../../protocol/errors.ts';
import type { AppMiddleware } from '../context.ts';
import type { CallerCheck } from '../introspecting-caller.ts';
import { readParameters } from '../parameters.ts';

export function createIntrospectionEndpoint(callers: CallerCheck, introspector: Introspector): AppMiddleware {
  return async ctx => {
    ctx.set('Cache-Control', 'no-store');
    const admitted = await callers.admit(ctx, () => readParameters(ctx.req, ctx.querystring));
    if (admitted === undefined) return;
    const token = admitted.parameters.get('token');
    if (token === undefined)
      throw new OAuthError('invalid_request', 'Send the token, or the API key, as token.');
    const hint = admitted.parameters.get('token_type_hint');
    const answer = await introspector.introspect(token, hint, ctx.state.address);
    ctx.type = 'application/json';
    ctx.body = JSON.stringify(answer);
  };
}
