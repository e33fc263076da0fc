/** The `Authorization` header, as resource routes (Bearer) and the token endpoint (Basic) read it. */

import { decodeBase64 } from './base64url.ts';

export type BearerCredential =
  /** No header, another scheme, or `Bearer` alone. */
  | { readonly kind: 'none' }
  | { readonly kind: 'bearer'; readonly token: string }
  /** The scheme is Bearer, but what follows is no token (RFC 6750 section 2.1). */
  | { readonly kind: 'malformed' };

/** Reads a Bearer credential. The scheme's case does not matter; all else does. */
export function parseBearer(header: string | undefined): BearerCredential {
  const credentials = header === undefined ? undefined : schemeValue(header, 'bearer');
  if (credentials === undefined || credentials === '') return { kind: 'none' };
  return tokenShape.test(credentials) ? { kind: 'bearer', token: credentials } : { kind: 'malformed' };
}

export type BasicCredential =
  | { readonly kind: 'none' }
  | { readonly kind: 'basic'; readonly id: string; readonly secret: string }
  | { readonly kind: 'malformed' };

/** Reads HTTP Basic as RFC 6749 section 2.3.1 has it: id and secret form-encoded, taken raw where they are not. */
export function parseBasic(header: string | undefined): BasicCredential {
  const credentials = header === undefined ? undefined : schemeValue(header, 'basic');
  if (credentials === undefined) return { kind: 'none' };
  const text = base64Shape.test(credentials) ? utf8.decode(decodeBase64(credentials)) : '';
  const colon = text.indexOf(':');
  if (colon === -1) return { kind: 'malformed' };
  return { kind: 'basic', id: formDecode(text.slice(0, colon)), secret: formDecode(text.slice(colon + 1)) };
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
const tokenShape = /^[A-Za-z0-9\-._~+/]+=*$/;
const base64Shape = /^[A-Za-z0-9+/_-]+={0,2}$/;

/** What follows the scheme, where the header is of that scheme. */
function schemeValue(header: string, scheme: string): string | undefined {
  const match = /^([^\s]+)(?: +(.*))?$/.exec(header);
  return match?.[1]?.toLowerCase() === scheme ? (match[2] ?? '') : undefined;
}

function formDecode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}
