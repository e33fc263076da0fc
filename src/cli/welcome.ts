/** What the first start of an embedded store shows, once: two keys, and three commands that use them. */

export function welcomeText(
  issuer: string,
  { ownerKey, sampleKey }: { ownerKey: string; sampleKey: string },
): string {
  return `
Keyturn is new here. These two keys are shown this once; only their hashes are kept.

  Access key of the account "owner" (administers everything):
    ${ownerKey}
  Sample API key (feature "connections"):
    ${sampleKey}

Exchange the sample key for a token, call a guarded route with it, revoke the key:

TOKEN=$(curl -fsS ${issuer}/oauth/token -d grant_type=client_credentials -d client_secret=${sampleKey} | sed -E 's/.*"access_token":"([^"]+)".*/\\1/')
curl -fsS ${issuer}/v2/connections -H "Authorization: Bearer $TOKEN"
curl -fsS ${issuer}/oauth/revoke -d token=${sampleKey}

`;
}
