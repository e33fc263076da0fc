/** Turns the JSON of features.json and controllers.json into the catalogue, or into every problem in them. */
import {
  ROLES,
  SERVICE_CONTROLLERS,
  inferOperation,
  type Catalogue,
  type CollectionRoute,
  type Controller,
  type Feature,
  type UpstreamRoute,
} from './catalogue.ts';
import {
  controllerHeadSchema,
  controllersFileSchema,
  featureSchema,
  featuresFileSchema,
  routeSchema,
  type ControllerEntry,
  type FeatureEntry,
  type RouteEntry,
} from './catalogue-schema.ts';
import {
  checkControllers,
  checkRouteOrder,
  checkRoutes,
  type Located,
  type LocatedRoute,
} from './check-controllers.ts';
import { compileSchema, type Checker, type Fault } from './check-schema.ts';
import { itemsOf, memberOf } from './json-value.ts';
import { pointerTo, showValue, suggestName, type Problem } from './problems.ts';

export interface JsonFile {
  /** As the report names it. */
  readonly path: string;
  readonly value: unknown;
}

/**
 * A file that could not be read is undefined: what refers to it goes unchecked.
 * The catalogue is there if there are no problems.
 */
export function parseCatalogue(
  features: JsonFile | undefined,
  controllers: JsonFile | undefined,
): { catalogue?: Catalogue; problems: Problem[] } {
  const problems = [
    ...(features === undefined ? [] : checkFeaturesFile(features, controllers)),
    ...(controllers === undefined ? [] : checkControllersFile(controllers)),
  ];
  if (problems.length > 0) return { problems };
  return { catalogue: buildCatalogue(features?.value, controllers?.value), problems };
}

const featuresFile = compileSchema(featuresFileSchema);
const featureEntry = compileSchema(featureSchema);
const controllersFile = compileSchema(controllersFileSchema);
const controllerHead = compileSchema(controllerHeadSchema);
const routeEntry = compileSchema(routeSchema);

function checkFeaturesFile(file: JsonFile, controllers: JsonFile | undefined): Problem[] {
  const list = itemsOf(memberOf(file.value, 'features'));
  const features = soundEntries(featureEntry, file, list, ['features']);
  const known = controllers && namesIn(itemsOf(memberOf(controllers.value, 'controllers')));
  return [
    ...featuresFile.findFaults(file.value).map(fault => locateFault(file, fault)),
    ...checkNames(file, 'features', list),
    ...checkRoles(file, list),
    ...(known === undefined ? [] : features.flatMap(feature => checkReferences(feature, known))),
  ];
}

function checkControllersFile(file: JsonFile): Problem[] {
  const list = itemsOf(memberOf(file.value, 'controllers'));
  const routes = list.flatMap((controller, index) => locateRoutes(file, controller, index));
  return [
    ...controllersFile.findFaults(file.value).map(fault => locateFault(file, fault)),
    ...checkNames(file, 'controllers', list),
    ...checkAudiences(file),
    ...checkControllers(soundEntries(controllerHead, file, list, ['controllers'])),
    ...checkRoutes(routes),
    ...checkRouteOrder(routes),
  ];
}

function locateFault(file: JsonFile, { path, ...fault }: Fault): Problem {
  return { where: pointerTo(file.path, ...path), ...fault };
}

/** Names that differ in case alone count as one: nobody could tell them apart. */
function checkNames(file: JsonFile, list: string, entries: readonly unknown[]): Problem[] {
  const names = entries.map(entry => memberOf(entry, 'name'));
  const folded = names.map(name => (typeof name === 'string' ? name.toLowerCase() : undefined));
  return names.flatMap((name, index) => {
    if (folded[index] === undefined || folded.indexOf(folded[index]) === index) return [];
    return [
      {
        where: pointerTo(file.path, list, index, 'name'),
        was: showValue(name),
        expected: 'a name of its own',
      },
    ];
  });
}

/** Each audience once. Unlike names, audiences are told apart by case: they are compared by characters everywhere. */
function checkAudiences(file: JsonFile): Problem[] {
  const audiences = itemsOf(memberOf(file.value, 'audiences')).map(entry => memberOf(entry, 'audience'));
  return audiences.flatMap((audience, index) => {
    if (audience === undefined || audiences.indexOf(audience) === index) return [];
    const where = pointerTo(file.path, 'audiences', index, 'audience');
    return [{ where, was: showValue(audience), expected: 'an audience that does not stand above' }];
  });
}

