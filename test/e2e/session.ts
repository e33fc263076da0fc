/** One session with the service, from its first key to the last revocation: the same calls, whatever the store. */
import type { TestService } from '../support/service.ts';
import { type Call, Transcript } from './transcript.ts';

const tokenExchange = {
  grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
  subject_token_type: 'urn:keyturn:params:oauth:token-type:api-key',
};

export const shop = 'https://shop.example';

type Made = { key: { id: string }; apiKey: string };

export async function holdSession(service: TestService): Promise<Transcript> {
  const transcript = new Transcript(service);
  const call: Transcript['call'] = (step, method, path, request) =>
    transcript.call(step, method, path, request);
  const admin = await service.token(service.ownerKey);
  const create = async (name: string, fields: Record<string, unknown>): Promise<Made> => {
    // Keys of one millisecond would stand in the list in the order of their ids.
    service.clock.advance(1);
    const json = { name: `Session: ${name}`, ...fields };
    return (await call(`create the key ${name}`, 'POST', '/admin/keys', {
      token: admin,
      json,
    })) as unknown as Made;
  };
  const exchange = async (step: string, form: Record<string, string>, headers?: Record<string, string>) =>
    String((await call(step, 'POST', '/oauth/token', { form, ...(headers && { headers }) }))['access_token']);
  const tokenOf = (name: string, { apiKey }: Made) =>
    exchange(`exchange the key ${name}`, { grant_type: 'client_credentials', client_secret: apiKey });

  await discover(call);

  const keys = {
    connections: await create('connections', { feature: 'connections', corsOrigins: [shop] }),
    testing: await create('testing', { feature: 'decision-model-testing' }),
    templates: await create('templates', {
      feature: 'developer-templates',
      impersonationUser: 'sitecore\\editor',
    }),
    // Its scopes would do for connections.
    noConnections: await create('no connections', {
      feature: 'multiple-resources',
      allowedControllers: 'Personalize.Templates; Personalize.Flows',
    }),
    reader: await create('reader', {
      feature: 'connections',
      scopes: ['personalize.external_webservices:read'],
      tokenTtl: 120,
      customData: { Database: 'web', Secret: 'no' },
      customDataInToken: ['Database'],
      claims: { 'https://shop.example/claims/tenant': 'a' },
      audiences: [service.url, 'https://api.shop.example'],
    }),
    nowhere: await create('nowhere', { feature: 'connections', allowedControllers: [] }),
    everywhere: await create('everywhere', { feature: 'developer-templates', corsOrigins: '*' }),
    draft: await create('draft', { feature: 'connections', draft: true }),
    brief: await create('brief', {
      feature: 'connections',
      expiresAt: new Date(service.clock.now() + 60_000).toISOString(),
    }),
  };
  await refuseKeys(call, admin);
  await useDoors(call, exchange, keys.connections);
  await refuseExchanges(call, exchange, keys);

  const tokens = {
    connections: await tokenOf('connections', keys.connections),
    testing: await tokenOf('testing', keys.testing),
    templates: await tokenOf('templates', keys.templates),
    noConnections: await tokenOf('no connections', keys.noConnections),
    reader: await tokenOf('reader', keys.reader),
    nowhere: await tokenOf('nowhere', keys.nowhere),
    everywhere: await tokenOf('everywhere', keys.everywhere),
    brief: await tokenOf('brief', keys.brief),
  };
  await useConnections(call, tokens.connections, service);
  await testDecisionModels(call, tokens.testing);
  await leaveTheFeature(call, tokens);
  await comeFromBrowsers(call, tokens, keys.connections);
  await askForLists(call, admin, keys);
  await revoke(call, { ...keys, admin }, tokens, service);
  return transcript;
}

type CallStep = Transcript['call'];
type Keys<Names extends string> = Record<Names, Made>;
type Tokens<Names extends string> = Record<Names, string>;
type Exchange = (
  step: string,
  form: Record<string, string>,
  headers?: Record<string, string>,
) => Promise<string>;

