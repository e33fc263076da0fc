/** What tokens and keys are worth, asked of the service (RFC 7662). */
import { readCaller } from '../../access/caller-claims.ts';
import type { Caller, KeyAnswer } from '../../access/doors.ts';
import type { Door } from '../../protocol/doors.ts';
import { type DenialCode, problems } from '../../protocol/errors.ts';
import { accessKeyType, scApiKeyType } from '../../protocol/token-type.ts';
import { IssuerUnreachable, type ServiceCalls } from './service-calls.ts';
import type { Turnstile } from './turnstile.ts';

/** A door that opens to what is sent as itself. */
export type KeyDoor = Exclude<Door, 'bearer'>;

export interface Introspection {
  /** Whether the token is alive. @throws {IssuerUnreachable} */
  isActive(token: string): Promise<boolean>;
  /** What is behind a key that was sent as itself. @throws {IssuerUnreachable} */
  findKey(text: string, door: KeyDoor): Promise<KeyAnswer>;
}

export interface IntrospectionOptions {
  readonly service: Pick<ServiceCalls, 'post'>;
  readonly turnstile: Turnstile;
}

export function createIntrospection({ service, turnstile }: IntrospectionOptions): Introspection {
  const underWay = new Map<string, ReturnType<ServiceCalls['post']>>();
  /** Many who ask the same at once are one question. */
  const askOnce = (token: string, type: string) => {
    const question = `${type} ${token}`;
    const known = underWay.get(question);
    if (known !== undefined) return known;
    const form = { token, token_type_hint: type };
    const ask = async () => readActive(await service.post('/oauth/introspect', form));
    const answer = turnstile(ask).finally(() => underWay.delete(question));
    underWay.set(question, answer);
    return answer;
  };
  return {
    async isActive(token) {
      return (await askOnce(token, 'access_token'))['active'] === true;
    },
    async findKey(text, door) {
      return readAnswer(await askOnce(text, keyTypes[door]), door);
    },
  };
}

/** @throws {IssuerUnreachable} where it is no introspection that was answered: it says nothing of the credential */
function readActive(answer: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  if (typeof answer['active'] === 'boolean') return answer;
  throw new IssuerUnreachable('/oauth/introspect was answered with something else');
}

const keyTypes = { sc_apikey: scApiKeyType, 'x-sf-access-key': accessKeyType };

function readAnswer(answer: Readonly<Record<string, unknown>>, door: KeyDoor): KeyAnswer {
  const { active, code, detail } = answer;
  if (active === true) return { caller: readWholeCaller(answer, door) };
  return {
    code: isDenialOfKey(code) ? code : door === 'sc_apikey' ? 'api_key_unknown' : 'access_key_invalid',
    ...(typeof detail === 'string' && { detail }),
  };
}

/** A service that knows nothing of doors may take what was sent for a key of another kind. */
function readWholeCaller(answer: Readonly<Record<string, unknown>>, door: KeyDoor): Caller {
  try {
    if (answer['token_type'] === keyTypes[door]) return readCaller(answer, door);
  } catch (cause) {
    throw new IssuerUnreachable('/oauth/introspect does not say all of a key that it should', { cause });
  }
  throw new IssuerUnreachable('/oauth/introspect was asked about a key of a kind that it does not know');
}

function isDenialOfKey(code: unknown): code is DenialCode {
  return typeof code === 'string' && /^(?:api|access)_key_/.test(code) && code in problems;
}
