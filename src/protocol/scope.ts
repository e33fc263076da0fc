/** Scopes: `<resource>:<action>`, where `manage` contains `create`, `read`, `update` and `delete`. */

/** Reads a space-separated scope string (RFC 6749 section 3.3). Undefined where a character is not allowed. */
export function parseScope(text: string): string[] | undefined {
  const tokens = text.split(' ').filter(token => token !== '');
  return tokens.every(isScopeToken) ? [...new Set(tokens)] : undefined;
}

/** Whether what was granted covers the one scope that is wanted. */
export function containsScope(granted: ReadonlySet<string>, wanted: string): boolean {
  if (granted.has(wanted)) return true;
  const colon = wanted.lastIndexOf(':');
  return managed.has(wanted.slice(colon + 1)) && granted.has(`${wanted.slice(0, colon)}:manage`);
}

/** Those of `wanted` that `granted` does not cover. */
export function scopesBeyond(granted: readonly string[], wanted: readonly string[]): string[] {
  const held = new Set(granted);
  return wanted.filter(scope => !containsScope(held, scope));
}

/**
 * What both lists cover: of two scopes, one of which contains the other, the narrower. So a key's own scopes
 * never outlive a narrowing of its feature.
 */
export function intersectScopes(one: readonly string[], other: readonly string[]): string[] {
  const [first, second] = [new Set(one), new Set(other)];
  const common = [
    ...one.filter(s => containsScope(second, s)),
    ...other.filter(s => containsScope(first, s)),
  ];
  return [...new Set(common)];
}

/** RFC 6749 section 3.3: printable ASCII but for the space, `"` and `\`. */
export function isScopeToken(token: string): boolean {
  return /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(token);
}

const managed: ReadonlySet<string> = new Set(['create', 'read', 'update', 'delete']);
