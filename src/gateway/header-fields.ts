/** Owns the classes of header fields that a gateway has to know: those of one connection, and names as servers fold them. */

/** As Node hands them out: names and values in turn. */
export type RawFields = readonly string[];

/** Each field with its name in lower case. */
export function* eachField(raw: RawFields): Generator<{ name: string; lowerName: string; value: string }> {
  for (let place = 0; place + 1 < raw.length; place += 2) {
    const name = raw[place]!;
    yield { name, lowerName: name.toLowerCase(), value: raw[place + 1]! };
  }
}

/** Tells which fields end at this connection (RFC 9110 section 7.6.1): those of HTTP, and those that `Connection` lists. */
export function connectionFieldsOf(raw: RawFields): (lowerName: string) => boolean {
  const listed = new Set<string>();
  for (const { lowerName, value } of eachField(raw)) {
    if (lowerName !== 'connection') continue;
    for (const option of value.split(',')) listed.add(option.trim().toLowerCase());
  }
  return name => ofConnection.has(name) || name.startsWith('proxy-') || listed.has(name);
}

/** CGI and its descendants know no other sign in a name than `_`: what they take for one name, is one name here. */
export function foldName(lowerName: string): string {
  return lowerName.replaceAll(/[^a-z0-9]/g, '-');
}

const ofConnection: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);
