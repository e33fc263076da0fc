/** One token request (RFC 6749 section 4.4): an API key in, an access token out. No dependency, no cache. */

export interface TokenRequestOptions {
  /** The service's base URL. */
  readonly issuer: string;
  /** The whole key string. */
  readonly apiKey: string;
  /** Space-separated; absent: all that the key has. */
  readonly scope?: string | undefined;
  readonly audience?: string | undefined;
  /** Separated by semicolons; absent or empty: all that the key has. */
  readonly controllers?: string | undefined;
  /** As `controllers`. */
  readonly origins?: string | undefined;
  readonly fetch?: typeof globalThis.fetch;
}

export interface TokenAnswer {
  readonly accessToken: string;
  readonly tokenType: string;
  /** Seconds. */
  readonly expiresIn: number;
  readonly scope: string;
}

/** The service refused: `code` is OAuth's, `message` says what to do. */
export class TokenRefused extends Error {
  override readonly name = 'TokenRefused';
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, description: string) {
    super(description);
    this.status = status;
    this.code = code;
  }
}

/**
 * @throws {TokenRefused} where the service answers with an error
 * @throws {TypeError} where it cannot be reached, as `fetch` does
 */
export async function requestToken(options: TokenRequestOptions): Promise<TokenAnswer> {
  const { issuer, apiKey, scope, audience, controllers, origins, fetch = globalThis.fetch } = options;
  const form = new URLSearchParams({ grant_type: 'client_credentials', client_secret: apiKey });
  for (const [name, value] of Object.entries({ scope, audience, controllers, origins }))
    if (value !== undefined) form.set(name, value);
  const response = await fetch(`${issuer}/oauth/token`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    body: form.toString(),
  });
  const text = await response.text();
  return response.ok ? readAnswer(response.status, parse(text)) : refuse(response.status, parse(text));
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}

function readAnswer(status: number, answer: Record<string, unknown>): TokenAnswer {
  const { access_token, token_type, expires_in, scope } = answer;
  if (typeof access_token !== 'string' || typeof token_type !== 'string' || typeof expires_in !== 'number') {
    throw new TokenRefused(status, 'invalid_response', 'The answer is not that of an OAuth token endpoint.');
  }
  return {
    accessToken: access_token,
    tokenType: token_type,
    expiresIn: expires_in,
    scope: typeof scope === 'string' ? scope : '',
  };
}

function refuse(status: number, { error, error_description }: Record<string, unknown>): never {
  const code = typeof error === 'string' ? error : 'invalid_response';
  throw new TokenRefused(
    status,
    code,
    typeof error_description === 'string' ? error_description : `The answer was ${status}.`,
  );
}
