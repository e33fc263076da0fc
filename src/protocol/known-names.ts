/** The names that an object of options may have, said by whoever reads it. */

/**
 * A name that is mistyped would leave something as it is by default.
 *
 * @param what the object describes
 * @throws {TypeError} where it has other names, or is no object
 */
export function checkNames(given: unknown, known: readonly string[], what: string): void {
  if (typeof given !== 'object' || given === null)
    throw new TypeError(`${what} needs an object that describes it`);
  const unknown = Object.keys(given).filter(name => !known.includes(name));
  if (unknown.length > 0)
    throw new TypeError(`${what} has no ${unknown.join(', ')}; there are ${known.join(', ')}`);
}
