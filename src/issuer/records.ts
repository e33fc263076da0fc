/**
 * Records as the store keeps them: JSON, and behind it an authentication code under the master key that binds the
 * record to its name. Who can write to the store, but has not the master key, can neither widen a key's rights nor
 * put one record in another's place. (An older version of a whole record passes: see docs/security.md.)
 */
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
  /** False where the record has changed since it was read. */
  replace<T>(name: string, read: Stored<T>, value: T): Promise<boolean>;
  remove<T>(name: string, read: Stored<T>): Promise<boolean>;
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
    replace: (name, read, value) => store.replace(name, read.text, encode(name, value)),
    remove: (name, read) => store.remove(name, read.text),
  };
}

/** 128 bits in base64url. */
const codeLength = 22;
