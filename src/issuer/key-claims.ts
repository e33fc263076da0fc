/** What is said of a key to resource servers: in each token of it, and where the key itself is asked about. */
import type { AccessTokenClaims } from '../protocol/claims.ts';
import type { ApiKey } from './api-key.ts';
import type { Grant } from './grant.ts';

/** The claims that do not depend on what was asked for. */
export function claimsOfKey(
  key: ApiKey,
  grant: Grant,
  issuer: string,
): Omit<AccessTokenClaims, 'aud' | 'exp' | 'iat' | 'jti' | 'scope'> {
  const sub = grant.actsAs ?? key.id;
  const { customData = {}, customDataInToken = [] } = key;
  const binding = grant.bindingData.filter(name => customData[name] !== undefined);
  const data = [...new Set([...customDataInToken, ...binding])].map(name => [name, customData[name] ?? '']);
  return {
    ...key.claims,
    iss: issuer,
    sub,
    client_id: key.id,
    feature: grant.feature,
    allowed_controllers: grant.controllers,
    allowed_origins: grant.origins,
    key_version: key.version,
    ...(sub !== key.id && { act: { sub: key.id } }),
    ...(data.length > 0 && { custom_data: Object.fromEntries(data) }),
  };
}
