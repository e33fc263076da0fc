/** The doorway of the admin API: a request becomes a typed call, its answer JSON; what is refused is audited. */
import type { Caller } from '../access/doors.ts';
import type { Actor, Audit, AuditNews } from '../issuer/audit.ts';
import type { Answer, Idempotency, Prepare } from '../issuer/idempotency.ts';
import { Problem } from '../protocol/errors.ts';
import type { AppContext, AppMiddleware } from './context.ts';
import { grantedCaller } from './door-guard.ts';
import { mediaType, parseJsonObject, readText } from './read-body.ts';
import { redactUrl } from './request-log.ts';

export interface AdminCall {
  /** The path's parameters, decoded. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly querystring: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly actor: Actor;
  /** The scopes of the caller's token. */
  readonly scopes: ReadonlySet<string>;
  readonly ifMatch: string | undefined;
  /** For an answer that holds a secret: called before the deed is done. */
  readonly prepare: Prepare;
}

export type AdminAction = (call: AdminCall) => Promise<Answer>;

/** Who is calling: an account only where it is one's access key, whatever user an ordinary key acts as. */
export type Identify = (caller: Caller) => { account?: string; clientId: string };

export interface AdminEndpointOptions {
  readonly idempotency: Idempotency;
  readonly identify: Identify;
  /** Resolves when what was changed is durable, and in force at every instance. */
  readonly settle: (era: number) => Promise<void>;
  /** The store's: what is changed settles only within one. */
  readonly era: () => number;
}

/** Answers calls; `POST`s that carry an `Idempotency-Key` once; and no change before it holds everywhere. */
export function createAdminEndpoint({
  idempotency,
  identify,
  settle,
  era,
}: AdminEndpointOptions): (action: AdminAction) => AppMiddleware {
  return action => async ctx => {
    const begun = era();
    const caller = identifyCaller(ctx, identify);
    const text = await readAdminBody(ctx);
    const { address, requestId } = ctx.state;
    const call = (prepare: Prepare): AdminCall => ({
      parameters: ctx.params,
      querystring: ctx.querystring,
      body: text === '' ? {} : parseJsonObject(text),
      actor: { ...caller.actor, address, requestId },
      scopes: caller.scopes,
      ifMatch: ctx.req.headers['if-match'],
      prepare,
    });
    const key = ctx.method === 'POST' ? readIdempotencyKey(ctx) : undefined;
    const answer =
      key === undefined
        ? await action(call(prepareNothing))
        : await idempotency.once(caller.actor.clientId, key, `${ctx.method} ${ctx.url}\n${text}`, prepare =>
            action(call(prepare)),
          );
    if (!isReading(ctx.method)) await settle(begun);
    send(ctx, answer);
  };
}

/** Without an Idempotency-Key nobody will ask for the answer again. */
const prepareNothing: Prepare = async () => undefined;

/** JSON with a status; never kept by any cache. */
export function jsonAnswer(status: number, body: object, headers: Record<string, string> = {}): Answer {
  return { status, body: JSON.stringify(body), headers };
}

export const noContent: Answer = { status: 204, body: '', headers: {} };

export interface RefusalAuditOptions {
  readonly audit: Audit;
  readonly identify: Identify;
  /** Whether one more refusal may be written down of this caller: a key, or an address where nobody is known. */
  readonly mayRecord: (caller: string, isKnown: boolean) => boolean;
  /** A refusal stands, also where it cannot be written down. */
  readonly onFailure: (error: unknown) => void;
}

/** Writes down who was refused. */
export function createRefusalAudit({
  audit,
  identify,
  mayRecord,
  onFailure,
}: RefusalAuditOptions): AppMiddleware {
  const record = async (ctx: AppContext, reason: string): Promise<void> => {
    const refusal = describeRefusal(ctx, identify);
    const { clientId } = refusal.actor;
    if (!mayRecord(clientId ?? ctx.state.address, clientId !== undefined)) return;
    await audit.record({ ...refusal, outcome: 'refused', reason }).catch(onFailure);
  };
  return async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      if (error instanceof Problem && (error.status === 401 || error.status === 403))
        await record(ctx, error.code);
      throw error;
    }
    const { access } = ctx.state;
    if (access?.allowed === false && access.code !== 'revocation_state_stale') await record(ctx, access.code);
  };
}

/** A key that came as itself, or whom the guard let in. */
function identifyCaller(
  { state }: AppContext,
  identify: Identify,
): {
  actor: { account?: string; clientId: string };
  scopes: ReadonlySet<string>;
} {
  if (state.self !== undefined) return { actor: { clientId: state.self }, scopes: new Set() };
  const caller = grantedCaller(state);
  return { actor: identify(caller), scopes: caller.scopes };
}

function isReading(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** Bytes. */
const longestBody = 65_536;

async function readAdminBody(ctx: AppContext): Promise<string> {
  if (isReading(ctx.method)) return '';
  const text = await readText(ctx.req, longestBody);
  if (text !== '' && !/^application\/(?:merge-patch\+)?json$/.test(mediaType(ctx.req) ?? '')) {
    throw new Problem('unsupported_media_type');
  }
  return text;
}

function readIdempotencyKey(ctx: AppContext): string | undefined {
  const key = ctx.req.headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key === 'string' && /^[\x21-\x7e]{1,255}$/.test(key)) return key;
  throw new Problem('malformed_request', 'An Idempotency-Key has 1 to 255 printable characters.');
}

function send(ctx: AppContext, { status, headers, body }: Answer): void {
  ctx.status = status;
  ctx.set('Cache-Control', 'no-store');
  ctx.set(headers);
  if (status === 204) return;
  ctx.type = 'application/json';
  ctx.body = body;
}

function describeRefusal(
  ctx: AppContext,
  identify: Identify,
): Pick<AuditNews, 'actor' | 'action' | 'target'> {
  const { address, requestId, access, self } = ctx.state;
  const actor = {
    address,
    requestId,
    ...(self !== undefined && { clientId: self }),
    ...(access?.token && identify(access.token)),
  };
  return { actor, action: `${ctx.method} ${routeOf(ctx)}`, target: redactUrl(ctx.path).slice(0, 200) };
}

function routeOf(ctx: AppContext): string {
  return typeof ctx._matchedRoute === 'string' ? ctx._matchedRoute : redactUrl(ctx.path);
}
