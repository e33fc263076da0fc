/** Bounds of ranges in the order of UTF-8 bytes, for both stores. */

/** The least text above all that start with `prefix`. No byte of UTF-8 is 0xff, so the last one can grow. */
export function successor(prefix: Buffer): Buffer {
  const next = Buffer.from(prefix);
  const last = next.length - 1;
  next.writeUInt8(next.readUInt8(last) + 1, last);
  return next;
}

export function smaller(a: Buffer, b: Buffer): Buffer {
  return a.compare(b) < 0 ? a : b;
}
