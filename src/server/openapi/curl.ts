/** An operation as a line for the shell: what stands in it for a secret is a variable. */
import type { Parameter } from './operation.ts';
import type { DocumentedOperation } from './shared-responses.ts';

export function describeRequest(
  method: string,
  path: string,
  { parameters = [], security, requestBody, servers }: DocumentedOperation,
  issuer: string,
): string {
  const address = (servers?.[0]?.url ?? issuer) + fillIn(path, parameters);
  const credential = security[0] ?? {};
  const query = 'scApiKeyQuery' in credential ? '?sc_apikey=' : '';
  const words = [
    'curl',
    ...(method === 'GET' ? [] : ['-X', method]),
    query === '' ? quote(address) : `${quote(address + query)}"$KEY_ID"`,
    ...('accessToken' in credential ? ['-H', '"Authorization: Bearer $TOKEN"'] : []),
    ...('apiKey' in credential ? ['-u', '":$KEYTURN_API_KEY"'] : []),
    ...('scApiKeyHeader' in credential ? ['-H', '"sc_apikey: $KEY_ID"'] : []),
    ...('sfAccessKey' in credential ? ['-H', '"X-SF-Access-Key: $ACCESS_KEY"'] : []),
    ...(requestBody === undefined ? [] : describeBody(requestBody.content)),
  ];
  return words.join(' ');
}

function fillIn(path: string, parameters: readonly Parameter[]): string {
  return path.replaceAll(/\{([^}]+)\}/g, (_, name: string) => {
    const example = parameters.find(parameter => parameter.in === 'path' && parameter.name === name)?.example;
    return encodeURIComponent(example ?? name);
  });
}

function describeBody(content: NonNullable<DocumentedOperation['requestBody']>['content']): string[] {
  const [type = '', { example } = {}] = Object.entries(content)[0] ?? [];
  if (example === undefined) return [];
  if (type === 'application/x-www-form-urlencoded')
    return Object.entries(example).flatMap(([name, value]) => ['-d', quote(`${name}=${String(value)}`)]);
  return ['-H', quote(`Content-Type: ${type}`), '-d', quote(JSON.stringify(example))];
}

/** Between single quotes the shell takes everything as it is. */
function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
