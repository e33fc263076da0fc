/**
 * The only place that reads the service's environment: settings and catalogue, checked as a whole and frozen, or every
 * problem at once.
 */
import { fileURLToPath } from 'node:url';
import type { Catalogue } from './catalogue.ts';
import { checkSettings, findWarnings } from './check-settings.ts';
import { freezeDeeply } from './frozen.ts';
import { readJson } from './json-text.ts';
import { parseCatalogue } from './parse-catalogue.ts';
import { ConfigurationError, showValue, type Problem } from './problems.ts';
import { type FileContent, readFileWithMode, tryRead, type ReadFile } from './read-file.ts';
import type { Settings } from './settings.ts';
import { gatherSources, placeOf, type ConfigFile, type Sources } from './sources.ts';

export interface LoadedSettings {
  readonly settings: Settings;
  readonly catalogue: Catalogue;
  /** What works, and will surprise: a sentence each. */
  readonly warnings: readonly string[];
}

/** @throws {ConfigurationError} with every problem there is */
export function loadSettings(env: NodeJS.ProcessEnv, readFile: ReadFile = readFileWithMode): LoadedSettings {
  const path = env['KEYTURN_CONFIG'] ?? '';
  const config = path === '' ? { problems: [] } : parseFile('KEYTURN_CONFIG', readAt(path, readFile));
  const isReadable = config.problems.length === 0;
  const gathered = gatherSources(env, config.file, readFile);
  const checked = checkSettings(gathered.sources, isReadable);
  const wanted = isReadable ? checked.sound : onlyGiven(checked.sound, gathered.sources);
  const found = readCatalogue(wanted, readFile);
  const isOwn = isOwnCatalogue(found, gathered.sources);
  const files = isOwn ? found : readCatalogue(packagedCatalogue, readFile);
  const { catalogue, ...loaded } = checkCatalogue(files, gathered.sources);
  const problems = [config, gathered, checked, loaded].flatMap(part => part.problems);
  const { settings } = checked;
  if (problems.length > 0 || !settings || !catalogue) throw new ConfigurationError(problems);
  const warnings = [...findWarnings(settings), ...(isOwn ? [] : [usesPackagedCatalogue])];
  return freezeDeeply({ settings, catalogue, warnings });
}

/** A file, or in a word why there is none. */
interface Reading {
  readonly path: string;
  readonly content: FileContent | string;
}

function readAt(path: string, readFile: ReadFile): Reading {
  return { path, content: tryRead(path, readFile) };
}

type CatalogueFile = 'features' | 'controllers';

/** Undefined where nobody knows the path. */
type CatalogueFiles = Readonly<Record<CatalogueFile, Reading | undefined>>;

function readCatalogue(paths: Partial<Record<CatalogueFile, string>>, readFile: ReadFile): CatalogueFiles {
  const read = (path: string | undefined) => (path === undefined ? undefined : readAt(path, readFile));
  return { features: read(paths.features), controllers: read(paths.controllers) };
}

/** Whether somebody names a file of the catalogue, or one is where it is by default. */
function isOwnCatalogue(files: CatalogueFiles, sources: Sources): boolean {
  return (['features', 'controllers'] as const).some(
    name => files[name] === undefined || sources.has(name) || files[name].content !== 'ENOENT',
  );
}

/** What comes with Keyturn, wherever it is installed. */
const packagedCatalogue = {
  features: fileURLToPath(new URL('../../config/features.json', import.meta.url)),
  controllers: fileURLToPath(new URL('../../config/controllers.json', import.meta.url)),
};

const usesPackagedCatalogue =
  'there is no config/features.json and no config/controllers.json here: the catalogue that comes with Keyturn is used';

/** While the file of settings cannot be read, nobody knows whether a default holds. */
function onlyGiven(settings: Partial<Settings>, sources: Sources): Partial<Settings> {
  return Object.fromEntries(Object.entries(settings).filter(([name]) => sources.has(name)));
}

function checkCatalogue(
  files: CatalogueFiles,
  sources: Sources,
): { catalogue?: Catalogue; problems: Problem[] } {
  const parse = (name: CatalogueFile): ParsedFile => {
    const reading = files[name];
    return reading === undefined ? { problems: [] } : parseFile(placeOf(name, sources), reading);
  };
  const features = parse('features');
  const controllers = parse('controllers');
  const { catalogue, problems } = parseCatalogue(features.file, controllers.file);
  return {
    ...(catalogue && { catalogue }),
    problems: [...features.problems, ...controllers.problems, ...problems],
  };
}

interface ParsedFile {
  readonly file?: ConfigFile;
  readonly problems: Problem[];
}

function parseFile(where: string, { path, content }: Reading): ParsedFile {
  if (typeof content === 'string') {
    return {
      problems: [
        { where, was: `${showValue(path)}: ${content}`, expected: 'the path of a readable JSON file' },
      ],
    };
  }
  const reading = readJson(content.text);
  if ('value' in reading) return { file: { path, value: reading.value, mode: content.mode }, problems: [] };
  const { line, column, expected } = reading.mistake;
  return { problems: [{ where: `${path}:${line}:${column}`, expected }] };
}
