/** Errors become answers here, and only here: OAuth's JSON on its endpoints, problem+json everywhere else. */
import type { Middleware, ParameterizedContext } from 'koa';
import type { Logger } from 'pino';
import { OAuthError, oauthErrors, Problem, problems, retryAfterSeconds } from '../protocol/errors.ts';
import { problemDocument, problemMediaType } from '../protocol/problem-document.ts';
import { StoreUnavailable } from '../store/store.ts';
import type { AppState } from './context.ts';

/** Paths whose errors are read by OAuth clients: JSON with `error`, never problem+json. */
const oauthPaths: ReadonlySet<string> = new Set([
  '/oauth/token',
  '/v2/oauth/token',
  '/oauth/revoke',
  '/oauth/introspect',
  '/oauth/revocations',
]);

export function createErrorHandler(logger: Logger): Middleware<AppState> {
  return async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      const known = translate(error, oauthPaths.has(ctx.path));
      if (isOfUpstream(known)) warn(logger, ctx, known);
      else if (known.status >= 500 && !isForeseen(error)) report(logger, ctx, error);
      if (known instanceof OAuthError) answerOAuth(ctx, known);
      else answerProblem(ctx, known);
    }
  };
}

/** Said on purpose, and in the log as the reason of its request. */
function isForeseen(error: unknown): boolean {
  return (error instanceof Problem || error instanceof OAuthError) && error.cause === undefined;
}

function translate(error: unknown, isOAuth: boolean): OAuthError | Problem {
  if (error instanceof OAuthError) return error;
  if (isOAuth) return asOAuth(error);
  if (error instanceof Problem) return error;
  if (error instanceof StoreUnavailable) return new Problem('store_unavailable', undefined, { cause: error });
  return new Problem('internal_error', undefined, { cause: error });
}

function asOAuth(error: unknown): OAuthError {
  if (error instanceof StoreUnavailable) {
    return new OAuthError('temporarily_unavailable', 'The store is not reachable: try again.', {
      cause: error,
    });
  }
  if (error instanceof Problem) {
    const { status, headers } = error;
    const code = status === 503 || status === 429 ? 'temporarily_unavailable' : 'invalid_request';
    return new OAuthError(code, error.detail, { status, headers, cause: error });
  }
  return new OAuthError('server_error', 'The fault is on this side and has been logged.', { cause: error });
}

type Context = ParameterizedContext<AppState>;

function report(logger: Logger, ctx: Context, error: unknown): void {
  logger.error(
    { requestId: ctx.state.requestId, err: error },
    error instanceof StoreUnavailable ? 'the store is away' : 'request failed',
  );
}

/** Somebody else's fault, though the answer is ours. */
function isOfUpstream({ code }: OAuthError | Problem): boolean {
  return code === 'upstream_unreachable' || code === 'upstream_timeout';
}

function warn(logger: Logger, ctx: Context, { cause }: Error): void {
  logger.warn({ requestId: ctx.state.requestId, err: cause }, 'an upstream failed');
}

function answerOAuth(ctx: Context, error: OAuthError): void {
  beginAnswer(ctx, error, oauthErrors[error.code].log);
  if (error.status === 401 && /^basic\b/i.test(ctx.get('Authorization'))) {
    const challenge = `Basic realm="keyturn", error="${error.code}", error_description="${error.description}"`;
    ctx.set('WWW-Authenticate', challenge);
  }
  ctx.type = 'application/json';
  ctx.body = JSON.stringify({ error: error.code, error_description: error.description });
}

function answerProblem(ctx: Context, problem: Problem): void {
  beginAnswer(ctx, problem, problems[problem.code].log);
  ctx.set('Content-Type', problemMediaType);
  ctx.body = JSON.stringify(problemDocument(problem.code, problem.detail, problem.errors));
}

function beginAnswer(ctx: Context, { code, status, headers }: OAuthError | Problem, reason: string): void {
  ctx.state.failure = { code, reason };
  ctx.status = status;
  ctx.set('Cache-Control', 'no-store');
  ctx.set(headers);
  if (status === 503) ctx.set('Retry-After', String(retryAfterSeconds));
}
