/** What the first start of an embedded store shows, once: two keys, and three commands that use them. */
import type { Welcome } from '../compose.ts';

export function welcomeText(issuer: string, { ownerKey, sampleKey, sample }: Welcome): string {
  const owner = `  Access key of the account "owner" (administers everything):\n    ${ownerKey}\n`;
  if (sampleKey === undefined || sample === undefined)
    return `\nKeyturn is new here. This key is shown this once; only its hash is kept.\n\n${owner}\n`;
  const route = sample.path === undefined ? [] : [callText(issuer, sample.path)];
  return `
Keyturn is new here. These two keys are shown this once; only their hashes are kept.

${owner}  Sample API key (feature "${sample.feature}"):
    ${sampleKey}

Exchange the sample key for a token${route.length > 0 ? ', call a guarded route with it' : ''}, revoke the key:

${[exchangeText(issuer, sampleKey), ...route, `curl -fsS ${issuer}/oauth/revoke -d token=${sampleKey}`].join('\n')}

`;
}

function exchangeText(issuer: string, apiKey: string): string {
  const exchange = `curl -fsS ${issuer}/oauth/token -d grant_type=client_credentials -d client_secret=${apiKey}`;
  return `TOKEN=$(${exchange} | sed -E 's/.*"access_token":"([^"]+)".*/\\1/')`;
}

function callText(issuer: string, path: string): string {
  return `curl -fsS ${issuer}${path} -H "Authorization: Bearer $TOKEN"`;
}
