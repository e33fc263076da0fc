/** The command line against a whole service, by transcript: every command that talks to one. */
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startService, type TestService } from '../support/service.ts';
import { Transcript } from './lifecycle-transcript.ts';

let service: TestService;
let cli: Transcript;
let scratch: string;

beforeAll(async () => {
  service = await startService();
  scratch = await mkdtemp(path.join(tmpdir(), 'keyturn-'));
  cli = new Transcript({ KEYTURN_URL: service.url, KEYTURN_API_KEY: service.ownerKey }, [
    [service.url, 'https://keyturn.example'],
    [scratch, '<folder>'],
  ]);
});

afterAll(async () => {
  await service.stop();
  await rm(scratch, { recursive: true, force: true });
});

const show = (line: string, env: NodeJS.ProcessEnv = {}) => cli.show(line, { env });

async function makeKey(options = ''): Promise<{ id: string; apiKey: string }> {
  const { key, apiKey } = await cli.json(`keys create --name Made --feature connections ${options}`);
  return { id: (key as { id: string }).id, apiKey: apiKey as string };
}

describe('keys', () => {
  it('create prints the key string alone on stdout', async () => {
    expect(await show('keys create --name "The shop" --feature connections')).toMatchInlineSnapshot(`
      "$ keyturn keys create --name "The shop" --feature connections
      <key 1>
      2> Key <id 1> ("The shop") is made. It is shown this once:"
    `);
    expect(
      await show(
        'keys create --name Full --feature connections --json --scope personalize.external_webservices:read ' +
          '--controllers Personalize.Connections --origins "https://shop.example; https://lab.example" ' +
          '--impersonation-user sitecore\\shop --custom-data Database=web Secret=no --custom-data-in-token Database ' +
          '--claim https://shop.example/tier=2 https://shop.example/name=gold ' +
          '--audience https://api.example --door token sc_apikey --owner owner --draft ' +
          '--not-before 2030-01-01T00:00:00Z --expires-at 2031-01-01T00:00:00Z --token-ttl 60',
      ),
    ).toMatchInlineSnapshot(`
      "$ keyturn keys create --name Full --feature connections --json --scope personalize.external_webservices:read --controllers Personalize.Connections --origins "https://shop.example; https://lab.example" --impersonation-user sitecore\\shop --custom-data Database=web Secret=no --custom-data-in-token Database --claim https://shop.example/tier=2 https://shop.example/name=gold --audience https://api.example --door token sc_apikey --owner owner --draft --not-before 2030-01-01T00:00:00Z --expires-at 2031-01-01T00:00:00Z --token-ttl 60
      {
        "key": {
          "id": "<id 1>",
          "name": "Full",
          "feature": "connections",
          "impersonationUser": "sitecore\\\\shop",
          "customDataInToken": [
            "Database"
          ],
          "owner": "owner",
          "tokenTtl": 60,
          "scopes": [
            "personalize.external_webservices:read"
          ],
          "customData": {
            "Database": "web",
            "Secret": "no"
          },
          "claims": {
            "https://shop.example/tier": 2,
            "https://shop.example/name": "gold"
          },
          "audiences": [
            "https://api.example"
          ],
          "doors": [
            "token",
            "sc_apikey"
          ],
          "status": "draft",
          "allowedControllers": [
            "Personalize.Connections"
          ],
          "corsOrigins": [
            "https://shop.example",
            "https://lab.example"
          ],
          "notBefore": "<time>",
          "expiresAt": "<time>",
          "createdAt": "<time>",
          "updatedAt": "<time>",
          "keyVersion": 1,
          "secrets": [
            {
              "state": "active",
              "last4": "<last4>",
              "createdAt": "<time>",
              "lastUsedAt": "<use>",
              "lastUsedFrom": "<use>",
              "retiresAt": null
            }
          ]
        },
        "apiKey": "<key 1>"
      }
      2> Key <id 1> ("Full") is made. It is shown this once:"
    `);
  });

  it('create and update say that wildcards are discouraged', async () => {
    expect(await show('keys create --name Any --feature connections --origins *')).toMatchInlineSnapshot(`
      "$ keyturn keys create --name Any --feature connections --origins *
      <key 1>
      2> Discouraged: with the origin * pages of every site may use it. Name the origins.
      2> Key <id 1> ("Any") is made. It is shown this once:"
    `);
    const { id } = await makeKey();
    expect(await show(`keys update ${id} --controllers * --origins *`)).toMatchInlineSnapshot(`
      "$ keyturn keys update <id 1> --controllers * --origins *
      name: Made
      feature: connections
      owner: owner
      status: active
      allowedControllers: ["*"]
      corsOrigins: ["*"]
      id: <id 1>
      createdAt: <time>
      updatedAt: <time>
      doors: ["token"]
      keyVersion: 1
      secrets: [{"state":"active","last4":"<last4>","createdAt":"<time>","lastUsedAt":"<use>","lastUsedFrom":"<use>","retiresAt":null}]
      etag: <etag>
      2> Discouraged: with the origin * pages of every site may use it. Name the origins.
      2> Discouraged: with the controller * it gets what is added to its feature later. Name the controllers."
    `);
    await cli.json(`keys delete ${id}`);
  });

  it('create writes the key string to a new file that is closed to others', async () => {
    const file = path.join(scratch, 'key.txt');
    expect(await show(`keys create --name Filed --feature connections --out ${file} --json`))
      .toMatchInlineSnapshot(`
      "$ keyturn keys create --name Filed --feature connections --out <folder>/key.txt --json
      {
        "key": {
          "id": "<id 1>",
          "name": "Filed",
          "feature": "connections",
          "status": "active",
          "owner": "owner",
          "createdAt": "<time>",
          "updatedAt": "<time>",
          "corsOrigins": [],
          "doors": [
            "token"
          ],
          "keyVersion": 1,
          "secrets": [
            {
              "state": "active",
              "last4": "<last4>",
              "createdAt": "<time>",
              "lastUsedAt": "<use>",
              "lastUsedFrom": "<use>",
              "retiresAt": null
            }
          ]
        }
      }
      2> Key <id 1> ("Filed") is made. It is shown this once:
      2> Written to <folder>/key.txt, readable by you alone."
    `);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await service.exchange((await readFile(file, 'utf8')).trim())).status).toBe(200);
    expect(await show(`keys create --name Filed --feature connections --out ${file}`)).toMatchInlineSnapshot(`
      "$ keyturn keys create --name Filed --feature connections --out <folder>/key.txt
      2> <folder>/key.txt is there already: name a new file, for nothing is overwritten.
      exit 1"
    `);
    expect(await show(`keys rotate 00000000-0000-4000-8000-000000000000 --out ${file}`))
      .toMatchInlineSnapshot(`
      "$ keyturn keys rotate <id 1> --out <folder>/key.txt
      2> <folder>/key.txt is there already: name a new file, for nothing is overwritten.
      exit 1"
    `);
    const nowhere = path.join(scratch, 'not-there');
    expect(await show(`keys create --name Filed --feature nothing --out ${nowhere}`)).toMatchInlineSnapshot(`
      "$ keyturn keys create --name Filed --feature nothing --out <folder>/not-there
      2> /feature: There is no such feature for API keys; GET /admin/features lists them.
      exit 1"
    `);
    await expect(stat(nowhere)).rejects.toThrow('ENOENT');
  });

  it('list, show and update one', async () => {
    const { id } = await makeKey('--origins https://shop.example --expires-at 2031-01-01T00:00:00Z');
    expect(await show('keys list --query made')).toMatchInlineSnapshot(`
      "$ keyturn keys list --query made
      <id 1>	active	connections	Made"
    `);
    expect(await show('keys list --query made --feature odata-items --json')).toMatchInlineSnapshot(`
      "$ keyturn keys list --query made --feature odata-items --json
      []"
    `);
    expect(await show(`keys update ${id} --name "Made again" --custom-data Database=web`))
      .toMatchInlineSnapshot(`
      "$ keyturn keys update <id 1> --name "Made again" --custom-data Database=web
      name: Made again
      feature: connections
      owner: owner
      customData: {"Database":"web"}
      status: active
      corsOrigins: ["https://shop.example"]
      expiresAt: <time>
      id: <id 1>
      createdAt: <time>
      updatedAt: <time>
      doors: ["token"]
      keyVersion: 1
      secrets: [{"state":"active","last4":"<last4>","createdAt":"<time>","lastUsedAt":"<use>","lastUsedFrom":"<use>","retiresAt":null}]
      etag: <etag>"
    `);
    expect(await show(`keys update ${id} --clear expires-at origins --owner owner --json`))
      .toMatchInlineSnapshot(`
      "$ keyturn keys update <id 1> --clear expires-at origins --owner owner --json
      {
        "name": "Made again",
        "feature": "connections",
        "owner": "owner",
        "customData": {
          "Database": "web"
        },
        "status": "active",
        "id": "<id 1>",
        "createdAt": "<time>",
        "updatedAt": "<time>",
        "corsOrigins": [],
        "doors": [
          "token"
        ],
        "keyVersion": 2,
        "secrets": [
          {
            "state": "active",
            "last4": "<last4>",
            "createdAt": "<time>",
            "lastUsedAt": "<use>",
            "lastUsedFrom": "<use>",
            "retiresAt": null
          }
        ],
        "etag": <etag>
      }"
    `);
    expect(await show(`keys update ${id}`)).toMatchInlineSnapshot(`
      "$ keyturn keys update <id 1>
      2> Say what is to change: --help lists the options.
      exit 2"
    `);
    expect(await show(`keys update ${id} --clear colour`)).toMatchInlineSnapshot(`
      "$ keyturn keys update <id 1> --clear colour
      2> --clear does not know the field "colour".
      exit 2"
    `);
    expect(await show(`keys update ${id} --custom-data nothing`)).toMatchInlineSnapshot(`
      "$ keyturn keys update <id 1> --custom-data nothing
      2> --custom-data takes NAME=VALUE, not "nothing".
      exit 2"
    `);
    expect(await show(`keys update ${id} --feature nothing`)).toMatchInlineSnapshot(`
      "$ keyturn keys update <id 1> --feature nothing
      2> /feature: There is no such feature for API keys; GET /admin/features lists them.
      exit 1"
    `);
    expect(await show(`keys show ${id.toUpperCase()}`)).toMatchInlineSnapshot(`
      "$ keyturn keys show <id 1>
      name: Made again
      feature: connections
      owner: owner
      customData: {"Database":"web"}
      status: active
      id: <id 1>
      createdAt: <time>
      updatedAt: <time>
      corsOrigins: []
      doors: ["token"]
      keyVersion: 2
      secrets: [{"state":"active","last4":"<last4>","createdAt":"<time>","lastUsedAt":"<use>","lastUsedFrom":"<use>","retiresAt":null}]
      etag: <etag>"
    `);
    expect(await show('keys show not-an-id')).toMatchInlineSnapshot(`
      "$ keyturn keys show not-an-id
      2> There is no API key of this id.
      exit 1"
    `);
  });

  it('update and delete heed an etag, with or without its quotes', async () => {
    const { id } = await makeKey();
    const { etag } = await cli.json(`keys show ${id}`);
    const bare = String(etag).replaceAll('"', '');
    expect(await cli.json(`keys update ${id} --name Newer --if-match ${bare}`)).toMatchObject({
      name: 'Newer',
    });
    expect(await show(`keys update ${id} --name Newest --if-match ${bare}`)).toMatchInlineSnapshot(`
      "$ keyturn keys update <id 1> --name Newest --if-match <etag>
      2> Read it again, and send the ETag of that answer as If-Match.
      exit 1"
    `);
    expect(await show(`keys delete ${id} --if-match ${bare}`)).toMatchInlineSnapshot(`
      "$ keyturn keys delete <id 1> --if-match <etag>
      2> Read it again, and send the ETag of that answer as If-Match.
      exit 1"
    `);
    const { etag: now } = await cli.json(`keys show ${id}`);
    expect(await show(`keys delete ${id} --if-match ${String(now)}`)).toMatchInlineSnapshot(`
      "$ keyturn keys delete <id 1> --if-match <etag>
      2> Key <id 1> is deleted."
    `);
    expect(await show(`keys delete ${id} --json`)).toMatchInlineSnapshot(`
      "$ keyturn keys delete <id 1> --json
      2> There is no API key of this id.
      exit 1"
    `);
    const other = await makeKey();
    expect(await show(`keys delete ${other.id} --json --if-match *`)).toMatchInlineSnapshot(`
      "$ keyturn keys delete <id 1> --json --if-match *
      {
        "id": "<id 1>",
        "deleted": true
      }"
    `);
  });

  it('publish, disable, enable and revoke', async () => {
    const { id, apiKey } = await makeKey('--draft');
    const status = async (step: string) => (await cli.json(`keys ${step} ${id}`))['status'];
    const exchanged = async () => (await service.exchange(apiKey)).status;
    expect([await exchanged(), await status('publish'), await exchanged()]).toEqual([401, 'active', 200]);
    expect([await status('disable'), await exchanged()]).toEqual(['disabled', 401]);
    expect(await show(`keys publish ${id}`)).toMatchInlineSnapshot(`
      "$ keyturn keys publish <id 1>
      2> The API key is disabled: it cannot be made active so.
      exit 1"
    `);
    expect([await status('enable'), await exchanged()]).toEqual(['active', 200]);
    expect([await status('revoke'), await exchanged()]).toEqual(['revoked', 401]);
    expect(await show(`keys enable ${id}`)).toMatchInlineSnapshot(`
      "$ keyturn keys enable <id 1>
      2> The API key is revoked: it cannot be made active so.
      exit 1"
    `);
    expect(await show(`keys update ${id} --name Late`)).toMatchInlineSnapshot(`
      "$ keyturn keys update <id 1> --name Late
      2> The API key is revoked: it cannot be changed.
      exit 1"
    `);
  });

  it('rotate in three modes, and take it back', async () => {
    const { id, apiKey } = await makeKey();
    expect(await show(`keys rotate ${id} --grace 3600`)).toMatchInlineSnapshot(`
      "$ keyturn keys rotate <id 1> --grace 3600
      <key 1>
      2> Key <id 1> has a new key string. The old one works until <time>. It is shown this once:"
    `);
    expect(await show(`keys rotate ${id}`)).toMatchInlineSnapshot(`
      "$ keyturn keys rotate <id 1>
      2> A rotation is under way: let it end, or cancel it, before the next one.
      exit 1"
    `);
    expect((await service.exchange(apiKey)).status).toBe(200);
    expect(await show(`keys cancel-rotation ${id}`)).toMatchInlineSnapshot(`
      "$ keyturn keys cancel-rotation <id 1>
      id: <id 1>
      name: Made
      feature: connections
      status: active
      owner: owner
      createdAt: <time>
      updatedAt: <time>
      corsOrigins: []
      doors: ["token"]
      keyVersion: 2
      secrets: [{"state":"active","last4":"<last4>","createdAt":"<time>","lastUsedAt":"<use>","lastUsedFrom":"<use>","retiresAt":null}]
      etag: <etag>"
    `);
    expect(await show(`keys cancel-rotation ${id}`)).toMatchInlineSnapshot(`
      "$ keyturn keys cancel-rotation <id 1>
      2> No rotation of this API key is under way.
      exit 1"
    `);
    expect(await show(`keys rotate ${id} --mode first-use --grace 0`)).toMatchInlineSnapshot(`
      "$ keyturn keys rotate <id 1> --mode first-use --grace 0
      <key 1>
      2> Key <id 1> has a new key string. The old one works until the new one is used, and for its grace from then on. It is shown this once:"
    `);
    await cli.json(`keys cancel-rotation ${id}`);
    expect(await show(`keys rotate ${id} --mode now --json`)).toMatchInlineSnapshot(`
      "$ keyturn keys rotate <id 1> --mode now --json
      {
        "key": {
          "id": "<id 1>",
          "name": "Made",
          "feature": "connections",
          "status": "active",
          "owner": "owner",
          "createdAt": "<time>",
          "updatedAt": "<time>",
          "corsOrigins": [],
          "doors": [
            "token"
          ],
          "keyVersion": 3,
          "secrets": [
            {
              "state": "active",
              "last4": "<last4>",
              "createdAt": "<time>",
              "lastUsedAt": "<use>",
              "lastUsedFrom": "<use>",
              "retiresAt": null
            }
          ]
        },
        "apiKey": "<key 1>"
      }
      2> Key <id 1> has a new key string. The old one and all tokens are dead. It is shown this once:"
    `);
    expect((await service.exchange(apiKey)).status).toBe(401);
    expect(await show(`keys rotate ${id} --mode now --grace 5`)).toMatchInlineSnapshot(`
      "$ keyturn keys rotate <id 1> --mode now --grace 5
      2> --mode now leaves no --grace: the old key string ends at once.
      exit 2"
    `);
    expect(await show(`keys rotate ${id} --mode soon`)).toMatchInlineSnapshot(`
      "$ keyturn keys rotate <id 1> --mode soon
      2> error: option '--mode <mode>' argument 'soon' is invalid. Allowed choices are overlap, first-use, now.
      exit 2"
    `);
    expect(await show(`keys rotate ${id} --grace soon`)).toMatchInlineSnapshot(`
      "$ keyturn keys rotate <id 1> --grace soon
      2> error: option '--grace <seconds>' argument 'soon' is invalid. Give a whole number.
      exit 2"
    `);
  });

  it('rotate itself, with no rights at all', async () => {
    const { id, apiKey } = await makeKey();
    const own = { KEYTURN_API_KEY: apiKey };
    const file = path.join(scratch, 'rotated.txt');
    expect(await show(`keys rotate --self --out ${file}`, own)).toMatchInlineSnapshot(`
      "$ keyturn keys rotate --self --out <folder>/rotated.txt
      2> Key <id 1> has a new key string. The old one works until <time>. It is shown this once:
      2> Written to <folder>/rotated.txt, readable by you alone."
    `);
    const rotated = (await readFile(file, 'utf8')).trim();
    expect(rotated.slice(0, 36)).toBe(`kt_${id.replaceAll('-', '')}_`);
    expect((await service.exchange(rotated)).status).toBe(200);
    expect(await show(`keys rotate --self ${id}`, own)).toMatchInlineSnapshot(`
      "$ keyturn keys rotate --self <id 1>
      2> Name the key by its id, or say --self: one of the two.
      exit 2"
    `);
    expect(await show('keys rotate', own)).toMatchInlineSnapshot(`
      "$ keyturn keys rotate
      2> Name the key by its id, or say --self: one of the two.
      exit 2"
    `);
    expect(await show(`keys rotate ${id}`, own)).toMatchInlineSnapshot(`
      "$ keyturn keys rotate <id 1>
      2> The API key may not use the controller "Keyturn.Keys": allow it on the key, or use a key of another feature.
      exit 77"
    `);
    expect(await show('keys rotate --self', { KEYTURN_API_KEY: `kt_${'0'.repeat(70)}` }))
      .toMatchInlineSnapshot(`
      "$ keyturn keys rotate --self
      2> Send the whole API key as the password of HTTP Basic, or a token of the key as Bearer.
      exit 77"
    `);
  });
});

