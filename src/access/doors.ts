/**
 * The doors of a route: a token, Sitecore's `sc_apikey`, Sitefinity's `X-SF-Access-Key`. Says which credential counts
 * where a request carries several, and brings each to the one decision.
 */
import { parseBearer } from '../protocol/authorization.ts';
import { countOtherCredentials, type Credentials, distinctApiKeys } from '../protocol/credentials.ts';
import type { Door } from '../protocol/doors.ts';
import type { DenialCode } from '../protocol/errors.ts';
import { commonOrigins } from '../protocol/origin.ts';
import { type Allowance, type Decision, type Demand, decideAccess, type Evidence } from './decide.ts';
import type { Guard } from './guard.ts';
import type { Revocations, RevocationView } from './revocations.ts';
import { claimedIssuer, holdsOurs } from './token-issuer.ts';
import type { GenuineToken } from './verify-token.ts';

/** Who is calling, whichever door it came through. */
export interface Caller extends Allowance {
  readonly door: Door;
  readonly clientId: string;
  /** Of the key, or of the key when the token was made. */
  readonly keyVersion: number;
  /** The `sc_apikey` that was sent beside a token, and binds it. */
  readonly boundBy?: Pick<Caller, 'clientId' | 'keyVersion'>;
  readonly feature: string;
  /** Milliseconds since the epoch after which the credential is none; undefined where there is no end. */
  readonly expiresAt: number | undefined;
  /** Whom it acts as: the impersonation user or the account; undefined where it is nobody but itself. */
  readonly user: string | undefined;
  readonly customData: Readonly<Record<string, string>>;
  /** The `Authorization` of a visitor: another issuer's business, and passed on. */
  readonly visitor: string | undefined;
  readonly token?: GenuineToken;
}

export interface DoorRequest extends Credentials {
  readonly origin: string | undefined;
}

export interface DoorDemand extends Demand {
  readonly doors: readonly Door[];
  /** What lacks a valid `sc_apikey` is refused, whatever else it has. */
  readonly requireApiKey: boolean;
}

/** A decision, and the door by whose manners it is answered. */
export type DoorDecision = Decision<Caller> & { readonly door: Door };

/** What is behind a key, or why it may not be used. */
export type KeyAnswer = { readonly caller: Caller } | { readonly code: DenialCode; readonly detail?: string };

/** Looks keys up in the store, each time: what it says is never stale. @throws {StoreUnavailable} */
export interface DoorKeys {
  /** By the id that is sent as `sc_apikey`. */
  findByIdentifier(text: string): Promise<KeyAnswer>;
  /** By the access key that is sent as `X-SF-Access-Key`. */
  findByAccessKey(text: string, address: string): Promise<KeyAnswer>;
}

export interface DoorGuard {
  /** Rejects only on a fault, which a doorway answers as an error, never as allowed. */
  authorize(request: DoorRequest, demand: DoorDemand, address: string): Promise<DoorDecision>;
  /** Whether what let the caller in has been revoked since: for calls that last. */
  isRevoked(caller: Caller): boolean;
}

export interface DoorGuardOptions {
  readonly guard: Guard;
  readonly keys: DoorKeys;
  readonly issuer: string;
  readonly revocations: RevocationView & Pick<Revocations, 'isKeyRevoked'>;
}

export function createDoorGuard(options: DoorGuardOptions): DoorGuard {
  return {
    async authorize(request, demand, address) {
      const way = chooseDoor(request, demand, options.issuer);
      switch (way.door) {
        case 'bearer':
          return byToken(request, demand, way.others, options);
        case 'sc_apikey':
          return byApiKey(way, request, demand, options);
        case 'x-sf-access-key':
          return byAccessKey(way, request, demand, address, options);
        case undefined:
          return { allowed: false, code: way.code, door: way.manners };
      }
    },
    isRevoked(caller) {
      const { revocations } = options;
      const isEnded = ({ clientId, keyVersion }: Pick<Caller, 'clientId' | 'keyVersion'>) =>
        revocations.isKeyRevoked(clientId, keyVersion);
      if (caller.boundBy !== undefined && isEnded(caller.boundBy)) return true;
      return caller.token === undefined ? isEnded(caller) : revocations.isRevoked(caller.token);
    },
  };
}

type Way =
  | { readonly door: 'bearer'; readonly others: number }
  | { readonly door: 'sc_apikey'; readonly key: string; readonly token?: string; readonly visitor?: string }
  | { readonly door: 'x-sf-access-key'; readonly key: string; readonly visitor?: string }
  | { readonly door: undefined; readonly code: DenialCode; readonly manners: Door };

