/** The embedded store: the port's promises, and what may happen to its file, its disk and its process. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { openEmbeddedStore } from '../../src/store/embedded.ts';
import { describeStoreContract } from './contract.ts';

let home = '';
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'keyturn-embedded-'));
});
afterAll(async () => {
  await rm(home, { recursive: true, force: true });
});

describeStoreContract('embedded', clock =>
  openEmbeddedStore({ directory: path.join(home, 'contract'), clock }),
);
