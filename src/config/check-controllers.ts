/** Decides which declarations of controllers and routes make sense, beyond their form. */
import { OPERATION_METHODS, inferOperation, type Operation } from './catalogue.ts';
import type { ControllerHead, RouteEntry } from './catalogue-schema.ts';
import { showValue, type Problem } from './problems.ts';
import { coversPath, findPathFault, hasParameter, reservedPrefixOf } from './route-path.ts';

/** An entry that its schema accepts, and where it stands. */
export interface Located<Entry> {
  readonly entry: Entry;
  readonly at: (...parts: readonly (string | number)[]) => string;
}

/** A route in the order of the file; `controller` is undefined where that entry is faulty. */
export interface LocatedRoute extends Located<RouteEntry> {
  readonly controller: ControllerHead | undefined;
}

export function checkControllers(controllers: readonly Located<ControllerHead>[]): Problem[] {
  return controllers.flatMap(located => [
    ...checkName(located),
    ...checkAnswer(located),
    ...checkHasRoutes(located),
    ...checkUpstreamOptions(located),
    ...checkDoors(located),
  ]);
}

export function checkRoutes(routes: readonly LocatedRoute[]): Problem[] {
  return routes.flatMap(located => [...checkPath(located), ...checkOperation(located)]);
}

/** A route that an earlier one hides would seem to be guarded by a scope that nobody ever asks for. */
export function checkRouteOrder(routes: readonly LocatedRoute[]): Problem[] {
  return routes.flatMap(({ entry, at }, index) => {
    const earlier = routes.slice(0, index).find(({ entry: other }) => {
      return sharesMethod(entry, other) && coversPath(other.path, entry.path);
    });
    if (earlier === undefined) return [];
    const was = `${entry.methods.join(', ')} ${showValue(entry.path)}`;
    return [
      { where: at('path'), was, expected: `a path that ${earlier.at('path')} does not match before it` },
    ];
  });
}

function checkName({ entry, at }: Located<ControllerHead>): Problem[] {
  if (!/^(keyturn\.|graphql$)/i.test(entry.name)) return [];
  const expected =
    "a name that does not start with Keyturn., which are the service's own, and is not GraphQL";
  return [{ where: at('name'), was: showValue(entry.name), expected }];
}

function checkAnswer({ entry, at }: Located<ControllerHead>): Problem[] {
  const answers = (['upstream', 'collection', 'elsewhere'] as const).filter(
    member => entry[member] !== undefined,
  );
  if (answers.length === 1) return [];
  const expected = 'exactly one of upstream, collection and elsewhere';
  return [{ where: at(), was: answers.join(' and ') || 'none of them', expected }];
}

function checkHasRoutes({ entry, at }: Located<ControllerHead>): Problem[] {
  if (entry.routes !== undefined || entry.elsewhere === true) return [];
  return [{ where: at('routes'), was: 'missing', expected: 'a list of one or more routes' }];
}

function checkUpstreamOptions({ entry, at }: Located<ControllerHead>): Problem[] {
  if (entry.upstream !== undefined) return [];
  return (['forward', 'timeout'] as const)
    .filter(option => entry[option] !== undefined)
    .map(option => ({
      where: at(option),
      was: showValue(entry[option]),
      expected: 'nothing without an upstream',
    }));
}

function checkDoors({ entry, at }: Located<ControllerHead>): Problem[] {
  if (entry.requireApiKey !== true || entry.doors?.includes('sc_apikey')) return [];
  return [{ where: at('requireApiKey'), was: 'true', expected: 'false, or sc_apikey among the doors' }];
}

function checkPath({ entry, at }: LocatedRoute): Problem[] {
  const where = at('path');
  const was = showValue(entry.path);
  const reserved = reservedPrefixOf(entry.path);
  const fault = findPathFault(entry.path);
  return [
    ...(reserved === undefined
      ? []
      : [{ where, was, expected: `a path outside ${reserved}, which is the service's own` }]),
    ...(fault === undefined ? [] : [{ where, was, expected: fault }]),
  ];
}

function checkOperation({ entry, at, controller }: LocatedRoute): Problem[] {
  if (controller === undefined) return [];
  if (controller.collection === undefined) return checkNoOperation({ entry, at });
  const operation = entry.operation ?? inferOperation(entry.methods, entry.path);
  if (operation === undefined) {
    const was = `none, and ${entry.methods.join(', ')} ${entry.path} tells none`;
    return [{ where: at('operation'), was, expected: 'the operation of all the methods' }];
  }
  return [...checkMethods({ entry, at }, operation), ...checkParameter({ entry, at }, operation)];
}

function checkNoOperation({ entry, at }: Located<RouteEntry>): Problem[] {
  return (['operation', 'collection'] as const)
    .filter(option => entry[option] !== undefined)
    .map(option => ({
      where: at(option),
      was: showValue(entry[option]),
      expected: 'nothing where the controller has no collection',
    }));
}

/** Otherwise a GET, which a browser sends from anywhere, could change something. */
function checkMethods({ entry, at }: Located<RouteEntry>, operation: Operation): Problem[] {
  const allowed = OPERATION_METHODS[operation];
  if (entry.methods.every(method => allowed.includes(method))) return [];
  const expected = `${allowed.join(' or ')} alone for the operation ${operation}`;
  return [{ where: at('methods'), was: entry.methods.join(', '), expected }];
}

function checkParameter({ entry, at }: Located<RouteEntry>, operation: Operation): Problem[] {
  if (!needsParameter.has(operation) || hasParameter(entry.path)) return [];
  return [
    {
      where: at('path'),
      was: showValue(entry.path),
      expected: `a :parameter for the operation ${operation}`,
    },
  ];
}

function sharesMethod(one: RouteEntry, other: RouteEntry): boolean {
  return one.methods.some(method => other.methods.includes(method));
}

const needsParameter: ReadonlySet<Operation> = new Set<Operation>([
  'read',
  'update',
  'delete',
  'list-children',
  'create-child',
  'odata-item',
]);
