/** `keyturn/client`: access tokens for an API key, in any runtime that has `fetch`. Nothing in here needs Node. */
export {
  createTokenClient,
  type TokenClient,
  type TokenClientOptions,
  type TokenPurpose,
  type TokenRequest,
} from './token-client.ts';
export type { SetTimer } from './clock.ts';
export type { ApiKey } from './obtain-token.ts';
export { TokenRefused } from './request-token.ts';
export { TokenUnavailable, type UnavailableCode } from './token-unavailable.ts';
