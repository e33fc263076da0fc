/**
 * How a client authenticates to an OAuth endpoint: by HTTP Basic, by a secret in the body, or by an assertion that it
 * signed (RFC 7521 section 4.2), never in two ways (RFC 6749 section 2.3).
 */
import { slowDown, type Throttle } from '../issuer/throttle.ts';
import { type BasicCredential, parseBasic } from '../protocol/authorization.ts';
import { BadCredential, OAuthError } from '../protocol/errors.ts';
import type { AppContext } from './context.ts';
import type { Parameters } from './parameters.ts';

export interface ClientCredentials {
  readonly door: 'client_secret' | 'client_assertion';
  /** The key string, or the assertion. */
  readonly secret: string;
  readonly clientId: string | undefined;
}

/**
 * @returns undefined where the request carries no credentials
 * @throws {OAuthError} `invalid_request` for two ways at once, `invalid_client` for a Basic header that is none
 */
export function readClientCredentials(
  authorization: string | undefined,
  parameters: Parameters,
): ClientCredentials | undefined {
  const basic = parseBasic(authorization);
  const [secret, clientId] = [parameters.get('client_secret'), parameters.get('client_id')];
  const assertion = readAssertion(parameters);
  const ways = [basic.kind === 'none' ? undefined : basic, secret, assertion].filter(
    way => way !== undefined,
  );
  if (ways.length > 1) {
    throw new OAuthError(
      'invalid_request',
      'Authenticate in one way: by HTTP Basic, by client_secret or by client_assertion.',
    );
  }
  if (assertion !== undefined) return { door: 'client_assertion', secret: assertion, clientId };
  if (secret !== undefined) return { door: 'client_secret', secret, clientId };
  return readBasic(basic, clientId);
}

function readAssertion(parameters: Parameters): string | undefined {
  const [assertion, type] = [parameters.get('client_assertion'), parameters.get('client_assertion_type')];
  if (assertion === undefined && type === undefined) return undefined;
  if (assertion === undefined || type === undefined) {
    throw new OAuthError(
      'invalid_request',
      `Send client_assertion and client_assertion_type (${jwtAssertion}), or neither.`,
    );
  }
  if (type === jwtAssertion) return assertion;
  throw new OAuthError('invalid_client', `Of client assertions only ${jwtAssertion} is offered.`);
}

/** RFC 7523 section 2.2. */
export const jwtAssertion = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

function readBasic(basic: BasicCredential, clientId: string | undefined): ClientCredentials | undefined {
  if (basic.kind === 'none') return undefined;
  if (basic.kind === 'malformed') {
    throw new OAuthError('invalid_client', 'The Basic credentials are not base64 of id:secret.');
  }
  if (clientId !== undefined && basic.id !== '' && clientId !== basic.id) {
    throw new OAuthError(
      'invalid_request',
      'The client_id of the body is not that of the Basic credentials.',
    );
  }
  return { door: 'client_secret', secret: basic.secret, clientId: basic.id || clientId };
}

/**
 * Counts wrong credentials by address, and has an address wait that has sent too many. A valid key is always served,
 * whatever its address has done: else one caller could shut out its neighbours.
 */
export async function slowDownFailures<T>(work: Promise<T>, throttle: Throttle, ctx: AppContext): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof BadCredential) slowDown(throttle, ctx.state.address);
    throw error;
  }
}
