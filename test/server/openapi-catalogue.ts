/** A catalogue with a route of every kind, and with names that would break a page that does not escape them. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export const hostileName = `Shop<script>alert(1)</script>"'&`;

interface Entry {
  readonly name: string;
}

/** Writes the two files beside each other. @returns the settings that name them */
export async function writeCatalogue(directory: string, upstream: string): Promise<Record<string, string>> {
  const { features } = await readJson<{ features: Entry[] }>('features');
  const { controllers } = await readJson<{ controllers: Entry[] }>('controllers');
  const added = [
    {
      name: hostileName,
      upstream,
      timeout: 1,
      doors: ['bearer', 'sc_apikey'],
      routes: [
        { methods: ['GET', 'POST'], path: '/shop/*rest', scope: 'orders:manage' },
        { methods: ['DELETE'], path: "/shop&co/it's/:a", scope: 'orders:manage' },
      ],
    },
    {
      name: 'Shop.Guarded',
      collection: 'guarded',
      doors: ['bearer', 'sc_apikey'],
      requireApiKey: true,
      routes: [
        { methods: ['POST'], path: '/guarded', scope: 'orders:create' },
        { methods: ['GET'], path: '/guarded/:key', scope: 'orders:read' },
        // One template to OpenAPI; and below two routes that would have one name.
        { methods: ['PUT'], path: '/guarded/:other', scope: 'orders:update' },
        { methods: ['DELETE'], path: '/guarded/:other', scope: 'orders:delete' },
        { methods: ['GET'], path: '/range-list', scope: 'orders:read' },
        { methods: ['GET'], path: '/range/list', scope: 'orders:read' },
      ],
    },
  ];
  const all = {
    name: 'everything',
    title: 'Everything <b>there</b> is',
    scopes: [
      'orders:manage',
      'content:manage',
      'items:manage',
      'services:manage',
      'keyturn:introspect',
      ...[
        'connections',
        'decision_models',
        'decision_model_tests',
        'external_webservices',
        'flows',
        'templates',
      ].map(name => `personalize.${name}:manage`),
    ],
    controllers: [
      ...[...controllers, ...added].map(({ name }) => name),
      'GraphQL:*',
      'Keyturn.Introspection',
    ],
  };
  const nothing = { ...all, name: 'nothing', scopes: ['nothing:read'] };
  const paths = {
    features: join(directory, 'features.json'),
    controllers: join(directory, 'controllers.json'),
  };
  await writeFile(paths.features, JSON.stringify({ features: [...features, all, nothing] }));
  await writeFile(paths.controllers, JSON.stringify({ controllers: [...controllers, ...added] }));
  return { KEYTURN_FEATURES: paths.features, KEYTURN_CONTROLLERS: paths.controllers };
}

async function readJson<T>(name: string): Promise<T> {
  return JSON.parse(await readFile(`config/${name}.json`, 'utf8')) as T;
}
