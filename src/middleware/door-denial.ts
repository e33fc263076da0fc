/** How a refusal at one of a route's doors is answered: in the manner that the clients of that door understand. */
import type { Door } from '../protocol/doors.ts';
import type { DenialCode } from '../protocol/errors.ts';
import { type Denial, type DenialContext, denialResponse } from './denial.ts';

export interface DoorDenialResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: object;
}

export interface DoorDenialContext extends DenialContext {
  /** A GraphQL client reads `errors`, and nothing else. */
  readonly isGraphql: boolean;
}

export function doorDenialResponse(
  denial: Denial & { readonly door: Door },
  context: DoorDenialContext,
): DoorDenialResponse {
  switch (denial.door) {
    case 'bearer':
      return denialResponse(denial, context);
    case 'sc_apikey':
      return denyApiKey(denial, context);
    case 'x-sf-access-key':
      return denyAccessKey(denial, context);
  }
}

/** Sitecore answers 400 for everything but an origin: its clients take 401 for a visitor who has to log in. */
function denyApiKey(denial: Denial, context: DoorDenialContext): DoorDenialResponse {
  const problem = denialResponse({ ...denial, ...ofKeys[denial.code] }, context);
  const status = keptStatus.has(denial.code) ? problem.status : 400;
  const { 'WWW-Authenticate': _, ...headers } = problem.headers;
  if (!context.isGraphql) return { status, headers, body: { ...problem.body, status } };
  return {
    status,
    headers: { ...headers, 'Content-Type': 'application/json' },
    body: { errors: [{ message: problem.body.detail, extensions: { code: denial.code } }] },
  };
}

/** What is said of tokens, for whoever comes with a key. */
const ofKeys: Partial<Record<DenialCode, { readonly detail: string }>> = {
  audience_mismatch: {
    detail: 'The API key is not for this resource: add its audience to the audiences of the key.',
  },
};

const keptStatus: ReadonlySet<DenialCode> = new Set([
  'origin_not_allowed',
  'insufficient_scope',
  'revocation_state_stale',
  'issuer_unreachable',
]);

/** OData's error object; Sitefinity's clients swallow a 401 without a content type. */
function denyAccessKey(denial: Denial, context: DoorDenialContext): DoorDenialResponse {
  const { status, headers, body } = denialResponse(
    { ...denial, ...sayOfAccount(denial.code, context) },
    context,
  );
  return {
    status,
    headers: { ...headers, 'Content-Type': 'application/json' },
    body: { error: { code: sitefinityCodes[status] ?? 'Error', message: body.detail } },
  };
}

/** In the place of what is said of API keys and tokens. */
function sayOfAccount(code: DenialCode, { scope }: DoorDenialContext): Pick<Denial, 'detail'> {
  switch (code) {
    case 'credential_missing':
      return { detail: 'Send the access key of an account as X-SF-Access-Key.' };
    case 'origin_not_allowed':
      return { detail: "The request's origin is not among the CORS origins of the account: add it there." };
    case 'insufficient_scope':
      return { detail: `The account lacks the permission "${scope ?? ''}": add it to the account.` };
    default:
      return {};
  }
}

const sitefinityCodes: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  503: 'ServiceUnavailable',
};
