/** `GET /oauth/revocations`: what is revoked, and each revocation as it happens, for resource servers elsewhere. */
import type { RevocationFeed } from '../../issuer/revocation-feed.ts';
import type { AppMiddleware } from '../context.ts';
import { openEventStream } from '../event-stream.ts';
import type { CallerCheck } from '../introspecting-caller.ts';

export function createRevocationEvents(callers: CallerCheck, feed: RevocationFeed): AppMiddleware {
  return async ctx => {
    const admitted = await callers.admit(ctx);
    if (admitted === undefined) return;
    const from = await feed.locate(ctx.get('Last-Event-ID'));
    const stream = openEventStream(ctx, admitted.isStillWelcome);
    const leave = feed.listen(stream, from);
    // The line of log is written when it is over, and says how long it was.
    await stream.closed;
    leave();
  };
}
