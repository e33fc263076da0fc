/**
 * The plan of the source, as docs/architecture.md draws it: who may see whom, what each folder may take from outside,
 * where the environment and the clock are read, and how files are named.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeFile, type Import, readSourceFiles, type SourceFile } from './support/source-files.ts';

interface Part {
  /** It sees lower layers and itself; parts of one layer never see each other. */
  readonly layer: number;
  /** Packages it may load. */
  readonly packages?: readonly string[];
  /** Packages of which it may name types. */
  readonly types?: readonly string[];
  /** Parts of its own layer of which it may name types: what it is handed, never what it makes. */
  readonly siblingTypes?: readonly string[];
  /** Whether it runs where there is no Node. */
  readonly isPortable?: boolean;
}

const parts: Readonly<Record<string, Part>> = {
  protocol: { layer: 0 },
  access: { layer: 1, packages: ['jose'] },
  store: { layer: 1, packages: ['lmdb', 'ioredis', 'cluster-key-slot'] },
  client: { layer: 1, isPortable: true },
  config: { layer: 1, packages: ['ajv', 'typebox'] },
  issuer: { layer: 2, packages: ['jose', 'lru-cache', 'typebox'] },
  middleware: { layer: 2, packages: ['jose'], types: ['koa'] },
  gateway: { layer: 3 },
  server: {
    layer: 3,
    packages: ['koa', '@koa/router', 'ajv', 'ajv-formats', 'typebox', 'pino', 'prom-client'],
    siblingTypes: ['gateway'],
  },
  wiring: { layer: 4, types: ['pino'] },
  'compose.ts': { layer: 5, types: ['pino'] },
  cli: { layer: 6, packages: ['commander'] },
  'index.ts': { layer: 6 },
};

const root = path.resolve(import.meta.dirname, '../src');
const files = readSourceFiles(root);
const paths = new Set(files.map(file => file.path));

describe('the layers', () => {
  it('have a place for every part of the source', () => {
    expect([...new Set(files.map(file => file.part))].filter(part => parts[part] === undefined)).toEqual([]);
    expect(Object.keys(parts).filter(part => !existsSync(path.join(root, part)))).toEqual([]);
  });

  it('are seen from above alone', () => {
    expect(breaches(seesUpOrAside)).toEqual([]);
  });

  it('go round in no circle, not even by types', () => {
    expect(findCircles(files)).toEqual([]);
  });

  it('name their files in full', () => {
    expect(breaches((_file, { file }) => file !== undefined && !paths.has(file))).toEqual([]);
  });
});

describe('the packages', () => {
  it('are those that each part may have', () => {
    expect(breaches(exceedsBudget)).toEqual([]);
  });

  it('are all used by a part that may have them', () => {
    const used = new Set(
      files.flatMap(({ part, imports }) => imports.map(({ specifier }) => `${part} ${packageOf(specifier)}`)),
    );
    const granted = Object.entries(parts).flatMap(([part, { packages = [], types = [] }]) =>
      [...packages, ...types].map(name => `${part} ${name}`),
    );
    expect(granted.filter(grant => !used.has(grant))).toEqual([]);
  });
});

