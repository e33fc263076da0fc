/** The example of a server that guards itself: its one command, and what it tells its reader. */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');

test('the orders are had with a key, and not without it, nor with one that was revoked', async () => {
  const { PATH, HOME } = process.env;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), 'examples/orders/start.ts'],
    { cwd: root, env: { PATH, HOME, KEYTURN_PORT: '0' }, timeout: 50_000 },
  );
  const said = stdout
    .trim()
    .split('\n')
    .filter(line => line !== '')
    .slice(1);
  expect(said).toEqual([
    'Without a token: 401',
    'With the key, GET: 200 {"orders":[{"id":1,"item":"Lamp"}],"for":"orders"}',
    'With the key, POST: 201 {"id":2,"item":"Chair"}',
    'The key is revoked.',
    'The orders refuse its token.',
    expect.stringMatching(/^The client gets no other: invalid_client\. \S.{20,}/),
  ]);
}, 60_000);
