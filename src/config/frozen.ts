/** Owns making a value unchangeable, as deep as it goes: objects, arrays and maps. */

export type Frozen<T> = T extends (infer Item)[]
  ? readonly Frozen<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Frozen<T[Key]> }
    : T;

/** Freezes the value itself, and all that it holds. */
export function freezeDeeply<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  if (value instanceof Map) sealMap(value);
  Object.freeze(value);
  for (const child of Object.values(value)) freezeDeeply(child);
  return value;
}

/** Freezing a map leaves its entries open: they sit in an internal slot, which only its methods reach. */
function sealMap(map: Map<unknown, unknown>): void {
  const refuse = (): never => {
    throw new TypeError('this map is frozen');
  };
  Object.defineProperties(map, {
    set: { value: refuse },
    delete: { value: refuse },
    clear: { value: refuse },
  });
  for (const child of map.values()) freezeDeeply(child);
}
