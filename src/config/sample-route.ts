/** What a first key may be for: a feature of the catalogue, and a call that shows it at work. */
import { containsScope } from '../protocol/scope.ts';
import type { Catalogue, Feature, Route } from './catalogue.ts';

export interface Sample {
  readonly feature: string;
  /** Of a `GET` that a key of the feature may do; undefined where it may do none without knowing more. */
  readonly path: string | undefined;
}

/** Of the features for keys the first that can be shown at work, or the first; undefined where there is none. */
export function findSample(catalogue: Catalogue): Sample | undefined {
  const features = [...catalogue.features.values()].filter(
    ({ role, requiredCustomData }) => role === undefined && requiredCustomData.length === 0,
  );
  const samples = features.map(feature => ({ feature: feature.name, path: findPath(feature, catalogue) }));
  return samples.find(({ path }) => path !== undefined) ?? samples[0];
}

function findPath(feature: Feature, { controllers }: Catalogue): string | undefined {
  const scopes = new Set(feature.scopes);
  const isPlain = ({ methods, path, scope, graphqlPath }: Route) =>
    methods.includes('GET') && !/[:*]/.test(path) && containsScope(scopes, scope) && !graphqlPath;
  return [...controllers.values()]
    .filter(({ name, doors, audience, elsewhere }) => {
      const isOpen = doors.includes('bearer') && audience === undefined && elsewhere === undefined;
      return isOpen && feature.controllers.includes(name);
    })
    .flatMap(({ routes }): readonly Route[] => routes)
    .find(isPlain)?.path;
}
