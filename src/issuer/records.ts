/**
 * Records as the store keeps them: JSON, and behind it an authentication code under the master key that binds the
 * record to its name. Who can write to the store, but has not the master key, can neither widen a key's rights nor
 * put one record in another's place. (An older version of a whole record passes: see docs/security.md.)
 */
import { Problem } from '../protocol/errors.ts';
import { type RecordOptions, type Store, StoreUnavailable } from '../store/store.ts';
import type { Vault } from './vault.ts';

/** A record, and the text that a compare-and-set has to name. */
export interface Stored<T> {
  readonly value: T;
  readonly text: string;
}

export interface Records {
  /** @throws {StoreUnavailable} also where the record fails its authentication */
  get<T>(name: string): Promise<Stored<T> | undefined>;
  getMany<T>(names: readonly string[]): Promise<(Stored<T> | undefined)[]>;
  create(name: string, value: unknown, options?: RecordOptions): Promise<boolean>;
  /** Undefined, and nothing changed, where the record is not as it was read. */
  replace<T>(
    name: string,
    read: Stored<T>,
    value: T,
    options?: RecordOptions,
  ): Promise<Stored<T> | undefined>;
  remove<T>(name: string, read: Stored<T>): Promise<boolean>;
}

/** The entity tag (RFC 9110 section 8.8.3): the authentication code, which changes with every change of the record. */
export function etagOf({ text }: Stored<unknown>): string {
  return `"${text.slice(-codeLength)}"`;
}

/** RFC 9110 section 13.1.1. @throws {Problem} `precondition_failed` */
export function requireMatch(stored: Stored<unknown>, ifMatch: string | undefined): void {
  if (ifMatch === undefined || ifMatch.trim() === '*') return;
  const tags = ifMatch.split(',').map(tag => tag.trim());
  if (!tags.includes(etagOf(stored))) throw new Problem('precondition_failed');
}

/** The record was changed by somebody without the master key, or damaged: nothing may be decided by it. */
export class RecordNotAuthentic extends StoreUnavailable {}

export function createRecords(store: Store, vault: Vault): Records {
  const encode = (name: string, value: unknown): string => {
    const json = JSON.stringify(value);
    return json + vault.authenticate(name, json);
  };
  const decode = <T>(name: string, text: string | undefined): Stored<T> | undefined => {
    if (text === undefined) return undefined;
    const json = text.slice(0, -codeLength);
    if (!vault.isAuthentic(name, json, text.slice(-codeLength))) {
      throw new RecordNotAuthentic(`the record "${name}" fails its authentication`);
    }
    return { value: JSON.parse(json) as T, text };
  };
  return {
    get: async name => decode(name, await store.get(name)),
    async getMany<T>(names: readonly string[]) {
      const texts = await store.getMany(names);
      return texts.map((text, place) => decode<T>(names[place]!, text));
    },
    create: (name, value, options) => store.create(name, encode(name, value), options),
    async replace(name, read, value, options) {
      const text = encode(name, value);
      return (await store.replace(name, read.text, text, options)) ? { value, text } : undefined;
    },
    remove: (name, read) => store.remove(name, read.text),
  };
}

/** 128 bits in base64url. */
const codeLength = 22;
