/** Decides which source a setting comes from: the environment, else the file that KEYTURN_CONFIG names. */
import { memberOf } from './json-value.ts';
import { nameType, pointerTo, suggestName, type Problem } from './problems.ts';
import type { ReadFile } from './read-file.ts';
import { readSecretFile, refuseOpenMode } from './secret-file.ts';
import { settingsSchema, type SettingName } from './settings.ts';

/** What was given for a setting and where. `faulty`: something was, and what is wrong with it has been said. */
export type Source = GivenValue | 'faulty';

/** By the names of the settings. */
export type Sources = ReadonlyMap<string, Source>;

export interface GivenValue {
  readonly where: string;
  readonly value: unknown;
  /** The list stood there as one text: its items have no place of their own. */
  readonly isSplit?: boolean;
}

export interface ConfigFile {
  readonly path: string;
  readonly value: unknown;
  readonly mode: number;
}

/** The environment variable of a setting. */
export function variableOf(setting: string): string {
  return variableFor(memberName(setting));
}

/** Where the setting was given, else its environment variable. */
export function placeOf(setting: SettingName, sources: Sources): string {
  const source = sources.get(setting);
  return source === undefined || source === 'faulty' ? variableOf(setting) : source.where;
}

/** One entry for each setting that was given. Names that nobody knows are problems. */
export function gatherSources(
  env: NodeJS.ProcessEnv,
  file: ConfigFile | undefined,
  readFile: ReadFile,
): { sources: Sources; problems: Problem[] } {
  const problems = [...findUnknownVariables(env), ...(file === undefined ? [] : checkFile(file))];
  const origins = [environmentOrigin(env), ...(file === undefined ? [] : [fileOrigin(file)])];
  const sources = new Map<SettingName, Source>();
  for (const setting of SETTINGS) {
    const source = isSecret(setting)
      ? readSecret(setting, origins, readFile, problems)
      : readPlain(setting, origins);
    if (source !== undefined) sources.set(setting, source);
  }
  return { sources, problems };
}

interface Origin {
  readonly label: (member: string) => string;
  readonly read: (member: string) => unknown;
}

type Secret = 'peppers' | 'masterKey';

const properties = settingsSchema.properties;
const SETTINGS = Object.keys(properties).filter(name => isSetting(name));
const MEMBERS = [...SETTINGS.map(memberName), 'pepperFile', 'masterKeyFile'];
const VARIABLES = MEMBERS.map(variableFor);

/** Read elsewhere: by the loader, and by the command line when it talks to a server. */
const OTHER_VARIABLES = ['KEYTURN_CONFIG', 'KEYTURN_URL', 'KEYTURN_API_KEY'];

function findUnknownVariables(env: NodeJS.ProcessEnv): Problem[] {
  const known = [...VARIABLES, ...OTHER_VARIABLES];
  return Object.keys(env)
    .filter(name => name.startsWith('KEYTURN_') && !known.includes(name))
    .map(name => ({ where: name, was: 'unknown', expected: `${hintFor(name)}${suggestName(name, known)}` }));
}

/** Docker links and Kubernetes give every container such variables for a service that is named keyturn. */
function hintFor(name: string): string {
  const isServiceLink = /^KEYTURN_(SERVICE_(HOST|PORT)|PORT_\d+_)/.test(name);
  return isServiceLink
    ? 'nothing: Kubernetes sets it for a service named keyturn (set enableServiceLinks: false)'
    : 'a setting of docs/settings.md';
}

function checkFile(file: ConfigFile): Problem[] {
  const { path, value } = file;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return [{ where: pointerTo(path), was: nameType(value), expected: 'an object' }];
  }
  const unknown = Object.keys(value).filter(name => !MEMBERS.includes(name));
  return [
    ...unknown.map(name => ({
      where: pointerTo(path, name),
      was: 'unknown',
      expected: `a setting of docs/settings.md${suggestName(name, MEMBERS)}`,
    })),
    ...checkFileMode(file),
  ];
}

function checkFileMode({ path, value, mode }: ConfigFile): Problem[] {
  const redisUrl = memberOf(value, 'redisUrl');
  const secrets = ['pepper', 'masterKey'].filter(name => memberOf(value, name) !== undefined);
  if (typeof redisUrl === 'string' && /@|password=/i.test(redisUrl)) secrets.push('redisUrl');
  return secrets.flatMap(name => refuseOpenMode(pointerTo(path, name), path, mode));
}

function environmentOrigin(env: NodeJS.ProcessEnv): Origin {
  return {
    label: variableFor,
    read: member => {
      const text = env[variableFor(member)];
      return text === undefined || text === '' ? undefined : parseText(member, text);
    },
  };
}

function parseText(member: string, text: string): unknown {
  const type = memberOf(memberOf(properties, member), 'type');
  return type === 'integer' && /^-?\d{1,15}$/.test(text) ? Number(text) : text;
}

function fileOrigin({ path, value }: ConfigFile): Origin {
  return { label: member => pointerTo(path, member), read: member => memberOf(value, member) };
}

function readPlain(setting: SettingName, origins: readonly Origin[]): Source | undefined {
  const origin = origins.find(({ read }) => read(setting) !== undefined);
  if (origin === undefined) return undefined;
  const value = origin.read(setting);
  const where = origin.label(setting);
  return isList(setting) && typeof value === 'string'
    ? { where, value: splitList(value), isSplit: true }
    : { where, value };
}

function readSecret(
  setting: Secret,
  origins: readonly Origin[],
  readFile: ReadFile,
  problems: Problem[],
): Source | undefined {
  const member = memberName(setting);
  const origin = origins.find(({ read }) => [member, `${member}File`].some(name => read(name) !== undefined));
  if (origin === undefined) return undefined;
  const found = chooseSecret(origin, member, readFile);
  if ('expected' in found) {
    problems.push(found);
    return 'faulty';
  }
  return setting === 'peppers' && typeof found.value === 'string'
    ? splitPeppers(found.where, found.value)
    : found;
}

function chooseSecret(origin: Origin, member: string, readFile: ReadFile): Problem | GivenValue {
  const value = origin.read(member);
  const path = origin.read(`${member}File`);
  const where = origin.label(`${member}File`);
  if (path === undefined) return { where: origin.label(member), value };
  if (value === undefined) return readSecretFile(where, path, readFile);
  return {
    where,
    was: 'given besides the secret itself',
    expected: `only one of it and ${origin.label(member)}`,
  };
}

function splitPeppers(where: string, text: string): GivenValue {
  return { where, value: text.split(/[\s,]+/).filter(nonEmpty), isSplit: true };
}

function splitList(text: string): string[] {
  return text
    .split(',')
    .map(item => item.trim())
    .filter(nonEmpty);
}

function nonEmpty(text: string): boolean {
  return text !== '';
}

function isSetting(name: string): name is SettingName {
  return Object.hasOwn(properties, name);
}

function isSecret(setting: SettingName): setting is Secret {
  return setting === 'peppers' || setting === 'masterKey';
}

function isList(setting: SettingName): boolean {
  return memberOf(properties[setting], 'type') === 'array';
}

/** One pepper is the rule, so that the setting bears the singular; the settings hold the list. */
function memberName(setting: string): string {
  return setting === 'peppers' ? 'pepper' : setting;
}

function variableFor(member: string): string {
  return `KEYTURN_${member.replace(/[A-Z]/g, letter => `_${letter}`).toUpperCase()}`;
}
