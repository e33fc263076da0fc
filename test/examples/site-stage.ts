/** The site of examples/sitecore-site on a free port, and the settings of a service that stands in front of it. */
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createSite } from '../../examples/sitecore-site/site.ts';

export interface SiteStage {
  /** `KEYTURN_…` variables. */
  readonly env: Record<string, string>;
  /** What has reached the site. */
  readonly requests: IncomingMessage[];
  close(): Promise<void>;
}

const example = path.resolve(import.meta.dirname, '../../examples/sitecore-site');

export async function openSite(): Promise<SiteStage> {
  const requests: IncomingMessage[] = [];
  const site = createSite(() => {}).on('request', req => requests.push(req));
  await once(site.listen(0, '127.0.0.1'), 'listening');
  const directory = await mkdtemp(path.join(tmpdir(), 'keyturn-site-'));
  const controllers = path.join(directory, 'controllers.json');
  const declared = await readFile(path.join(example, 'controllers.json'), 'utf8');
  const { port } = site.address() as AddressInfo;
  await writeFile(controllers, declared.replaceAll('127.0.0.1:9100', `127.0.0.1:${port}`));
  return {
    env: {
      KEYTURN_CONTROLLERS: controllers,
      KEYTURN_FEATURES: path.join(example, 'features.json'),
      KEYTURN_ANONYMOUS_USER: 'extranet\\Anonymous',
    },
    requests,
    async close() {
      site.closeAllConnections();
      site.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
