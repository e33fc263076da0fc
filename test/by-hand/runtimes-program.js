/**
 * What a service and a resource server do with the package, in a runtime of any kind: a token is fetched and let in, the key is
 * revoked, and the token is refused. Says what it saw, as one line.
 */
import { createTokenClient } from '../../dist/client/index.js';
import { createGuard } from '../../dist/middleware/fetch.js';

export async function tryOut({ url, apiKey, serverKey, listen }) {
  const client = createTokenClient({ issuer: url, apiKey });
  const options = listen ? {} : { listen, stale: 'introspect' };
  const guard = createGuard({ issuer: url, audience: url, apiKey: serverKey, ...options });
  const ask = async headers => {
    const demand = { controller: 'Personalize.Connections', scope: 'personalize.external_webservices:read' };
    const { response } = await guard(new Request('https://shop.example/orders', { headers }), demand);
    return response?.status ?? 200;
  };
  const authorization = `Bearer ${await client.getToken()}`;
  const statuses = [await ask({ authorization }), await ask({})];
  await fetch(`${url}/oauth/revoke`, { method: 'POST', body: new URLSearchParams({ token: apiKey }) });
  const deadline = Date.now() + 5000;
  while (Date.now() < deadline && (await ask({ authorization })) === 200) continue;
  statuses.push(await ask({ authorization }));
  const refusal = await client.getToken({ rejected: authorization.slice(7) }).catch(error => error.code);
  guard.close();
  return `${statuses.join(' ')} ${refusal}`;
}
