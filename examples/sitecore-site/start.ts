/**
 * Starts the site with Keyturn in front of it, makes two keys as an administrator would, and prints what to paste. See
 * docs/sitecore.md. Everything is thrown away when it ends.
 */
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
// In an application of your own: from 'keyturn'.
import { createLogger, loadSettings, openService } from '../../src/index.ts';
import { createAdmin } from '../admin.ts';
import { createSite } from './site.ts';

const { KEYTURN_PORT = '8080', SITE_PORT = '9100' } = process.env;
const here = import.meta.dirname;
const say = (text: string) => void process.stdout.write(`${text}\n`);

const site = createSite(line => say(`site: ${line}`)).listen(Number(SITE_PORT), '127.0.0.1');
await once(site, 'listening');
const directory = await mkdtemp(path.join(tmpdir(), 'keyturn-site-'));
const controllers = path.join(directory, 'controllers.json');
await writeFile(controllers, await controllersFor((site.address() as AddressInfo).port));

const settings = loadSettings({
  KEYTURN_PORT,
  KEYTURN_DATA_DIR: path.join(directory, 'data'),
  KEYTURN_FEATURES: path.join(here, 'features.json'),
  KEYTURN_CONTROLLERS: controllers,
  KEYTURN_ANONYMOUS_USER: 'extranet\\Anonymous',
});
const keyturn = await openService(settings, { logger: createLogger('warn') });
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void end());

const admin = await createAdmin(keyturn.issuer, keyturn.welcome?.ownerKey ?? '');
const { id: jssKey } = await admin.createKey({
  name: 'JSS app',
  feature: 'services-client',
  doors: ['sc_apikey'],
  // Pasted from the field "Allowed Controllers" of a Sitecore key.
  allowedControllers: `Sitecore.LayoutService.Mvc.Controllers.LayoutServiceController, Sitecore.LayoutService.Mvc;
    Sitecore.JavaScriptServices.Globalization.Controllers.DictionaryServiceController;
    Sitecore.JavaScriptServices.Tracker.Mvc.Controllers.TrackingController;
    Sitecore.Services.GraphQL.Hosting.Mvc.GraphQLController;
    GraphQL:/api/app`,
  corsOrigins: 'http://localhost:3000',
});
const { id: itemsKey } = await admin.createKey({
  name: 'Items of the web database',
  feature: 'odata-items',
  doors: ['sc_apikey'],
  impersonationUser: 'sitecore\\ServicesAPI',
  customData: { Database: 'web', 'Search Filter': 'IsLatestVersion eq true' },
});
say(`Keyturn serves on ${keyturn.issuer}, in front of the site. Its keys, to be sent as sc_apikey:

  JSS app                      ${jssKey}
  Items of the web database    ${itemsKey}

curl -s '${keyturn.issuer}/sitecore/api/layout/render/jss?item=/&sc_lang=en&sc_apikey=${jssKey}'
curl -sG '${keyturn.issuer}/sitecore/api/ssc/aggregate/content/Items' -H 'sc_apikey: ${itemsKey}' --data-urlencode "\\$filter=Language eq 'en'"

Ctrl-C ends it, and throws the keys away.
`);

/** The file beside this one, for the port that the site has. */
async function controllersFor(port: number): Promise<string> {
  const text = await readFile(path.join(here, 'controllers.json'), 'utf8');
  return text.replaceAll('http://127.0.0.1:9100', `http://127.0.0.1:${port}`);
}

async function end(): Promise<void> {
  site.close();
  await keyturn.close();
  await rm(directory, { recursive: true, force: true });
}
