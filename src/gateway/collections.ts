/**
 * Collections: JSON documents kept in the store, so that the default catalogue works with nothing behind it. They
 * answer in the shape of Sitecore Personalize's REST API: `{href, items}`, `ref`, `revision`, `modifiedAt`, `archived`.
 */
import { randomUUID } from 'node:crypto';
import { Problem } from '../protocol/errors.ts';
import type { Clock, Store } from '../store/store.ts';
import type { CollectionAnswer, CollectionCall } from './collection-call.ts';
import { answerSitecore } from './sitecore-answers.ts';

export interface Collections {
  /** @throws {Problem} `not_found`, `conflict` */
  answer(call: CollectionCall): Promise<CollectionAnswer>;
}

export interface CollectionsOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** The base of every `href`: the issuer, never what a request says of its host. */
  readonly baseUrl: string;
}

export function createCollections(options: CollectionsOptions): Collections {
  return {
    async answer(call) {
      switch (call.route.operation) {
        case 'list':
        case 'list-children':
          return { status: 200, body: await list(call, options) };
        case 'create':
        case 'create-child':
          return { status: 201, body: await create(call, options) };
        case 'read':
          return { status: 200, body: present(await find(call, options), options) };
        case 'update':
          return { status: 200, body: await update(call, options) };
        case 'delete':
          return { status: 200, body: await remove(call, options) };
        case 'test':
          // A collection runs nothing: it hands back what would have been tested.
          return { status: 200, body: { ...call.body, results: [] } };
        case 'layout':
        case 'placeholder':
        case 'dictionary':
        case 'graphql':
        case 'event':
        case 'odata-item':
          return answerSitecore(call);
      }
    },
  };
}

interface StoredDocument {
  readonly ref: string;
  /** The path at which it is read, without its ref. */
  readonly path: string;
  /** The path's parameters beside the ref: the parent, or the type. */
  readonly scope: readonly string[];
  readonly createdAt: number;
  readonly modifiedAt: number;
  readonly modifiedBy: string;
  readonly revision: number;
  /** What the caller wrote. */
  readonly content: Readonly<Record<string, unknown>>;
}

/** Members that the service writes; a caller's own of these names are dropped. */
const ownMembers: ReadonlySet<string> = new Set(['href', 'ref', 'revision', 'modifiedAt', 'modifiedByRef']);

const [standardLimit, longestPage, farthestOffset] = [100, 1000, 100_000];

async function list(
  { route, parameters, path, query }: CollectionCall,
  options: CollectionsOptions,
): Promise<unknown> {
  const limit = Math.min(readCount(query, 'limit') ?? standardLimit, longestPage);
  const offset = Math.min(readCount(query, 'offset') ?? 0, farthestOffset);
  const set = indexName(route.collection, parameters);
  const members = limit === 0 ? [] : await options.store.listMembers(set, { limit: offset + limit });
  const refs = members.slice(offset).map(member => member.slice(10));
  const texts = await options.store.getMany(refs.map(ref => recordName(route.collection, ref)));
  const items = texts.filter(text => text !== undefined).map(text => present(decode(text), options));
  return { href: options.baseUrl + path, items };
}

/** Clients are known to send `limit=undefined`: what is no count, is not there. */
function readCount(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name) ?? '';
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

async function create(call: CollectionCall, { store, clock, baseUrl }: CollectionsOptions): Promise<unknown> {
  const { route, parameters, clientId } = call;
  if (route.operation === 'create-child') await requireParent(call, store);
  const now = clock();
  const document: StoredDocument = {
    ref: randomUUID(),
    path: call.itemPath,
    scope: parameters,
    createdAt: now,
    modifiedAt: now,
    modifiedBy: clientId,
    revision: 1,
    content: contentOf(call.body),
  };
  await store.addMember(indexName(route.collection, parameters), indexMember(document));
  await store.create(recordName(route.collection, document.ref), JSON.stringify(document));
  return present(document, { baseUrl });
}

async function requireParent({ parentCollection, parameters }: CollectionCall, store: Store): Promise<void> {
  const ref = parameters.at(-1) ?? '';
  if (!documentRef.test(ref)) throw noSuchDocument();
  if ((await store.get(recordName(parentCollection, ref))) === undefined) throw noSuchDocument();
}

async function find(call: CollectionCall, options: CollectionsOptions): Promise<StoredDocument> {
  return (await read(call, options)).document;
}

async function read(
  { route, parameters }: CollectionCall,
  { store }: Pick<CollectionsOptions, 'store'>,
): Promise<{ name: string; text: string; document: StoredDocument }> {
  const ref = parameters.at(-1) ?? '';
  if (!documentRef.test(ref)) throw noSuchDocument();
  const name = recordName(route.collection, ref);
  const text = await store.get(name);
  if (text === undefined) throw noSuchDocument();
  const document = decode(text);
  const scope = parameters.slice(0, -1);
  if (scope.length > 0 && scope.join('/') !== document.scope.join('/')) throw noSuchDocument();
  return { name, text, document };
}

async function update(call: CollectionCall, options: CollectionsOptions): Promise<unknown> {
  const { name, text, document } = await read(call, options);
  const changed: StoredDocument = {
    ...document,
    modifiedAt: options.clock(),
    modifiedBy: call.clientId,
    revision: document.revision + 1,
    content: contentOf(call.body),
  };
  if (!(await options.store.replace(name, text, JSON.stringify(changed)))) {
    throw new Problem(
      'conflict',
      'The document was changed by somebody else at the same moment: read it again.',
    );
  }
  return present(changed, options);
}

async function remove(call: CollectionCall, options: CollectionsOptions): Promise<unknown> {
  const { name, text, document } = await read(call, options);
  if (!(await options.store.remove(name, text))) {
    throw new Problem(
      'conflict',
      'The document was changed by somebody else at the same moment: read it again.',
    );
  }
  await options.store.removeMember(indexName(call.route.collection, document.scope), indexMember(document));
  return present(document, options);
}

const documentRef = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

function noSuchDocument(): Problem {
  return new Problem('not_found', 'There is no document of this ref.');
}

function contentOf(body: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(body).filter(([name]) => !ownMembers.has(name)));
}

function decode(text: string): StoredDocument {
  return JSON.parse(text) as StoredDocument;
}

function present(
  document: StoredDocument,
  { baseUrl }: Pick<CollectionsOptions, 'baseUrl'>,
): Record<string, unknown> {
  return {
    archived: false,
    ...document.content,
    href: `${baseUrl}${document.path}/${document.ref}`,
    ref: document.ref,
    revision: document.revision,
    modifiedAt: new Date(document.modifiedAt).toISOString(),
    modifiedByRef: `${document.modifiedBy}@clients`,
  };
}

function recordName(collection: string, ref: string): string {
  return `document/${collection}/${ref}`;
}

/** Parameters are the caller's words: encoded, so that a name stays within the store's alphabet and length. */
function indexName(collection: string, scope: readonly string[]): string {
  return [
    'documents',
    collection,
    ...scope.map(word => Buffer.from(word.slice(0, 100)).toString('base64url')),
  ].join('/');
}

/** Byte order is the order of creation. */
function indexMember({ ref, createdAt }: StoredDocument): string {
  return `${createdAt.toString(36).padStart(9, '0')}/${ref}`;
}
