/** The header of an access token: the algorithms that sign it, and the types that it may say it is. */

/** RFC 7518 and RFC 8037. */
export const signingAlgorithms = ['ES256', 'RS256', 'EdDSA'] as const;
export type SigningAlgorithm = (typeof signingAlgorithms)[number];

/** RFC 9068 asks for `at+jwt`; some older validators take `JWT` alone. */
export const tokenTypes = ['at+jwt', 'JWT'] as const;
export type TokenType = (typeof tokenTypes)[number];