describe('accounts', () => {
  it('are made, listed, shown, changed and deleted', async () => {
    expect(await show('accounts create extranet\\anonymous')).toMatchInlineSnapshot(`
      "$ keyturn accounts create extranet\\anonymous
      id: extranet\\anonymous
      role: member
      permissions: []
      provider: local
      corsOrigins: []
      createdAt: <time>"
    `);
    expect(
      await show(
        'accounts create editor --role admin --permissions "content:read content:create" --origins https://cms.example --json',
      ),
    ).toMatchInlineSnapshot(`
      "$ keyturn accounts create editor --role admin --permissions "content:read content:create" --origins https://cms.example --json
      {
        "id": "editor",
        "role": "admin",
        "permissions": [
          "content:read",
          "content:create"
        ],
        "provider": "local",
        "corsOrigins": [
          "https://cms.example"
        ],
        "createdAt": "<time>"
      }"
    `);
    expect(await show('accounts list')).toMatchInlineSnapshot(`
      "$ keyturn accounts list
      editor	admin	local	no access key
      extranet\\anonymous	member	local	no access key
      owner	owner	local	<id 1>"
    `);
    expect(await show('accounts show extranet\\anonymous --json')).toMatchInlineSnapshot(`
      "$ keyturn accounts show extranet\\anonymous --json
      {
        "id": "extranet\\\\anonymous",
        "role": "member",
        "permissions": [],
        "provider": "local",
        "corsOrigins": [],
        "createdAt": "<time>",
        "etag": <etag>
      }"
    `);
    expect(await show('accounts update editor --role member --permissions "" --origins *'))
      .toMatchInlineSnapshot(`
      "$ keyturn accounts update editor --role member --permissions "" --origins *
      id: editor
      role: member
      permissions: []
      provider: local
      corsOrigins: ["*"]
      createdAt: <time>
      etag: <etag>
      2> Discouraged: with the origin * pages of every site may use it. Name the origins."
    `);
    expect(await show('accounts update editor')).toMatchInlineSnapshot(`
      "$ keyturn accounts update editor
      2> Say what is to change: --help lists the options.
      exit 2"
    `);
    expect(await show('accounts update editor --role king')).toMatchInlineSnapshot(`
      "$ keyturn accounts update editor --role king
      2> error: option '--role <role>' argument 'king' is invalid. Allowed choices are owner, admin, member.
      exit 2"
    `);
    expect(await show('accounts update editor --role admin --if-match nothing')).toMatchInlineSnapshot(`
      "$ keyturn accounts update editor --role admin --if-match nothing
      2> Read it again, and send the ETag of that answer as If-Match.
      exit 1"
    `);
    expect(await show('accounts create editor')).toMatchInlineSnapshot(`
      "$ keyturn accounts create editor
      2> There is an account of this name already.
      exit 1"
    `);
    expect(await show('accounts delete editor')).toMatchInlineSnapshot(`
      "$ keyturn accounts delete editor
      2> Account "editor" is deleted."
    `);
    expect(await show('accounts delete extranet\\anonymous --json')).toMatchInlineSnapshot(`
      "$ keyturn accounts delete extranet\\anonymous --json
      {
        "id": "extranet\\\\anonymous",
        "deleted": true
      }"
    `);
    expect(await show('accounts show editor')).toMatchInlineSnapshot(`
      "$ keyturn accounts show editor
      2> There is no account of this name.
      exit 1"
    `);
    expect(await show('accounts delete owner')).toMatchInlineSnapshot(`
      "$ keyturn accounts delete owner
      2> The last owner cannot be removed, nor given another role.
      exit 1"
    `);
  });

  it('have access keys, shown once', async () => {
    await cli.json('accounts create deputy --role admin');
    expect(await show('access-keys create deputy')).toMatchInlineSnapshot(`
      "$ keyturn access-keys create deputy
      <key 1>
      2> Account "deputy" has a new access key; an older one is dead. It is shown this once:"
    `);
    const { accessKey } = await cli.json('access-keys create deputy');
    const deputy = { KEYTURN_API_KEY: String(accessKey) };
    expect(await show('keys list --query nobody', deputy)).toMatchInlineSnapshot(
      `"$ keyturn keys list --query nobody"`,
    );
    expect(await show('accounts delete owner', deputy)).toMatchInlineSnapshot(`
      "$ keyturn accounts delete owner
      2> The scope "keyturn:accounts:delete" is needed: request it, or use a key of a feature that has it.
      exit 77"
    `);
    expect(await show('access-keys revoke deputy')).toMatchInlineSnapshot(`
      "$ keyturn access-keys revoke deputy
      2> The access key of "deputy" is dead."
    `);
    expect(await show('keys list', deputy)).toMatchInlineSnapshot(`
      "$ keyturn keys list
      2> The client credentials are not valid. Send the whole API key as client_secret; client_id, if sent, is its id.
      exit 77"
    `);
    expect(await show('access-keys revoke deputy')).toMatchInlineSnapshot(`
      "$ keyturn access-keys revoke deputy
      2> The account has no access key.
      exit 1"
    `);
    await cli.json('accounts create elsewhere --provider external');
    expect(await show('access-keys create elsewhere')).toMatchInlineSnapshot(`
      "$ keyturn access-keys create elsewhere
      2> The account belongs to an external provider: it gets no access key.
      exit 1"
    `);
    expect(await cli.json('access-keys create deputy')).toMatchObject({ account: { id: 'deputy' } });
    expect(await show('access-keys revoke deputy --json')).toMatchInlineSnapshot(`
      "$ keyturn access-keys revoke deputy --json
      {
        "account": "deputy",
        "revoked": true
      }"
    `);
  });
});

