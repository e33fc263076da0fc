/** The package as others get it: what is in the tarball, and that it installs, compiles and runs where nothing else is. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { publint } from 'publint';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildCli } from '../support/built-cli.ts';
import { until } from '../support/until.ts';

const root = path.resolve(import.meta.dirname, '../..');
const run = promisify(execFile);

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

let directory: string;
let packed: Packed;
/** An empty project, with the package installed in it. */
let project: string;

beforeAll(async () => {
  await buildCli();
  directory = await mkdtemp(path.join(tmpdir(), 'keyturn-package-'));
  const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', directory];
  [packed] = JSON.parse((await run('npm', pack, { cwd: root })).stdout) as [Packed];
  project = path.join(directory, 'project');
  await mkdir(project);
  await writeFile(path.join(project, 'package.json'), '{ "private": true, "type": "module" }');
  const install = ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
  await run('npm', [...install, path.join(directory, packed.filename)], { cwd: project });
}, 180_000);
afterAll(() => rm(directory, { recursive: true, force: true }));

describe('the tarball', () => {
  it('holds what runs, its types, its configuration, and nothing else', () => {
    const files = packed.files.map(file => file.path);
    const expected =
      /^(?:dist\/.+\.js|dist\/.+\.d\.ts|config\/(?:features|controllers)\.json|package\.json|README\.md|CHANGELOG\.md)$/;
    expect(files.filter(file => !expected.test(file))).toEqual([]);
    expect(files).toEqual(expect.arrayContaining(['dist/cli/main.js', 'config/features.json', 'README.md']));
  });

  it('says in its package.json what is true of it', async () => {
    const tarball = (await readFile(path.join(directory, packed.filename))).buffer;
    const { messages } = await publint({ pack: { tarball }, strict: true });
    expect(messages).toEqual([]);
  });
});

describe('in an empty project', () => {
  it.each([
    [
      'keyturn',
      [
        'ConfigurationError',
        'StoreUnavailable',
        'VaultError',
        'WrongSecrets',
        'createLogger',
        'formatProblems',
        'loadSettings',
        'openService',
      ],
    ],
    ['keyturn/client', ['TokenRefused', 'TokenUnavailable', 'createTokenClient']],
    ['keyturn/koa', ['createGuard', 'grantedCaller']],
    ['keyturn/express', ['createGuard', 'grantedCaller']],
    ['keyturn/fetch', ['createGuard']],
  ])('%s gives %j', async (name, expected) => {
    const script = `import('${name}').then(module => console.log(JSON.stringify(Object.keys(module).sort())))`;
    const { stdout } = await run(process.execPath, ['-e', script], { cwd: project });
    expect(JSON.parse(stdout)).toEqual(expected);
  });

  it('gives nothing that is not meant to be had', async () => {
    const script = "import('keyturn/dist/compose.js').catch(error => console.log(error.code))";
    const { stdout } = await run(process.execPath, ['-e', script], { cwd: project });
    expect(stdout.trim()).toBe('ERR_PACKAGE_PATH_NOT_EXPORTED');
  });

  it.each([
    ['NodeNext', 'NodeNext'],
    ['ESNext', 'Bundler'],
  ])('compiles under modules of the kind %s, resolved as %s', async (module, moduleResolution) => {
    await lendTypes(project);
    await copyFile(path.join(import.meta.dirname, 'project/consumer.ts'), path.join(project, 'consumer.ts'));
    const compilerOptions = {
      module,
      moduleResolution,
      target: 'ES2023',
      lib: ['ES2023'],
      types: ['node'],
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
    };
    await writeFile(
      path.join(project, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, files: ['consumer.ts'] }),
    );
    const tsc = path.join(root, 'node_modules/.bin/tsc');
    const compiling = run(tsc, ['-p', project]).catch((error: { stdout: string }) => error);
    expect((await compiling).stdout).toBe('');
  });

  it('runs the service with what comes with it, and a key opens it', async () => {
    const program = path.join(project, 'node_modules/.bin/keyturn');
    const serving = spawn(program, ['serve'], {
      cwd: project,
      env: { PATH: process.env['PATH'], KEYTURN_PORT: '0' },
    });
    let [stdout, stderr] = ['', ''];
    serving.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    serving.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const ended = once(serving, 'exit');
    try {
      await until('keyturn serves', () => /^Keyturn serves on/m.test(stderr));
      const url = /Keyturn serves on (\S+)/.exec(stderr)?.[1] ?? '';
      const [, sampleKey = ''] = stdout.match(/kt_\w+/g) ?? [];
      const body = new URLSearchParams({ grant_type: 'client_credentials', client_secret: sampleKey });
      const answer = await fetch(`${url}/oauth/token`, { method: 'POST', body });
      expect(answer.status).toBe(200);
    } finally {
      serving.kill('SIGTERM');
      await ended;
    }
    expect(serving.exitCode).toBe(0);
  });
});

/** The types that a project with TypeScript has: Node's, and those of the frameworks that it uses. */
async function lendTypes(to: string): Promise<void> {
  const place = path.join(to, 'node_modules/@types');
  await mkdir(place, { recursive: true });
  const [ours, theirs] = await Promise.all(
    [path.join(root, 'node_modules/@types'), place].map(each => readdir(each)),
  );
  const lent = ours?.filter(name => theirs?.includes(name) !== true) ?? [];
  const links = lent.map(name => [`@types/${name}`, path.join(place, name)] as const);
  const undici = path.join(to, 'node_modules/undici-types');
  const isThere = await readdir(undici).catch(() => undefined);
  for (const [name, link] of [...links, ...(isThere ? [] : [['undici-types', undici] as const])]) {
    await symlink(path.join(root, 'node_modules', name), link);
  }
}
