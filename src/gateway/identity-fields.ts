/** What an upstream, or a proxy that asks, is told of the caller: six header fields, always all of them. */
import type { Caller } from '../access/doors.ts';
import type { UpstreamCaller } from './upstream-call.ts';

export function describeCaller({ clientId, feature, scopes, user = '', customData }: Caller): UpstreamCaller {
  return { keyId: clientId, feature, scope: [...scopes].join(' '), user, customData };
}

/** By their names. Custom data is base64url of JSON. */
export function identityFields(
  controller: string,
  { keyId, feature, scope, user, customData }: UpstreamCaller,
): Readonly<Record<string, string>> {
  const isEmpty = Object.keys(customData).length === 0;
  return {
    'X-Keyturn-Key-Id': fieldText(keyId),
    'X-Keyturn-Feature': fieldText(feature),
    'X-Keyturn-Scope': fieldText(scope),
    'X-Keyturn-Controller': fieldText(controller),
    'X-Keyturn-User': fieldText(user),
    'X-Keyturn-Custom-Data': isEmpty ? '' : Buffer.from(JSON.stringify(customData)).toString('base64url'),
  };
}

/** Printable ASCII; all else, the percent sign and blanks at the ends are percent-encoded as UTF-8 (RFC 3986 section 2.1). */
function fieldText(text: string): string {
  if (/^(?! )[\x20-\x24\x26-\x7e]*(?<! )$/.test(text)) return text;
  const bytes = Buffer.from(text);
  return Array.from(bytes, (byte, place) => {
    const isAtAnEnd = place === 0 || place === bytes.length - 1;
    if (byte >= (isAtAnEnd ? 0x21 : 0x20) && byte < 0x7f && byte !== 0x25) return String.fromCharCode(byte);
    return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }).join('');
}