function checkRoles(file: JsonFile, entries: readonly unknown[]): Problem[] {
  if (!Array.isArray(memberOf(file.value, 'features'))) return [];
  const expected = 'exactly one feature for each role';
  const roles = entries.map(entry => memberOf(entry, 'role'));
  const missing = ROLES.filter(role => !roles.includes(role)).map(role => {
    return { where: pointerTo(file.path, 'features'), was: `no feature with the role ${role}`, expected };
  });
  const repeated = roles.flatMap((role, index) => {
    if (role === undefined || roles.indexOf(role) === index) return [];
    return [{ where: pointerTo(file.path, 'features', index, 'role'), was: showValue(role), expected }];
  });
  return [...missing, ...repeated];
}

function checkReferences({ entry, at }: Located<FeatureEntry>, declared: readonly string[]): Problem[] {
  const names = [...declared, ...SERVICE_CONTROLLERS];
  return entry.controllers.flatMap((name, index) => {
    if (names.includes(name) || name.startsWith('GraphQL:')) return [];
    const expected = `a controller of the controllers file, or one of the service's own${suggestName(name, names)}`;
    return [{ where: at('controllers', index), was: showValue(name), expected }];
  });
}

function locateRoutes(file: JsonFile, controller: unknown, index: number): LocatedRoute[] {
  const head = controllerHead.accepts(controller) ? controller : undefined;
  const list = itemsOf(memberOf(controller, 'routes'));
  const routes = soundEntries(routeEntry, file, list, ['controllers', index, 'routes']);
  return routes.map(({ entry, at }) => ({ entry, at, controller: head }));
}

/** The entries whose form the checks beyond the schema can rely on. */
function soundEntries<Entry>(
  checker: Checker<Entry>,
  file: JsonFile,
  list: readonly unknown[],
  way: readonly (string | number)[],
): Located<Entry>[] {
  return list.flatMap((entry, index) => {
    if (!checker.accepts(entry)) return [];
    return [{ entry, at: (...parts) => pointerTo(file.path, ...way, index, ...parts) }];
  });
}

function namesIn(entries: readonly unknown[]): string[] {
  return entries.map(entry => memberOf(entry, 'name')).filter(name => typeof name === 'string');
}

function buildCatalogue(features: unknown, controllers: unknown): Catalogue | undefined {
  if (!featuresFile.accepts(features) || !controllersFile.accepts(controllers)) return undefined;
  return {
    features: new Map(features.features.map(entry => [entry.name, buildFeature(entry)])),
    controllers: new Map(controllers.controllers.map(entry => [entry.name, buildController(entry)])),
    audiences: new Map((controllers.audiences ?? []).map(entry => [entry.audience, { ...entry }])),
  };
}

function buildFeature(entry: FeatureEntry): Feature {
  return { ...entry, requiredCustomData: entry.requiredCustomData ?? [] };
}

function buildController(entry: ControllerEntry): Controller {
  const { name, audience, upstream, forward, timeout, collection, routes = [] } = entry;
  const common = {
    name,
    audience,
    doors: entry.doors ?? ['bearer'],
    requireApiKey: entry.requireApiKey ?? false,
  };
  if (upstream !== undefined) {
    return { ...common, upstream, forward, timeout, routes: routes.map(buildUpstreamRoute) };
  }
  if (collection === undefined) return { ...common, elsewhere: true, routes: routes.map(buildUpstreamRoute) };
  return { ...common, collection, routes: routes.map(route => buildCollectionRoute(route, collection)) };
}

function buildUpstreamRoute({ methods, path, scope, graphqlPath }: RouteEntry): UpstreamRoute {
  return { methods, path, scope, graphqlPath: graphqlPath ?? false };
}

function buildCollectionRoute(entry: RouteEntry, collection: string): CollectionRoute {
  const operation = entry.operation ?? inferOperation(entry.methods, entry.path)!;
  return { ...buildUpstreamRoute(entry), collection: entry.collection ?? collection, operation };
}
