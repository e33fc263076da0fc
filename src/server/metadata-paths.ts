/** Where the server metadata is published: the addresses at which clients look for it, which follow from the issuer. */

export interface MetadataPaths {
  /** Under the issuer: what is found there where a proxy cuts off the issuer's path. */
  readonly ofIssuer: { readonly oauth: string; readonly openid: string };
  /** Of an issuer with a path, from the root of its host (RFC 8414 sections 3.1 and 5); undefined for one without. */
  readonly ofHost:
    { readonly oauth: string; readonly openid: string; readonly openidBelow: string } | undefined;
}

export function locateMetadata(issuer: string): MetadataPaths {
  const path = new URL(issuer).pathname.replace(/\/$/, '');
  const [oauth, openid] = ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration'];
  return {
    ofIssuer: { oauth, openid },
    ofHost:
      path === '' ? undefined : { oauth: oauth + path, openid: openid + path, openidBelow: path + openid },
  };
}