describe('what others install', () => {
  const entries: [string, string[]][] = [
    ['client/index.ts', []],
    ['middleware/koa.ts', ['jose']],
    ['middleware/express.ts', ['jose']],
    ['middleware/fetch.ts', ['jose']],
  ];

  it.each(entries)('%s loads %j, and nothing of Node', (entry, packages) => {
    const loaded = closureOf(entry);
    const outside = loaded.flatMap(({ imports }) =>
      imports.filter(({ file, isType }) => file === undefined && !isType).map(({ specifier }) => specifier),
    );
    expect([...new Set(outside)].sort()).toEqual(packages);
    const ofNode = /\b(?:Buffer|process|(?<!declare )global|setImmediate|require|__dirname)\b(?!['"`:?])/;
    expect(loaded.filter(({ code }) => ofNode.test(withoutTexts(code))).map(file => file.path)).toEqual([]);
  });
});

describe('the surroundings', () => {
  it.each([
    ['the environment', /\bprocess\s*(?:\.\s*env\b|\[)|\benv\b[^;]*\bfrom 'node:process'/, ['cli/main.ts']],
    [
      'the clock',
      /\bDate\s*\.\s*now\b|\bnew\s+Date\s*\(\s*\)|\bDate\s*\(\s*\)/,
      ['compose.ts', 'cli/', 'client/clock.ts', 'middleware/resource-server.ts'],
    ],
  ])('hand in %s, in one place', (_what, pattern, allowed) => {
    const readers = files.filter(({ code }) => pattern.test(code)).map(file => file.path);
    expect(readers.filter(reader => !allowed.some(place => reader.startsWith(place)))).toEqual([]);
  });
});

describe('the files', () => {
  const folders = new Set(files.flatMap(file => path.posix.dirname(file.path).split('/')));
  const names = files.map(file => path.posix.basename(file.path));

  it('have names in kebab case, in TypeScript', () => {
    expect(names.filter(name => !/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*(?:\.d)?\.ts$/.test(name))).toEqual([]);
  });

  it('are named for what they own', () => {
    const vague = /(?:^|-)(?:utils?|helpers?|common|managers?)(?:-|\.|$)/;
    expect([...folders, ...names].filter(name => vague.test(name))).toEqual([]);
  });

  it('open with a comment that says what they own', () => {
    const opening = /^(?:#!.*\n)?\/\*\*[\s*]+[\p{L}`][^\n]{15,}/u;
    expect(files.filter(({ text }) => !opening.test(text)).map(file => file.path)).toEqual([]);
  });
});

describe('the scanner', () => {
  it('sees every way to import', () => {
    const text = `
import { a,
  b } from './one.ts';
import type { C } from '../two.ts';
import { type D } from 'three';
import four, * as five from 'four/deep';
import 'five';
export * from './six.ts';
export type { E } from '@scope/seven/deep';
export const text = ' from nowhere';
// import './not.ts';
/**
 * import('./neither.ts')
 */
const later = await import('node:eight');
`;
    const { imports } = describeFile('folder/file.ts', text);
    expect(imports.map(({ specifier, isType, file }) => [specifier, isType, file])).toEqual([
      ['./one.ts', false, 'folder/one.ts'],
      ['../two.ts', true, 'two.ts'],
      ['three', false, undefined],
      ['four/deep', false, undefined],
      ['five', false, undefined],
      ['./six.ts', false, 'folder/six.ts'],
      ['@scope/seven/deep', true, undefined],
      ['node:eight', false, undefined],
    ]);
    expect(packageOf('@scope/seven/deep')).toBe('@scope/seven');
    expect(() => describeFile('a.ts', 'await import(name)')).toThrow('cannot be told');
  });

  it('sees circles, of types too, and what breaks the rules', () => {
    const circle = [
      describeFile('issuer/a.ts', "import type { B } from './b.ts';"),
      describeFile('issuer/b.ts', "import './c.ts';"),
      describeFile('issuer/c.ts', "import './a.ts';\nimport '../protocol/d.ts';"),
      describeFile('protocol/d.ts', ''),
    ];
    expect(findCircles(circle)).toEqual(['issuer/a.ts → issuer/b.ts → issuer/c.ts → issuer/a.ts']);
    const judge = (from: string, code: string) => {
      const file = describeFile(from, code);
      return file.imports.map(imported => seesUpOrAside(file, imported) || exceedsBudget(file, imported));
    };
    expect(judge('access/a.ts', "import type { S } from '../store/store.ts';")).toEqual([true]);
    expect(judge('issuer/a.ts', "import '../store/store.ts';\nimport '../server/app.ts';")).toEqual([
      false,
      true,
    ]);
    expect(judge('server/a.ts', "import type { C } from '../gateway/c.ts';")).toEqual([false]);
    expect(judge('server/a.ts', "import { C } from '../gateway/c.ts';")).toEqual([true]);
    expect(judge('middleware/a.ts', "import type { C } from 'koa';")).toEqual([false]);
    expect(judge('middleware/a.ts', "import { type C } from 'koa';")).toEqual([true]);
    expect(judge('client/a.ts', "import 'node:crypto';")).toEqual([true]);
  });
});

type Rule = (file: SourceFile, imported: Import) => boolean;

/** Every import that breaks a rule, as `a.ts → b.ts`. */
function breaches(isBroken: Rule): string[] {
  return files.flatMap(file =>
    file.imports
      .filter(imported => isBroken(file, imported))
      .map(({ specifier, file: target }) => `${file.path} → ${target ?? specifier}`),
  );
}

function seesUpOrAside({ part }: SourceFile, { file, isType }: Import): boolean {
  if (file === undefined) return false;
  const target = file.split('/', 1)[0] ?? '';
  if (target === part) return false;
  if (isType && parts[part]?.siblingTypes?.includes(target) === true) return false;
  return (parts[target]?.layer ?? Infinity) >= (parts[part]?.layer ?? -Infinity);
}

function exceedsBudget({ part }: SourceFile, { file, specifier, isType }: Import): boolean {
  if (file !== undefined) return false;
  const { packages = [], types = [], isPortable = false } = parts[part] ?? {};
  if (specifier.startsWith('node:')) return isPortable;
  const name = packageOf(specifier);
  return !packages.includes(name) && !(isType && types.includes(name));
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** The file, and all that it has loaded when it runs. */
function closureOf(entry: string): SourceFile[] {
  const found = new Set<string>([entry]);
  for (const name of found) {
    const file = files.find(({ path: other }) => other === name);
    for (const { file: target, isType } of file?.imports ?? []) {
      if (target !== undefined && !isType) found.add(target);
    }
  }
  return files.filter(({ path: name }) => found.has(name));
}

/** What is in quotes names nothing. */
function withoutTexts(code: string): string {
  return code.replaceAll(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g, "''");
}

/** Each circle once, from where the walk met it, as `a → b → a`. */
function findCircles(all: readonly SourceFile[]): string[] {
  const targets = new Map(
    all.map(file => [file.path, file.imports.flatMap(imported => imported.file ?? [])]),
  );
  const circles: string[] = [];
  const done = new Set<string>();
  const walk = (at: string, way: readonly string[]): void => {
    if (way.includes(at)) circles.push([...way.slice(way.indexOf(at)), at].join(' → '));
    if (way.includes(at) || done.has(at)) return;
    for (const target of targets.get(at) ?? []) walk(target, [...way, at]);
    done.add(at);
  };
  for (const { path: start } of all) walk(start, []);
  return circles;
}
