import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataDirectory } from '../../src/store/data-directory.ts';

let base: string;
beforeAll(async () => {
  base = await mkdtemp(path.join(tmpdir(), 'keyturn-directory-'));
});
afterAll(() => rm(base, { recursive: true, force: true }));

const modeOf = async (place: string) => (await stat(place)).mode & 0o777;

describe('the data directory', () => {
  it('is made with those above it, closed to others whatever the mask says', async () => {
    const mask = process.umask(0o277);
    try {
      await openDataDirectory(path.join(base, 'one'));
    } finally {
      process.umask(mask);
    }
    await openDataDirectory(path.join(base, 'two', 'three'));
    const modes = ['one', 'two', 'two/three'].map(name => modeOf(path.join(base, name)));
    expect(await Promise.all(modes)).toEqual([0o700, 0o700, 0o700]);
  });

  it('is left as it is where it is there', async () => {
    const place = path.join(base, 'there');
    await mkdir(place, { mode: 0o750 });
    await openDataDirectory(place);
    expect(await modeOf(place)).toBe(0o750);
  });

  it('is made once where several make it at the same time', async () => {
    const place = path.join(base, 'a', 'b', 'c');
    await Promise.all(Array.from({ length: 8 }, () => openDataDirectory(place)));
    expect(await modeOf(place)).toBe(0o700);
  });

  it('is not to be had where a file has its name, or where nothing can be made', async () => {
    await writeFile(path.join(base, 'file'), '');
    await expect(openDataDirectory(path.join(base, 'file'))).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(openDataDirectory(path.join(base, 'file', 'x'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  });

  // What Node's own recursive mkdir never comes back from.
  it.runIf(process.platform === 'linux')('is not to be had in /proc', async () => {
    await expect(openDataDirectory('/proc/keyturn/data')).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