describe('token and check', () => {
  let token: string;

  beforeAll(async () => {
    const { apiKey } = await makeKey('--origins https://shop.example');
    const { stdout } = await cli.run('token', { env: { KEYTURN_API_KEY: apiKey } });
    token = stdout.trim();
  });

  it('token prints a token', async () => {
    expect(await show('token --scope keyturn:keys:read')).toMatchInlineSnapshot(`
      "$ keyturn token --scope keyturn:keys:read
      <token>"
    `);
    expect(await show('token --scope keyturn:keys:read --json')).toMatchInlineSnapshot(`
      "$ keyturn token --scope keyturn:keys:read --json
      {
        "tokenType": "Bearer",
        "expiresIn": 900,
        "scope": "keyturn:keys:read",
        "accessToken": "<token>"
      }"
    `);
    expect(await show('token --scope no:such')).toMatchInlineSnapshot(`
      "$ keyturn token --scope no:such
      2> The API key does not have the scope no:such: ask for less, or leave scope out.
      exit 1"
    `);
    expect(await show('token', { KEYTURN_API_KEY: `kt_${'0'.repeat(70)}` })).toMatchInlineSnapshot(`
      "$ keyturn token
      2> The client credentials are not valid. Send the whole API key as client_secret; client_id, if sent, is its id.
      exit 77"
    `);
    expect(await show('token', { KEYTURN_API_KEY: '' })).toMatchInlineSnapshot(`
      "$ keyturn token
      2> Set KEYTURN_API_KEY to an access key, or to an API key.
      exit 78"
    `);
  });

  it('check lets in whom the guard lets in', async () => {
    expect(await show(`check ${token}`)).toMatchInlineSnapshot(`
      "$ keyturn check <token>
      allowed: true
      revocation: not asked: only the server knows what is revoked
      client: <id 1>
      subject: <id 1>
      feature: connections
      scope: personalize.external_webservices:manage
      expires: <time>"
    `);
    const demand =
      '--controller Personalize.Connections --scope personalize.external_webservices:read --origin https://shop.example';
    expect(await show(`check ${token} ${demand} --json`)).toMatchInlineSnapshot(`
      "$ keyturn check <token> --controller Personalize.Connections --scope personalize.external_webservices:read --origin https://shop.example --json
      {
        "allowed": true,
        "revocation": "not asked: only the server knows what is revoked",
        "client": "<id 1>",
        "subject": "<id 1>",
        "feature": "connections",
        "scope": "personalize.external_webservices:manage",
        "expires": "<time>"
      }"
    `);
  });

  it.each([
    ['--controller Personalize.Flows', 'controller_not_allowed'],
    ['--scope personalize.flows:read', 'insufficient_scope'],
    ['--origin https://elsewhere.example', 'origin_not_allowed'],
    ['--audience https://elsewhere.example', 'audience_mismatch'],
  ])('check refuses with %s as the guard does', async (demand, reason) => {
    const { code, stdout, stderr } = await cli.run(`check ${token} ${demand}`);
    expect([code, stderr]).toEqual([1, '']);
    expect(stdout).toContain(`allowed: false\nreason: ${reason}\n`);
  });

  it('check refuses what is spoilt, expired or no token', async () => {
    const spoilt = token.replace(/.$/, last => (last === 'A' ? 'Q' : 'A'));
    expect(await show(`check ${spoilt}`)).toMatchInlineSnapshot(`
      "$ keyturn check <token>
      allowed: false
      reason: token_invalid
      detail: The token is malformed, or was not issued here. Request a new one at POST /oauth/token.
      revocation: not asked: only the server knows what is revoked
      exit 1"
    `);
    expect(await show('check "not a token" --json')).toMatchInlineSnapshot(`
      "$ keyturn check "not a token" --json
      {
        "allowed": false,
        "reason": "token_invalid",
        "detail": "The token is malformed, or was not issued here. Request a new one at POST /oauth/token.",
        "revocation": "not asked: only the server knows what is revoked"
      }
      exit 1"
    `);
    const later = { clock: () => Date.now() + 3_600_000 };
    expect(await cli.show(`check ${token}`, later)).toMatchInlineSnapshot(`
      "$ keyturn check <token>
      allowed: false
      reason: token_expired
      detail: Request a new token at POST /oauth/token.
      revocation: not asked: only the server knows what is revoked
      client: <id 1>
      subject: <id 1>
      feature: connections
      scope: personalize.external_webservices:manage
      expires: <time>
      exit 1"
    `);
  });

  it('check reads a token from stdin', async () => {
    const { code, stdout } = await cli.run('check -', {
      stdin: parts(token.slice(0, 20), token.slice(20), '\n'),
    });
    expect([code, stdout.split('\n')[0]]).toEqual([0, 'allowed: true']);
    expect((await cli.run('check -')).code).toBe(1);
  });
});