async function discover(call: CallStep): Promise<void> {
  await call('read the metadata of RFC 8414', 'GET', '/.well-known/oauth-authorization-server');
  await call('read the metadata of OpenID Connect', 'GET', '/.well-known/openid-configuration');
  await call('read the metadata of RFC 9728', 'GET', '/.well-known/oauth-protected-resource');
  await call('read the key set', 'GET', '/.well-known/jwks.json');
  await call('ask whether it lives', 'GET', '/livez');
  await call('ask whether it is ready', 'GET', '/readyz');
  await call('ask for what is not there', 'GET', '/nothing/here');
}

async function refuseKeys(call: CallStep, token: string): Promise<void> {
  const wrong: Record<string, unknown> = {
    'of no feature': { feature: 'no-such-feature' },
    'without a name': { name: undefined },
    'with more scope than its feature': { scopes: ['personalize.flows:read'] },
    'with a controller outside its feature': { allowedControllers: ['Personalize.Flows'] },
    'with an origin that is none': { corsOrigins: ['https://shop.example/path'] },
    'that acts as the administrator': { impersonationUser: 'Sitecore\\Admin' },
    'with a claim that is no URI': { claims: { sub: 'somebody' } },
    'with a member that is not known': { colour: 'red' },
  };
  for (const [what, fields] of Object.entries(wrong)) {
    const json = { name: 'Wrong', feature: 'connections', ...(fields as object) };
    await call(`create a key ${what}`, 'POST', '/admin/keys', { token, json });
  }
  await call('create a key without a token', 'POST', '/admin/keys', { json: {} });
  await call('create a key from text', 'POST', '/admin/keys', { token, text: 'name=x' });
  const headers = { 'content-type': 'application/json' };
  await call('create a key from broken JSON', 'POST', '/admin/keys', { token, text: '{"name":', headers });
}

async function useDoors(call: CallStep, exchange: Exchange, { key, apiKey }: Made): Promise<void> {
  const grant = { grant_type: 'client_credentials' };
  const secret = { ...grant, client_secret: apiKey };
  await exchange('exchange by form', secret);
  const forms = { dashed: key.id, bare: key.id.replaceAll('-', ''), braced: `{${key.id.toUpperCase()}}` };
  for (const [form, client_id] of Object.entries(forms)) {
    await exchange(`exchange with a ${form} client id`, { ...secret, client_id });
  }
  await exchange('exchange by Basic', grant, basic(key.id, apiKey));
  await exchange('exchange by Basic without an id', grant, basic('', apiKey));
  await call('exchange by JSON', 'POST', '/oauth/token', {
    json: { ...secret, client_id: key.id, nothing: null },
  });
  await exchange('exchange by RFC 8693', { ...tokenExchange, subject_token: apiKey });
  await call('exchange at the older address', 'POST', '/v2/oauth/token', { form: secret });
  await exchange('exchange with empty and unknown parameters', {
    ...secret,
    scope: '',
    tenant_id: '',
    baseUrl: 'x',
  });
  await exchange('exchange for less scope', { ...secret, scope: 'personalize.external_webservices:read' });
}

async function refuseExchanges(
  call: CallStep,
  exchange: Exchange,
  keys: Keys<'connections' | 'testing' | 'draft'>,
): Promise<void> {
  const { key, apiKey } = keys.connections;
  const grant = { grant_type: 'client_credentials' };
  const secret = { ...grant, client_secret: apiKey };
  const mistyped = apiKey.replace(/.$/, last => (last === '0' ? '1' : '0'));
  await exchange('exchange a mistyped key', { ...grant, client_secret: mistyped });
  await exchange('exchange a mistyped key by Basic', grant, basic(key.id, mistyped));
  await exchange('exchange a mistyped key by RFC 8693', { ...tokenExchange, subject_token: mistyped });
  await exchange('exchange an identifier', { ...grant, client_id: key.id, client_secret: key.id });
  await exchange("exchange with another key's id", { ...secret, client_id: keys.testing.key.id });
  await exchange('exchange a draft', { ...grant, client_secret: keys.draft.apiKey });
  await exchange('exchange without a secret', grant);
  await exchange('exchange without a grant', { client_secret: apiKey });
  await exchange('exchange by password', { ...secret, grant_type: 'password' });
  await exchange('exchange for more scope', { ...secret, scope: 'personalize.flows:read' });
  await exchange('exchange for another audience', { ...secret, audience: 'https://elsewhere.example' });
  await exchange('exchange in two ways at once', secret, basic(key.id, apiKey));
  const form: [string, string][] = [...Object.entries(secret), ['client_secret', apiKey]];
  await call('exchange with a secret twice', 'POST', '/oauth/token', { form });
  await call('exchange by query', 'POST', `/oauth/token?${new URLSearchParams(secret).toString()}`, {
    form: grant,
  });
  await call('exchange by text', 'POST', '/oauth/token', { text: 'grant_type=client_credentials' });
  await call('exchange by GET', 'GET', '/oauth/token');
}

