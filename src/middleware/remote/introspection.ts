/** What tokens and keys are worth, asked of the service (RFC 7662). */
import { readCaller } from '../../access/caller-claims.ts';
import type { KeyAnswer } from '../../access/doors.ts';
import { type DenialCode, problems } from '../../protocol/errors.ts';
import { accessKeyType, scApiKeyType } from '../../protocol/token-type.ts';
import { IssuerUnreachable, type ServiceCalls } from './service-calls.ts';

export interface Introspection {
  /** Whether the token is alive. @throws {IssuerUnreachable} */
  isActive(token: string): Promise<boolean>;
  /** What is behind a key that was sent as itself. @throws {IssuerUnreachable} */
  findKey(text: string, door: 'sc_apikey' | 'x-sf-access-key'): Promise<KeyAnswer>;
}

export interface IntrospectionOptions {
  readonly service: Pick<ServiceCalls, 'post'>;
  /** Milliseconds of a clock that no one sets. */
  readonly monotonic: () => number;
}

/** Milliseconds for which nobody is asked after a failure: callers are not to wait for it one after the other. */
const rest = 1000;

export function createIntrospection({ service, monotonic }: IntrospectionOptions): Introspection {
  let failure: { at: number; error: unknown } | undefined;
  const underWay = new Map<string, ReturnType<ServiceCalls['post']>>();
  const ask = async (form: Readonly<Record<string, string>>) => {
    if (failure !== undefined && monotonic() - failure.at < rest) throw failure.error;
    try {
      return await service.post('/oauth/introspect', form);
    } catch (error) {
      failure = { at: monotonic(), error };
      throw error;
    }
  };
  /** Many who ask the same at once are one question. */
  const askOnce = (token: string, type: string) => {
    const question = `${type} ${token}`;
    const known = underWay.get(question);
    if (known !== undefined) return known;
    const answer = ask({ token, token_type_hint: type }).finally(() => underWay.delete(question));
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

const keyTypes = { sc_apikey: scApiKeyType, 'x-sf-access-key': accessKeyType };

function readAnswer(
  answer: Readonly<Record<string, unknown>>,
  door: 'sc_apikey' | 'x-sf-access-key',
): KeyAnswer {
  const { active, code, detail } = answer;
  if (active === true) return { caller: readWholeCaller(answer, door) };
  return {
    code: isDenialOfKey(code) ? code : door === 'sc_apikey' ? 'api_key_unknown' : 'access_key_invalid',
    ...(typeof detail === 'string' && { detail }),
  };
}

function readWholeCaller(...facts: Parameters<typeof readCaller>): ReturnType<typeof readCaller> {
  try {
    return readCaller(...facts);
  } catch (cause) {
    throw new IssuerUnreachable('the service does not say what the key allows: it may be too old', { cause });
  }
}

function isDenialOfKey(code: unknown): code is DenialCode {
  return typeof code === 'string' && /^(?:api|access)_key_/.test(code) && code in problems;
}