async function* parts(...texts: string[]): AsyncGenerator<Uint8Array> {
  yield* texts.map(text => Buffer.from(text));
}

describe('audit', () => {
  it('lists who did what, newest first', async () => {
    const { id } = await makeKey();
    await cli.json(`keys revoke ${id}`);
    expect(await show(`audit list --key ${id}`)).toMatchInlineSnapshot(`
      "$ keyturn audit list --key <id 1>
      <number>	<time>	owner	key.revoke	key/<id 1>	done
      <number>	<time>	owner	key.create	key/<id 1>	done"
    `);
    const entries = (await cli.json(`audit list --key ${id} --action key.create`)) as unknown as object[];
    expect(entries).toMatchObject([
      { action: 'key.create', account: 'owner', outcome: 'done', after: { id } },
    ]);
    expect((await cli.run('audit list --limit 3')).stdout.split('\n')).toHaveLength(4);
    expect((await cli.run('audit list --limit 0')).stdout).toBe('');
    expect(await show('audit list --limit few')).toMatchInlineSnapshot(`
      "$ keyturn audit list --limit few
      2> error: option '--limit <entries>' argument 'few' is invalid. Give a whole number.
      exit 2"
    `);
  });

  it('verifies the chain, and an anchor kept elsewhere', async () => {
    const { entries, head, anchor, faults } = await cli.json('audit verify');
    expect([anchor, faults]).toEqual([`${String(entries)}:${String(head)}`, []]);
    await makeKey();
    const { code, stdout } = await cli.run(`audit verify --anchor ${String(anchor)}`);
    expect([code, stdout.split('\n')[0]]).toEqual([0, `entries: ${Number(entries) + 1}`]);
    const forged = `${String(entries)}:${'0'.repeat(64)}`;
    const refused = await cli.run(`audit verify --anchor ${forged}`);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toBe(
      `The chain does not verify. The first bad entry is ${String(entries)}: the entry is not the one that the anchor names.\n`,
    );
    expect((await cli.run(`audit verify --anchor 999999:${String(head)}`)).code).toBe(1);
    expect((await cli.run('audit verify --anchor yesterday')).code).toBe(2);
  });
});