async function useConnections(call: CallStep, token: string, { clock }: TestService): Promise<void> {
  const path = '/v2/connections';
  await call('list no connections', 'GET', path, { token });
  const json = {
    name: 'Weather',
    system: 'REST',
    ref: 'mine',
    connection: { url: 'https://weather.example' },
  };
  const { ref } = await call('create a connection', 'POST', path, { token, json });
  await call('read the connection', 'GET', `${path}/${String(ref)}`, { token });
  await call('update the connection', 'PUT', `${path}/${String(ref)}`, { token, json: { name: 'Wind' } });
  await call('test a connection', 'POST', `${path}/testConnection`, { token, json });
  for (const name of ['Second', 'Third']) {
    clock.advance(1);
    // As the documented curl commands label it.
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const text = JSON.stringify({ name });
    await call(`create the connection ${name}`, 'POST', path, { token, text, headers });
  }
  await call('list connections', 'GET', path, { token });
  await call('list one connection', 'GET', `${path}?limit=1&offset=1`, { token });
  await call(
    'list connections as a careless client does',
    'GET',
    `${path}?limit=undefined&offset=undefined`,
    { token },
  );
  await call('delete the connection', 'DELETE', `${path}/${String(ref)}`, { token });
  await call('read the deleted connection', 'GET', `${path}/${String(ref)}`, { token });
  await call('list the connections that are left', 'GET', path, { token });
  const text = '{"name":';
  const headers = { 'content-type': 'application/json' };
  await call('create a connection from broken JSON', 'POST', path, { token, text, headers });
  const xml = { 'content-type': 'application/xml' };
  await call('create a connection from XML', 'POST', path, { token, text: '<x/>', headers: xml });
  await call('patch a connection', 'PATCH', `${path}/${String(ref)}`, { token, json: {} });
}

async function testDecisionModels(call: CallStep, token: string): Promise<void> {
  const path = '/v2/decisionModelDefinitions';
  const ref = '00000000-0000-4000-8000-000000000000';
  const json = { name: 'x' };
  await call('testing: list decision models', 'GET', path, { token });
  await call('testing: read a decision model', 'GET', `${path}/${ref}`, { token });
  await call('testing: list variants', 'GET', `${path}/${ref}/variants`, { token });
  await call('testing: test a decision model', 'POST', '/v2/testDecisionModel', { token, json });
  const refused: [string, string, string][] = [
    ['create a decision model', 'POST', path],
    ['update a decision model', 'PUT', `${path}/${ref}`],
    ['delete a decision model', 'DELETE', `${path}/${ref}`],
    ['create a variant', 'POST', `${path}/${ref}/variants`],
    ['update a variant', 'PUT', `/v2/decisionModelVariants/${ref}`],
    ['list connections', 'GET', '/v2/connections'],
    ['create a connection', 'POST', '/v2/connections'],
    ['list flows', 'GET', '/v3/flowDefinitions'],
    ['list templates', 'GET', '/v3/templates'],
    ['list keys', 'GET', '/admin/keys'],
  ];
  for (const [what, method, address] of refused) {
    const request: Call = { token, ...(method.startsWith('P') && { json }) };
    await call(`testing, refused: ${what}`, method, address, request);
  }
}

