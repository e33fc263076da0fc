/**
 * What may be a name, a member or a value: the same in both stores, so that neither accepts what the other
 * would refuse. Anything else is a mistake of the caller, and a TypeError.
 */
export function checkName(name: string): void {
  if (name === '' || controlOrBroken.test(name)) throw new TypeError('not a name for the store');
  if (name.length > maxBytes / 3 && Buffer.byteLength(name) > maxBytes) {
    throw new TypeError(`a name in the store has at most ${maxBytes} bytes`);
  }
}

/** Text that survives being written as UTF-8 and read again: without half a surrogate pair. */
export function checkText(text: string): void {
  if (broken.test(text)) throw new TypeError('text for the store is not well-formed');
}

const maxBytes = 512;

const broken = /\p{Surrogate}/u;

// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const controlOrBroken = /[\p{Cc}\p{Surrogate}]/u;
