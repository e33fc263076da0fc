/** `keyturn scan`: finds every key string that lies about, wherever it lies, and nothing else. */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, open, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findKeys } from '../../src/cli/find-keys.ts';
import { type ApiKeyString, generateApiKey } from '../../src/protocol/api-key.ts';
import { Transcript } from './lifecycle-transcript.ts';

const cli = new Transcript({});
let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(path.join(tmpdir(), 'keyturn-'));
});

afterAll(() => rm(scratch, { recursive: true, force: true }));

const makeKey = () => generateApiKey(randomUUID(), randomBytes);

function mistype({ text }: ApiKeyString): string {
  return text.slice(0, -1) + (text.endsWith('0') ? '1' : '0');
}

/** Bytes of the default read: a key string that begins shortly before a multiple of it is read in two. */
const chunk = 65_536;

describe('a folder of a thousand files', () => {
  const expected: string[] = [];
  let folder: string;

  beforeAll(async () => {
    folder = path.join(scratch, 'thousand');
    for (let place = 0; place < 1000; place += 1) {
      const file = path.join(
        folder,
        `part${place % 10}`,
        `deep${place % 7}`,
        `file${place}.${place % 3 === 0 ? 'bin' : 'txt'}`,
      );
      await mkdir(path.dirname(file), { recursive: true });
      const key = makeKey();
      const { content, found } = contentOf(place, key);
      await writeFile(file, content);
      for (const [line, column, { id, last4 }] of found)
        expected.push(`${file}:${line}:${column} key ${id} …${last4}`);
    }
  });

  /** Every kind of file in its turn; what is to be found, by line and column. */
  function contentOf(
    place: number,
    key: ApiKeyString,
  ): { content: Buffer; found: [number, number, ApiKeyString][] } {
    const noise = (size: number) => Buffer.from(randomBytes(size).map(byte => (byte === 10 ? 11 : byte)));
    const before = place % 74;
    switch (place % 10) {
      case 0:
        return { content: Buffer.from(`a\nKEY="${key.text}"\n`), found: [[2, 6, key]] };
      case 1:
        return { content: Buffer.from(`a\nKEY=${mistype(key)}\n`), found: [] };
      case 2: {
        const content = Buffer.concat([noise(chunk - before), Buffer.from(key.text), noise(500)]);
        return { content, found: [[1, chunk - before + 1, key]] };
      }
      case 3:
        return { content: Buffer.concat([noise(300), Buffer.from(key.text)]), found: [[1, 301, key]] };
      case 4:
        return { content: Buffer.from(key.text), found: [[1, 1, key]] };
      case 5:
        return { content: Buffer.from(key.text.slice(0, -1)), found: [] };
      case 6:
        return { content: noise(2 * chunk + place), found: [] };
      case 7: {
        const text = `a\n\n${key.text.replace('kt_', 'KT_')} kt_kt_ ${key.text}${key.text}`;
        return {
          content: Buffer.from(text),
          found: [
            [3, 83, key],
            [3, 157, key],
          ],
        };
      }
      case 8: {
        const content = Buffer.from(`\uFEFFa\n${key.text}`, 'utf16le');
        return { content, found: [[2, 2, key]] };
      }
      default:
        return { content: Buffer.alloc(0), found: [] };
    }
  }

  it('is searched whole, and what was planted is found', { timeout: 60_000 }, async () => {
    const { code, stdout, stderr } = await cli.run(`scan ${folder}`);
    expect(code).toBe(1);
    expect(stdout.trim().split('\n').toSorted()).toEqual(expected.toSorted());
    expect(stdout).not.toMatch(/kt_[0-9a-f]{32}/);
    expect(stderr).toBe(`Key strings found: ${expected.length}. Revoke or rotate these keys.\n`);
  });

  it('is told as JSON', { timeout: 60_000 }, async () => {
    const { code, stdout } = await cli.run(`scan --json ${folder}`);
    const found = JSON.parse(stdout) as Record<string, string | number>[];
    const linesOf = found.map(
      entry => `${entry['file']}:${entry['line']}:${entry['column']} key ${entry['id']} …${entry['last4']}`,
    );
    expect([code, linesOf.toSorted()]).toEqual([1, expected.toSorted()]);
  });
});