describe('a command that is not understood', () => {
  it.each([
    '',
    'keys',
    'nothing',
    'keys create',
    'keys create --name x',
    'keys show',
    'scan',
    'completion tcsh',
  ])('keyturn %s ends with 2', async line => {
    const { code, stdout, stderr } = await cli.run(line);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/error|Usage/);
  });

  it('is helped', async () => {
    const { code, stdout } = await cli.run('--help');
    const commands = Array.from(stdout.matchAll(/^  ([a-z-]+) /gm), ([, name]) => name);
    expect(code).toBe(0);
    expect(commands.filter(name => !name?.startsWith('-')).join(' ')).toBe(
      'serve init keys accounts access-keys signing-keys token check scan audit doctor completion help',
    );
  });
});

describe('a server that is not there', () => {
  it.each(['keys list', 'token', 'check a.b.c', 'audit verify', 'keys rotate --self'])(
    'ends keyturn %s with 69',
    async line => {
      const ran = await cli.run(line, { env: { KEYTURN_URL: 'http://127.0.0.1:1' } });
      expect([ran.code, ran.stdout]).toEqual([69, '']);
      expect(ran.stderr).toContain('The server cannot be reached: ');
    },
  );

  it('is another matter than a setting that is wrong', async () => {
    expect(await show('keys list', { KEYTURN_URL: 'keyturn.example' })).toMatchInlineSnapshot(`
      "$ keyturn keys list
      2> The configuration has a problem:
      2> 
      2>   KEYTURN_URL
      2>     was       "keyturn.example"
      2>     expected  an http or https URL without user, password, query and fragment
      2> 
      exit 78"
    `);
    expect(await show('keys list', { KEYTURN_API_KEY: '' })).toMatchInlineSnapshot(`
      "$ keyturn keys list
      2> Set KEYTURN_API_KEY to an access key, or to an API key.
      exit 78"
    `);
    expect(await show('check a.b.c', { KEYTURN_URL: `${service.url}/elsewhere` })).toMatchInlineSnapshot(`
      "$ keyturn check a.b.c
      2> /.well-known/oauth-authorization-server (404) does not answer as a Keyturn server does: is KEYTURN_URL right?
      exit 1"
    `);
  });
});
