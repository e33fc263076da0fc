/** What the image promises: small, built without install scripts, not root, and it tells how it is. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { allOf, lastOf, parseDockerfile } from './dockerfile.ts';
import { probe } from './probe.ts';

const root = path.resolve(import.meta.dirname, '../..');
const stages = parseDockerfile(readFileSync(path.join(root, 'Dockerfile'), 'utf8'));
const [build, final] = stages;
if (build === undefined || final === undefined) throw new Error('the Dockerfile has no two stages');

describe('the build', () => {
  it('has two stages, both on the slim image of Node 24', () => {
    expect(stages).toHaveLength(2);
    for (const { image } of stages) expect(image).toMatch(/^node:24(?:\.\d+)*-(?:[a-z]+-)?slim$/);
  });

  it('installs exactly the lockfile, with install scripts blocked, and keeps production packages alone', () => {
    const commands = allOf(build, 'RUN').flatMap(text => text.split('&&').map(command => command.trim()));
    expect(commands).toEqual([
      'npm ci --ignore-scripts',
      'npm run build',
      'npm prune --omit=dev --ignore-scripts',
    ]);
  });

  it('copies the lockfile before the source, so that a change of source does not install again', () => {
    const names = build.instructions.map(({ name, text }) => `${name} ${text}`);
    expect(names.findIndex(line => line.startsWith('RUN npm ci'))).toBeLessThan(
      names.indexOf('COPY src ./src'),
    );
  });

  it('copies only what is there and what the build may see', () => {
    const seen = readFileSync(path.join(root, '.dockerignore'), 'utf8').split('\n');
    const sources = stages
      .flatMap(stage => allOf(stage, 'COPY'))
      .filter(text => !text.startsWith('--from='))
      .flatMap(text => text.split(/\s+/).slice(0, -1));
    expect(sources.filter(source => !existsSync(path.join(root, source)))).toEqual([]);
    expect(sources.filter(source => !seen.includes(`!${source}`))).toEqual([]);
    expect(seen).toContain('*');
  });
});

describe('the image', () => {
  it('takes from the build only what runs', () => {
    const taken = allOf(final, 'COPY').filter(text => text.startsWith('--from=build '));
    expect(taken.map(text => text.split(' ')[1])).toEqual([
      '/app/package.json',
      '/app/node_modules',
      '/app/dist',
    ]);
  });

  it('is not root, by number', () => {
    expect(lastOf(final, 'USER')).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  });

  it('runs the command line itself, so that signals reach it, and serves unless told otherwise', () => {
    expect(JSON.parse(lastOf(final, 'ENTRYPOINT') ?? '')).toEqual(['node', 'dist/cli/main.js']);
    expect(JSON.parse(lastOf(final, 'CMD') ?? '')).toEqual(['serve']);
  });

  it('holds no secret', () => {
    const set = [
      ...allOf(final, 'ENV'),
      ...allOf(final, 'ARG'),
      ...allOf(build, 'ENV'),
      ...allOf(build, 'ARG'),
    ];
    expect(set.filter(text => /pepper|key=|secret|password/i.test(text))).toEqual([]);
  });

  it.each([
    [200, 0],
    [503, 1],
    ['nobody', 1],
  ] as const)('is healthy where /readyz answers 200: %s', async (answer, code) => {
    const command: unknown = JSON.parse(/CMD (.*)$/.exec(lastOf(final, 'HEALTHCHECK') ?? '')?.[1] ?? '');
    expect(await probe(command, answer)).toBe(code);
  });
});