/** Which credential counts. Pure. */
function chooseDoor(credentials: Credentials, { doors, requireApiKey }: DoorDemand, issuer: string): Way {
  const { authorization, accessKey, apiKeys, tokenInQuery } = credentials;
  const others = countOtherCredentials(credentials);
  if (!requireApiKey && doors.length === 1 && doors[0] === 'bearer') return { door: 'bearer', others };
  const bearer = parseBearer(authorization);
  const claimed = bearer.kind === 'bearer' ? claimedIssuer(bearer.token) : undefined;
  const ours = bearer.kind === 'bearer' && claimed === issuer ? bearer.token : undefined;
  const visitor = ours === undefined && authorization !== undefined ? { visitor: authorization } : {};
  // A token of ours in another guise, or a key, is no visitor's, and must not get past us as one.
  if (ours === undefined && authorization !== undefined && holdsOurs(authorization, issuer))
    return refuse('token_invalid', 'bearer');
  const [opensApiKey, opensAccessKey] = [doors.includes('sc_apikey'), doors.includes('x-sf-access-key')];

  if (apiKeys.length > 0 && opensApiKey) {
    const [key = '', ...differing] = distinctApiKeys(credentials);
    if (accessKey !== undefined || tokenInQuery || (ours !== undefined && !doors.includes('bearer')))
      return refuse('several_credentials', 'sc_apikey');
    if (differing.length > 0) return refuse('api_keys_differ', 'sc_apikey');
    return { door: 'sc_apikey', key, ...(ours === undefined ? visitor : { token: ours }) };
  }
  if (requireApiKey) return refuse('api_key_missing', 'sc_apikey');
  if (accessKey !== undefined && opensAccessKey) {
    if (apiKeys.length > 0 || tokenInQuery || ours !== undefined)
      return refuse('several_credentials', 'x-sf-access-key');
    return { door: 'x-sf-access-key', key: accessKey, ...visitor };
  }
  // The token of another issuer is a visitor's, also where the key beside it is missing.
  const isVisitors = claimed !== undefined && ours === undefined;
  const isAnonymous = others === 0 && (bearer.kind === 'none' || isVisitors);
  if (isAnonymous || !doors.includes('bearer')) {
    if (opensApiKey) return refuse('api_key_missing', 'sc_apikey');
    return refuse('credential_missing', opensAccessKey ? 'x-sf-access-key' : 'bearer');
  }
  return { door: 'bearer', others };
}

function refuse(code: DenialCode, manners: Door): Way {
  return { door: undefined, code, manners };
}

async function byToken(
  { authorization, origin }: DoorRequest,
  demand: DoorDemand,
  otherCredentials: number,
  { guard }: DoorGuardOptions,
): Promise<DoorDecision> {
  const decision = await guard.authorize({ authorization, origin, otherCredentials }, demand);
  return describe(decision);
}

function describe(decision: Decision): DoorDecision {
  if (decision.allowed) return { allowed: true, token: callerOf(decision.token), door: 'bearer' };
  const { token, ...denial } = decision;
  return { ...denial, ...(token && { token: callerOf(token) }), door: 'bearer' };
}

function callerOf(token: GenuineToken): Caller {
  const { claims, audiences, scopes, controllers, origins } = token;
  return {
    door: 'bearer',
    clientId: claims.client_id,
    keyVersion: claims.key_version,
    expiresAt: claims.exp * 1000,
    feature: claims.feature,
    user: claims.sub === claims.client_id ? undefined : claims.sub,
    customData: claims.custom_data ?? {},
    visitor: undefined,
    token,
    audiences,
    scopes,
    controllers,
    origins,
  };
}

async function byApiKey(
  way: Way & { door: 'sc_apikey' },
  request: DoorRequest,
  demand: DoorDemand,
  options: DoorGuardOptions,
): Promise<DoorDecision> {
  const answer = await options.keys.findByIdentifier(way.key);
  if ('code' in answer || way.token === undefined)
    return decideOnKey(answer, 'sc_apikey', way.visitor, request, demand, options);
  const life = await options.guard.inspect(way.token);
  if (!life.allowed) return describe(life);
  return decideOnBoth(callerOf(life.token), answer.caller, request, demand, options);
}

async function byAccessKey(
  way: Way & { door: 'x-sf-access-key' },
  request: DoorRequest,
  demand: DoorDemand,
  address: string,
  options: DoorGuardOptions,
): Promise<DoorDecision> {
  const answer = await options.keys.findByAccessKey(way.key, address);
  return decideOnKey(answer, 'x-sf-access-key', way.visitor, request, demand, options);
}

function decideOnKey(
  answer: KeyAnswer,
  door: Door,
  visitor: string | undefined,
  { origin }: DoorRequest,
  demand: DoorDemand,
  options: DoorGuardOptions,
): DoorDecision {
  if ('code' in answer) return { allowed: false, ...answer, door };
  const token = { ...answer.caller, visitor };
  return { ...decideAccess(genuine(token, origin, options), demand), door };
}

/** The token says who it is and what it may; the key's controllers and origins bind besides. */
function decideOnBoth(
  ofToken: Caller,
  ofKey: Caller,
  { origin }: DoorRequest,
  demand: DoorDemand,
  options: DoorGuardOptions,
): DoorDecision {
  const token = { ...ofToken, origins: commonOrigins(ofToken.origins, ofKey.origins) };
  const evidence = genuine(token, origin, options);
  const byToken = decideAccess(evidence, demand);
  if (!byToken.allowed) return { ...byToken, door: 'bearer' };
  const bound = { ...token, controllers: ofKey.controllers };
  const byKey = decideAccess({ ...evidence, token: bound }, demand);
  if (!byKey.allowed) return { ...byKey, door: 'sc_apikey' };
  const { clientId, keyVersion } = ofKey;
  return { allowed: true, token: { ...token, boundBy: { clientId, keyVersion } }, door: 'sc_apikey' };
}

/** On a credential that is alive, as was found just now. */
function genuine(
  token: Caller,
  origin: string | undefined,
  { revocations }: DoorGuardOptions,
): Evidence<Caller> {
  return {
    credential: 'genuine',
    token,
    origin,
    expired: false,
    revoked: false,
    stale: revocations.isStale(),
  };
}