describe('the bytes', () => {
  it('may be cut anywhere', async () => {
    const keys = [makeKey(), makeKey(), makeKey()];
    const [one, two, three] = keys.map(({ text }) => text) as [string, string, string];
    const bytes = Buffer.concat([
      Buffer.from(`x\n${one} kt_\n`),
      Buffer.from(two, 'utf16le').swap16(),
      Buffer.from(`\n${three}`),
    ]);
    const whole = await foundIn(bytes, bytes.length);
    expect(whole).toEqual([
      { line: 2, column: 1, key: expect.objectContaining({ id: keys[0]?.id }) },
      { line: 3, column: 2, key: expect.objectContaining({ id: keys[1]?.id }) },
      { line: 4, column: 1, key: expect.objectContaining({ id: keys[2]?.id }) },
    ]);
    for (let size = 1; size < bytes.length; size += 1) expect(await foundIn(bytes, size)).toEqual(whole);
  });

  async function foundIn(bytes: Buffer, size: number) {
    const found = [];
    for await (const key of findKeys(pieces(bytes, size))) found.push(key);
    return found;
  }

  async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }

  it('may be many: memory does not grow with them', { timeout: 60_000 }, async () => {
    const file = path.join(scratch, 'large');
    const key = makeKey();
    const size = 512 * 1024 * 1024;
    const handle = await open(file, 'w');
    await handle.truncate(size);
    await handle.write(key.text, size);
    await handle.close();
    const before = process.memoryUsage().rss;
    const { code, stdout } = await cli.run(`scan ${file}`);
    expect([code, stdout]).toEqual([1, `${file}:1:${size + 1} key ${key.id} …${key.last4}\n`]);
    expect(process.memoryUsage().rss - before).toBeLessThan(size / 4);
    await rm(file);
  });
});

describe('the files', () => {
  it('of .git and node_modules are passed over, unless they are named', async () => {
    const folder = path.join(scratch, 'project');
    for (const place of ['.git', 'node_modules/package', 'src/.git/deep', 'src'])
      await writeKey(path.join(folder, place, 'key.txt'));
    expect(await filesFound(folder)).toEqual([`${folder}/src/key.txt`]);
    expect(await filesFound(`${folder}/.git ${folder}/node_modules`)).toEqual([
      `${folder}/.git/key.txt`,
      `${folder}/node_modules/package/key.txt`,
    ]);
  });

  it('behind links are not followed, unless the link is named', async () => {
    const folder = path.join(scratch, 'links');
    await writeKey(path.join(folder, 'target', 'key.txt'));
    await symlink(folder, path.join(folder, 'round'));
    await symlink(path.join(folder, 'target', 'key.txt'), path.join(folder, 'link.txt'));
    expect(await filesFound(folder)).toEqual([`${folder}/target/key.txt`]);
    expect(await filesFound(`${folder}/link.txt`)).toEqual([`${folder}/link.txt`]);
  });

  it('that cannot be read are said to be so, and the others are read', async () => {
    const file = path.join(scratch, 'there.txt');
    await writeKey(file);
    const { code, stdout, stderr } = await cli.run(`scan ${scratch}/not-there ${file}`);
    expect([code, stdout.split(':', 1)]).toEqual([1, [file]]);
    expect(stderr).toContain(`${scratch}/not-there: not read: ENOENT\n`);
    expect((await cli.run(`scan ${scratch}/not-there`)).code).toBe(1);
  });

  it('may bear a key string, or worse, as their name: it is not shown', async () => {
    const key = makeKey();
    const file = path.join(scratch, `\u001b[2J${key.text}.txt`);
    await writeKey(file);
    const { stdout } = await cli.run(`scan "${file}"`);
    expect(stdout).toContain(`?[2Jkt_…${key.last4}.txt:1:1 key `);
    expect(stdout).not.toContain(key.text);
  });

  it('without a key string end with 0', async () => {
    const file = path.join(scratch, 'clean.txt');
    await writeFile(file, mistype(makeKey()));
    expect(await cli.run(`scan ${file}`)).toEqual({ code: 0, stdout: '', stderr: 'No key strings found.\n' });
    expect(await cli.run(`scan --json ${file}`)).toMatchObject({ code: 0, stdout: '[]\n' });
  });

  it('may be standard input', async () => {
    const key = makeKey();
    const stdin = async function* () {
      yield Buffer.from(`+ ${key.text.slice(0, 30)}`);
      yield Buffer.from(key.text.slice(30));
    };
    const { code, stdout } = await cli.run('scan -', { stdin: stdin() });
    expect([code, stdout]).toEqual([1, `-:1:3 key ${key.id} …${key.last4}\n`]);
  });

  async function writeKey(file: string): Promise<void> {
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, makeKey().text);
  }

  async function filesFound(names: string): Promise<(string | undefined)[]> {
    const { stdout } = await cli.run(`scan ${names}`);
    return stdout
      .trim()
      .split('\n')
      .map(line => line.split(':', 1)[0]);
  }
});
