/**
 * One JSON line a request, and its count. The line names keys by their id and never holds a secret: those are cut out of the
 * address.
 */
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Middleware } from 'koa';
import type { Logger } from 'pino';
import { problems } from '../protocol/errors.ts';
import type { ClientAddress } from './client-address.ts';
import type { AppState } from './context.ts';
import type { Metrics } from './metrics.ts';

export function createRequestLog(
  logger: Logger,
  addressOf: ClientAddress,
  metrics: Pick<Metrics, 'count'>,
): Middleware<AppState> {
  return async (ctx, next) => {
    const startedAt = performance.now();
    ctx.state.requestId = randomUUID();
    ctx.state.address = addressOf(ctx.req);
    try {
      await next();
    } finally {
      const write = () => {
        const milliseconds = performance.now() - startedAt;
        const failure = ctx.state.failure ?? denialIn(ctx.state);
        const { method, status } = ctx;
        metrics.count({
          method,
          route: routeOf(ctx),
          status,
          seconds: milliseconds / 1000,
          code: failure?.code,
        });
        if (logger.isLevelEnabled('info')) logger.info(describe(ctx, milliseconds, failure), 'request');
      };
      // An answer that streams is told of when it is through.
      if (ctx.body instanceof Readable) ctx.res.once('close', write);
      else write();
    }
  };
}

/** As the table of routes spells it, or names it where it is a pattern. */
function routeOf(ctx: object): string | undefined {
  const { _matchedRouteName: name, _matchedRoute: path } = ctx as Readonly<Record<string, unknown>>;
  return [name, path].find(text => typeof text === 'string');
}

/** The address with every secret cut out: known parameters, and whatever looks like a key or a token. */
export function redactUrl(url: string): string {
  return decodeUnreserved(url)
    .replaceAll(/([?&;][^&;=#]*(?:apikey|token|secret|assertion)[^&;=#]*(?:=|%3d))[^&#]*/gi, '$1[redacted]')
    .replaceAll(/kt_[0-9a-f]{32}_[0-9A-Za-z]+/gi, '[redacted]')
    .replaceAll(/eyJ[\w-]+\.[\w-]+\.[\w-]*/g, '[redacted]');
}

/** Letters, digits and `-._~` written plainly (RFC 3986 section 6.2.2.2): no spelling of a secret passes the patterns. */
function decodeUnreserved(url: string): string {
  return url.replaceAll(/%(?:2[de]|3\d|4[1-9a-f]|5[\daf]|6[1-9a-f]|7[\dae])/gi, code =>
    String.fromCharCode(Number.parseInt(code.slice(1), 16)),
  );
}

interface Answered {
  readonly state: AppState;
  readonly method: string;
  readonly url: string;
  readonly status: number;
  readonly body: unknown;
  readonly res: { readonly writableFinished: boolean };
}

function describe(
  { state, method, url, status, body, res }: Answered,
  milliseconds: number,
  failure: AppState['failure'],
): object {
  const isCut = body instanceof Readable && !res.writableFinished;
  const { access } = state;
  return {
    requestId: state.requestId,
    method,
    url: redactUrl(url),
    status,
    ms: hundredths(milliseconds),
    ...(state.upstreamMs !== undefined && { upstreamMs: hundredths(state.upstreamMs) }),
    ...(isCut && { cut: true }),
    address: state.address,
    clientId: state.clientId ?? access?.token?.clientId,
    ...failure,
  };
}

function hundredths(milliseconds: number): number {
  return Math.round(milliseconds * 100) / 100;
}

/** A guard answers by itself, without an error. */
function denialIn({ access: denial }: AppState): AppState['failure'] {
  return denial?.allowed === false ? { code: denial.code, reason: problems[denial.code].log } : undefined;
}