async function leaveTheFeature(
  call: CallStep,
  tokens: Tokens<'connections' | 'noConnections' | 'reader' | 'nowhere' | 'templates'>,
): Promise<void> {
  const elsewhere: [string, string, string][] = [
    ['list decision models', 'GET', '/v2/decisionModelDefinitions'],
    ['test a decision model', 'POST', '/v2/testDecisionModel'],
    ['list flows', 'GET', '/v3/flowDefinitions'],
    ['create a flow', 'POST', '/v3/flowDefinitions'],
    ['list templates', 'GET', '/v3/templates'],
    ['list keys', 'GET', '/admin/keys'],
    ['create a key', 'POST', '/admin/keys'],
  ];
  for (const [what, method, path] of elsewhere) {
    const request: Call = { token: tokens.connections, ...(method === 'POST' && { json: { name: 'x' } }) };
    await call(`connections, refused: ${what}`, method, path, request);
  }
  const path = '/v2/connections';
  await call('without its controller, refused: list connections', 'GET', path, {
    token: tokens.noConnections,
  });
  await call('without its controller: list templates', 'GET', '/v3/templates', {
    token: tokens.noConnections,
  });
  await call('without any controller, refused: list connections', 'GET', path, { token: tokens.nowhere });
  await call('reader: list connections', 'GET', path, { token: tokens.reader });
  await call('reader, refused: create a connection', 'POST', path, {
    token: tokens.reader,
    json: { name: 'x' },
  });
  await call('acting as another: create a template', 'POST', '/v3/templates', {
    token: tokens.templates,
    json: { name: 'x' },
  });
  await call('nobody: list connections', 'GET', path);
  await call('a stranger: list connections', 'GET', path, { token: 'not.a.token' });
  const headers = { sc_apikey: '00000000-0000-4000-8000-000000000000' };
  await call('two credentials: list connections', 'GET', path, { token: tokens.connections, headers });
}

async function comeFromBrowsers(
  call: CallStep,
  tokens: Tokens<'connections' | 'testing' | 'everywhere'>,
  { key }: Made,
): Promise<void> {
  const path = '/v2/connections';
  const preflight = (origin: string) => ({
    headers: {
      origin,
      'access-control-request-method': 'PUT',
      'access-control-request-headers': 'authorization',
    },
  });
  await call('preflight from the shop', 'OPTIONS', path, preflight(shop));
  await call('preflight from elsewhere', 'OPTIONS', path, preflight('https://elsewhere.example'));
  await call('preflight from nowhere', 'OPTIONS', path, preflight('null'));
  await call(
    'preflight with the key in the query',
    'OPTIONS',
    `${path}?sc_apikey=${key.id}`,
    preflight(shop),
  );
  await call(
    'preflight with an unknown key in the query',
    'OPTIONS',
    `${path}?sc_apikey=${'0'.repeat(32)}`,
    preflight(shop),
  );
  await call(
    'preflight for templates from elsewhere',
    'OPTIONS',
    '/v3/templates',
    preflight('https://elsewhere.example'),
  );
  await call('OPTIONS that is no preflight', 'OPTIONS', path);
  const from = (origin: string, token: string): Call => ({ token, headers: { origin } });
  await call('from the shop: list connections', 'GET', path, from(shop, tokens.connections));
  await call(
    'from elsewhere, refused: list connections',
    'GET',
    path,
    from('https://elsewhere.example', tokens.connections),
  );
  await call(
    'from another port, refused: list connections',
    'GET',
    path,
    from(`${shop}:8443`, tokens.connections),
  );
  await call('from nowhere, refused: list connections', 'GET', path, from('null', tokens.connections));
  await call(
    'from the shop, refused: list flows',
    'GET',
    '/v3/flowDefinitions',
    from(shop, tokens.connections),
  );
  await call('from the shop, with a token that is none', 'GET', path, from(shop, 'not.a.token'));
  await call(
    'from elsewhere, with a key for every origin',
    'GET',
    '/v3/templates',
    from('https://elsewhere.example', tokens.everywhere),
  );
  await call(
    'from the shop, with a key for no origin, refused',
    'GET',
    '/v2/decisionModelDefinitions',
    from(shop, tokens.testing),
  );
}

