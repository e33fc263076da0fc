/** Controller names and the lists in which keys, features and tokens allow them. */

/** The entry that allows every controller (of the feature). */
export const anyController = '*';

/** The entry that allows every GraphQL endpoint. It is the only pattern there is. */
const anyGraphqlEndpoint = 'GraphQL:*';

/**
 * Reads a list of controllers: an array, or Sitecore's text, separated by semicolons and line breaks around them.
 * Entries are trimmed, empty ones dropped, and of an assembly-qualified name (`Type, Assembly`) the type is kept.
 */
export function parseControllerList(list: string | readonly string[]): string[] {
  const entries = typeof list === 'string' ? list.split(';') : list;
  return [...new Set(entries.map(typeName).filter(name => name !== ''))];
}

/** Whether the list allows the controller. Names are compared exactly, case included. */
export function allowsController(list: ReadonlySet<string>, controller: string): boolean {
  if (list.has(controller) || list.has(anyController)) return true;
  return controller.startsWith(graphqlPrefix) && list.has(anyGraphqlEndpoint);
}

/** Those of `wanted` that the list does not allow. `*` itself asks for no more than the list has. */
export function controllersBeyond(list: readonly string[], wanted: readonly string[]): string[] {
  const allowed = new Set(list);
  return wanted.filter(name => name !== anyController && !allowsController(allowed, name));
}

/**
 * What a key may use: its own list as far as its feature allows it, or the feature's whole list where the key
 * has none of its own or says `*`. An empty list is none.
 */
export function effectiveControllers(
  own: readonly string[] | undefined,
  feature: readonly string[],
): readonly string[] {
  if (own === undefined || own.includes(anyController)) return feature;
  const allowed = new Set(feature);
  return own.filter(name => allowsController(allowed, name));
}

/** The entry that a GraphQL endpoint needs beside its controller's type: `GraphQL:/path`. */
export function graphqlEndpoint(path: string): string {
  return graphqlPrefix + path;
}

const graphqlPrefix = 'GraphQL:';

function typeName(entry: string): string {
  const name = entry.trim();
  const isType = !name.startsWith(graphqlPrefix);
  return (isType ? name.split(',', 1)[0]! : name).trim();
}
