/** Reads the source tree: each file with what it imports. A scanner for this project's own style, not for any code. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

export interface SourceFile {
  /** From `src/`, as `server/routes/health.ts`. */
  readonly path: string;
  /** Its topmost folder; for a file right in `src/`, its own name. */
  readonly part: string;
  readonly text: string;
  /** The text without comments that have lines of their own. */
  readonly code: string;
  readonly imports: readonly Import[];
}

export interface Import {
  /** As it stands there. */
  readonly specifier: string;
  /** `import type` or `export type`: gone when the code runs. Under verbatimModuleSyntax `{ type X }` is not. */
  readonly isType: boolean;
  /** For a relative import, the file from `src/`; else undefined. */
  readonly file: string | undefined;
}

export function readSourceFiles(root: string): SourceFile[] {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(name =>
    /\.[cm]?[jt]sx?$/.test(name),
  );
  return names.sort().map(name => describeFile(name, readFileSync(path.join(root, name), 'utf8')));
}

export function describeFile(name: string, text: string): SourceFile {
  const code = withoutComments(text);
  return { path: name, part: name.split('/', 1)[0] ?? '', text, code, imports: findImports(name, code) };
}

function withoutComments(text: string): string {
  return text.replaceAll(/^[ \t]*\/\*[\s\S]*?\*\/[ \t]*$/gm, '').replaceAll(/^[ \t]*\/\/.*$/gm, '');
}

function findImports(name: string, code: string): Import[] {
  const statements = code.matchAll(/^(?:import|export)\s+(type\s+)?(?:[\w$*{},\s]+?\sfrom\s+)?'([^']+)'/gm);
  const calls = code.matchAll(/\bimport\(\s*('?)([^')]*)/g);
  return [
    ...Array.from(statements, ([, type, specifier = '']) =>
      describeImport(name, specifier, type !== undefined),
    ),
    ...Array.from(calls, ([, quote, specifier = '']) => {
      if (quote === '')
        throw new Error(`${name} imports what cannot be told from its text: import(${specifier})`);
      return describeImport(name, specifier, false);
    }),
  ];
}

function describeImport(from: string, specifier: string, isType: boolean): Import {
  const file = specifier.startsWith('.') ? path.posix.join(path.posix.dirname(from), specifier) : undefined;
  return { specifier, isType, file };
}
