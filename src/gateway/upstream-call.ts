/** What the gateway is asked, and what it hands back: the words between a guarded route and the reverse proxy. */
import type { Readable } from 'node:stream';

/** One guarded call, allowed already. */
export interface UpstreamCall {
  /** The base URL, from the configuration and never from a request. */
  readonly upstream: string;
  /** Seconds for which the upstream may be silent: until it is connected, until it answers, and within its answer. */
  readonly timeout: number;
  readonly controller: string;
  readonly caller: UpstreamCaller;
  /** What becomes of the caller's `Authorization`: cut out, passed on (a visitor's), or replaced by a token of ours. */
  readonly authorization: 'strip' | 'pass' | { readonly bearer: string };
  /** Changes what is left of the query: encoded, without its `?`. */
  readonly editQuery?: (query: string) => string;
  readonly client: UpstreamClient;
  /** Asked about once a second while the call lasts: `false` cuts it, as when its key has been revoked. */
  readonly mayContinue?: () => boolean;
}

/** What follows from who calls. */
export type UpstreamAccess = Pick<UpstreamCall, 'caller' | 'authorization' | 'editQuery' | 'mayContinue'>;

/** Who calls, as the six `X-Keyturn-…` fields tell it. Empty where there is nothing. */
export interface UpstreamCaller {
  readonly keyId: string;
  readonly feature: string;
  /** Space-separated. */
  readonly scope: string;
  /** The impersonation user, or the account. */
  readonly user: string;
  readonly customData: Readonly<Record<string, string>>;
}

/** Where the call came from. */
export interface UpstreamClient {
  /** As far as it can be believed. */
  readonly address: string;
  /** Whether what the request says of its way (`Forwarded`, `X-Forwarded-…`) is a trusted proxy's word. */
  readonly isProxyTrusted: boolean;
}

/** The head of an upstream's answer, fit for the caller, and its body where it has one. */
export interface UpstreamAnswer {
  readonly status: number;
  readonly fields: readonly AnswerField[];
  /** Breaks off with an error where the upstream does: whoever passes it on must not end it then. */
  readonly body: Readable | undefined;
  /** Milliseconds until the upstream answered. */
  readonly ms: number;
}

export interface AnswerField {
  readonly name: string;
  readonly values: readonly string[];
}
