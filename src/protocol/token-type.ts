/** What a credential is, where a request has to say so (RFC 8693 section 3, RFC 7662 section 2.1). */

const prefix = 'urn:keyturn:params:oauth:token-type:';

/** A whole key string. */
export const apiKeyType = `${prefix}api-key`;

/** The id of a key, as it is sent as `sc_apikey`. */
export const scApiKeyType = `${prefix}sc-apikey`;

/** An account's access key, as it is sent as `X-SF-Access-Key`. */
export const accessKeyType = `${prefix}x-sf-access-key`;