async function askForLists(call: CallStep, token: string, { testing }: Keys<'testing'>): Promise<void> {
  let cursor: unknown = '';
  for (let page = 1; typeof cursor === 'string'; page += 1) {
    const search = new URLSearchParams({ q: 'session:', limit: '4', ...(cursor !== '' && { cursor }) });
    ({ next: cursor } = await call(`list keys, page ${page}`, 'GET', `/admin/keys?${search.toString()}`, {
      token,
    }));
  }
  await call('list keys of a feature', 'GET', '/admin/keys?q=session:&feature=developer-templates', {
    token,
  });
  await call('list drafts', 'GET', '/admin/keys?q=session:&status=draft', { token });
  await call('list keys of an owner', 'GET', '/admin/keys?q=session:&owner=nobody', { token });
  await call('list keys, with a wrong limit', 'GET', '/admin/keys?limit=0', { token });
  await call('list keys, with a wrong cursor', 'GET', '/admin/keys?cursor=x', { token });
  await call('show a key', 'GET', `/admin/keys/${testing.key.id.replaceAll('-', '').toUpperCase()}`, {
    token,
  });
  await call('show no key', 'GET', `/admin/keys/${'0'.repeat(32)}`, { token });
}

async function revoke(
  call: CallStep,
  keys: Keys<'connections' | 'testing' | 'templates' | 'brief'> & { admin: string },
  tokens: Tokens<'connections' | 'testing' | 'templates' | 'brief'>,
  { clock }: TestService,
): Promise<void> {
  const grant = { grant_type: 'client_credentials' };
  const { admin: token } = keys;
  clock.advance(61);
  await call('exchange an expired key', 'POST', '/oauth/token', {
    form: { ...grant, client_secret: keys.brief.apiKey },
  });
  await call('list connections with a token of an expired key', 'GET', '/v2/connections', {
    token: tokens.brief,
  });

  await call('revoke nothing', 'POST', '/oauth/revoke', { form: { other: 'x' } });
  await call('revoke what is not known', 'POST', '/oauth/revoke', { form: { token: 'not-a-token' } });
  await call('revoke with wrong credentials', 'POST', '/oauth/revoke', {
    form: { token: tokens.testing, client_secret: `${keys.testing.apiKey}0` },
  });
  await call('not revoked: list decision models', 'GET', '/v2/decisionModelDefinitions', {
    token: tokens.testing,
  });
  await call('revoke a token', 'POST', '/oauth/revoke', { form: { token: tokens.testing } });
  await call('revoked: list decision models', 'GET', '/v2/decisionModelDefinitions', {
    token: tokens.testing,
  });
  await call('revoke a token again', 'POST', '/oauth/revoke', { form: { token: tokens.testing } });
  const again = await call('exchange after the token is revoked', 'POST', '/oauth/token', {
    form: { ...grant, client_secret: keys.testing.apiKey },
  });
  const fresh = String(again['access_token']);
  await call('with another token: list decision models', 'GET', '/v2/decisionModelDefinitions', {
    token: fresh,
  });

  await call('revoke a key by its holder', 'POST', '/oauth/revoke', { form: { token: keys.testing.apiKey } });
  await call('key revoked: list decision models', 'GET', '/v2/decisionModelDefinitions', { token: fresh });
  await call('exchange a revoked key', 'POST', '/oauth/token', {
    form: { ...grant, client_secret: keys.testing.apiKey },
  });

  const { id } = keys.templates.key;
  await call('revoke a key by its administrator', 'POST', `/admin/keys/${id}/revoke`, { token });
  await call('revoke it again', 'POST', `/admin/keys/${id}/revoke`, { token });
  await call('key revoked: list templates', 'GET', '/v3/templates', { token: tokens.templates });
  await call('show the revoked key', 'GET', `/admin/keys/${id}`, { token });
  await call('list revoked keys', 'GET', '/admin/keys?q=session:&status=revoked', { token });
  await call('not touched: list connections', 'GET', '/v2/connections', { token: tokens.connections });

  clock.advance(840);
  await call('expired: list connections', 'GET', '/v2/connections', { token: tokens.connections });
}

function basic(id: string, secret: string): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` };
}
