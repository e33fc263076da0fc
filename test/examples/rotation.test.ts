/** The examples of docs/rotation.md, run for real: whatever befalls them, the key works throughout. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { TestService } from '../support/service.ts';
import { describeOnEachStore, describeOnEmbeddedStore } from '../support/stores.ts';
import {
  openStage,
  type Outcome,
  type Run,
  type Script,
  type Stage,
  type StartOptions,
} from './rotation-stage.ts';

const scripts: Script[] = ['rotate.sh', 'rotate.ts'];

/** Of the steps that each can be killed at, every so many are tried. */
const strides: Record<Script, number> = { 'rotate.sh': 53, 'rotate.ts': 13 };

const isRotation = (call: string) => call === 'POST /keys/self/rotations';
const isExchange = (call: string) => call === 'POST /oauth/token';

let service: TestService;
const stages: Stage[] = [];

async function expectSuccess(run: Run): Promise<string> {
  const { code, output } = await run.ended;
  expect(code, output).toBe(0);
  return output;
}

/** How it has to end: the service served throughout, one secret, and nothing left behind but the file with the new key. */
async function rotated(stage: Stage): Promise<Outcome> {
  const key = await stage.key();
  expect(key).not.toBe(stage.oldKey);
  return { refusals: [], secrets: [key.slice(-4)], rotations: 1, folder: ['api-key'], mode: '600' };
}

async function expectFailure(run: Run, reason: RegExp): Promise<void> {
  const { code, output } = await run.ended;
  expect(code, output).toBe(1);
  expect(output).toMatch(reason);
}

/** Starts the script, kills it when the moment is there, and tells which process it was. */
async function killWhen(
  stage: Stage,
  script: Script,
  moment: Promise<void>,
  options?: StartOptions,
): Promise<number> {
  const run = stage.start(script, options);
  await moment;
  await run.kill();
  expect(await run.ended).toMatchObject({ code: null });
  return run.pid;
}

async function setStage(): Promise<Stage> {
  const stage = await openStage(service);
  stages.push(stage);
  return stage;
}

afterEach(async () => {
  await Promise.all(stages.splice(0).map(stage => stage.close()));
});

describeOnEachStore('the rotation examples', store => {
  beforeAll(async () => {
    service = await store.start();
  });

  describe.each(scripts)('%s', script => {
    test('rotates', async () => {
      const stage = await setStage();
      await expectSuccess(stage.start(script));
      expect(await stage.outcome()).toEqual(await rotated(stage));
    });

    test('repeats a request whose answer is lost, and gets that answer', async () => {
      const stage = await setStage();
      const lost = stage.proxy.loseAnswer(isRotation);
      const run = stage.start(script);
      await lost;
      expect((await stage.show()).secrets).toHaveLength(2);
      await expectSuccess(run);
      expect(await stage.outcome()).toEqual(await rotated(stage));
    });
  });
});

describeOnEmbeddedStore('the rotation examples', store => {
  /** An account that may look at keys, and at nothing else. */
  let watcher: string;

  beforeAll(async () => {
    service = await store.start();
    await service.admin('POST', '/admin/accounts', { id: 'watcher', role: 'member' });
    const response = await service.admin('POST', '/admin/accounts/watcher/access-key');
    watcher = ((await response.json()) as { accessKey: string }).accessKey;
  });

  /** Where each is killed: what was going on, and what the journal said. */
  const inPhase = (stage: Stage, phase: string) => async (call: string) =>
    isExchange(call) && (await stage.journal()).includes(`phase=${phase}\n`);
  const moments: [string, string, (stage: Stage) => Promise<void>][] = [
    ['before the request arrives', 'asked', ({ proxy }) => proxy.hold('request', isRotation)],
    ['before the answer arrives', 'asked', ({ proxy }) => proxy.hold('answer', isRotation)],
    [
      'before the new key is in place',
      'answered',
      stage => stage.proxy.hold('request', inPhase(stage, 'answered')),
    ],
    [
      'once the new key is in place',
      'placed',
      stage => stage.proxy.hold('request', inPhase(stage, 'placed')),
    ],
    [
      'while it waits',
      'placed',
      stage =>
        stage.proxy.hold(
          'answer',
          async call =>
            call.startsWith('GET /admin/keys/') && (await stage.journal()).includes('phase=placed'),
        ),
    ],
  ];

  const watching = () => ({
    args: ['--quiet', '1', '--poll', '0.1'],
    env: { KEYTURN_API_KEY: watcher },
  });

  describe.each(scripts)('%s', script => {
    test.each(moments)('is finished by the next run when killed %s', async (_, phase, moment) => {
      const stage = await setStage();
      const pid = await killWhen(stage, script, moment(stage), watching());
      expect(await stage.journal()).toContain(`phase=${phase}\n`);
      expect(await readlink(`${stage.file}.rotation.lock`)).toMatch(new RegExp(`^${pid}:`));

      await expectSuccess(stage.start(script));
      expect(await stage.outcome()).toEqual(await rotated(stage));
    });

    test('is finished by the next run when killed before the journal says that the new key is in place', async () => {
      const stage = await setStage();
      await killWhen(stage, script, stage.proxy.hold('request', inPhase(stage, 'answered')));
      const fresh = /^new=(.*)$/m.exec(await stage.journal())?.[1] ?? '';
      await writeFile(`${stage.file}.rotation.tmp`, `${fresh}\n`, { mode: 0o600 });
      await rename(`${stage.file}.rotation.tmp`, stage.file);

      await expectSuccess(stage.start(script));
      expect(await stage.outcome()).toEqual(await rotated(stage));
    });

    test('is finished by the next run, whatever step it was killed at', async () => {
      for (let step = 1; ; step += strides[script]) {
        const stage = await setStage();
        const { code } = await stage.start(script, { dieAt: step }).ended;
        if (code === 0) break;
        expect(code).toBeNull();
        const isDone = (await stage.journal()) === '' && (await stage.key()) !== stage.oldKey;
        if (isDone) await rm(`${stage.file}.rotation.lock`, { force: true });
        else await expectSuccess(stage.start(script));
        expect(await stage.outcome()).toEqual(await rotated(stage));
        await stage.close();
      }
    });

    test('lets no other copy in, of either kind', async () => {
      const stage = await setStage();
      const held = stage.proxy.hold('request', isRotation);
      const first = stage.start(script);
      await held;
      await Promise.all(
        scripts.map(other =>
          expectFailure(stage.start(other), new RegExp(`Another copy \\(process ${first.pid}\\)`)),
        ),
      );
      stage.proxy.letGo();
      await expectSuccess(first);
      expect(await stage.outcome()).toEqual(await rotated(stage));
    });

    test.runIf(existsSync('/proc'))('shows no secret to who lists the processes', async () => {
      const stage = await setStage();
      const held = stage.proxy.hold('request', isRotation);
      const run = stage.start(script);
      await held;
      expect(commandLinesWith(stage.file)).not.toEqual([]);
      expect(commandLinesWith(stage.oldKey.slice(0, 35))).toEqual([]);
      await run.kill();
    });

    test('finishes what the other kind began', async () => {
      const stage = await setStage();
      await killWhen(stage, script, stage.proxy.hold('request', inPhase(stage, 'answered')));
      await expectSuccess(stage.start(script === 'rotate.sh' ? 'rotate.ts' : 'rotate.sh'));
      expect(await stage.outcome()).toEqual(await rotated(stage));
    });

    test('waits until nobody uses the old secret any more', async () => {
      const stage = await setStage();
      const run = stage.start(script, watching());
      await run.untilSaid('holds the new key');
      const enough = new AbortController();
      const straggler = (async () => {
        while (!enough.signal.aborted) await service.token(stage.oldKey);
      })();
      await run.untilSaid('The old secret is still in use: last used 2');
      enough.abort();
      await straggler;
      expect(await expectSuccess(run)).toMatch(
        /not been used for 1 seconds: last used \S+Z from 127\.0\.0\.1, ends \S+Z\n/,
      );
      expect(await stage.outcome()).toEqual(await rotated(stage));
    });

    test('waits no longer than to the deadline', async () => {
      const stage = await setStage();
      const run = stage.start(script, { ...watching(), args: ['--poll', '0.1', '--mode', 'first-use'] });
      await run.untilSaid('holds the new key');
      await expect.poll(async () => (await stage.show()).secrets[0]?.state).toBe('retiring');
      service.clock.advance(61);
      expect(await expectSuccess(run)).toContain('The old secret has ended.');
      expect((await stage.show()).secrets).toMatchObject([{ last4: (await stage.key()).slice(-4) }]);
    });

    test('does not put a new key in place whose rotation was cancelled', async () => {
      const stage = await setStage();
      await killWhen(stage, script, stage.proxy.hold('answer', isRotation));
      await service.admin('DELETE', `/admin/keys/${stage.id}/rotations/current`);

      await expectFailure(stage.start(script), /was cancelled: \S+ keeps its key/);
      expect(await stage.key()).toBe(stage.oldKey);
      expect(await stage.folder()).toEqual(['api-key']);
      await expectSuccess(stage.start(script));
      expect(await stage.outcome()).toEqual({ ...(await rotated(stage)), rotations: 2 });
    });

    test('keeps both keys while neither is taken', async () => {
      const stage = await setStage();
      await killWhen(stage, script, stage.proxy.hold('request', inPhase(stage, 'answered')));
      await service.admin('POST', `/admin/keys/${stage.id}/disable`);
      await expectFailure(stage.start(script), /Neither key is taken \(401\): The API key is disabled/);
      await service.admin('POST', `/admin/keys/${stage.id}/enable`);
      await expectSuccess(stage.start(script));
      expect((await service.exchange(await stage.key())).status).toBe(200);
      expect(await stage.key()).not.toBe(stage.oldKey);
    });

    test('changes nothing but the key in a file that says more', async () => {
      const stage = await setStage();
      // In one step: the key is being read all the time.
      await writeFile(`${stage.file}.draft`, `# ours\nKEY="${stage.oldKey}"`, { mode: 0o600 });
      await rename(`${stage.file}.draft`, stage.file);
      await expectSuccess(stage.start(script));
      expect(await readFile(stage.file, 'utf8')).toBe(`# ours\nKEY="${await stage.key()}"`);
      expect(await stage.outcome()).toEqual(await rotated(stage));
    });

    test('changes nothing where something would stand in the way', async () => {
      const stage = await setStage();
      const at = (name: string) => `${stage.file}-${name}`;
      await writeFile(at('open'), stage.oldKey, { mode: 0o640 });
      await symlink(stage.file, at('link'));
      await writeFile(at('two'), `${stage.oldKey} ${service.sampleKey}`, { mode: 0o600 });
      await writeFile(at('wrong'), `${stage.oldKey.slice(0, -4)}zzzz`, { mode: 0o600 });
      const refused: [StartOptions, number, RegExp][] = [
        [{ file: at('open') }, 1, /readable by you alone: chmod 600/],
        [{ file: at('link') }, 1, /must be a file, not a link/],
        [{ file: at('two') }, 1, /holds several keys/],
        [
          { file: at('wrong') },
          1,
          /does not take the key in \S+ \(401\): The client credentials are not valid/,
        ],
        [{ env: { KEYTURN_API_KEY: stage.oldKey } }, 1, /cannot be watched with KEYTURN_API_KEY \(40[13]\)/],
        [{ args: ['--mode', 'now'] }, 2, /--mode: overlap or first-use\.\n\nUsage: /],
      ];
      for (const [options, code, reason] of refused) {
        const ending = await stage.start(script, options).ended;
        expect(ending.output).toMatch(reason);
        expect(ending.code).toBe(code);
      }
      expect((await stage.show()).secrets).toHaveLength(1);
      expect((await stage.folder()).filter(name => name.includes('.rotation'))).toEqual([]);
    });
  });
});

/** Of all that runs on this machine. */
function commandLinesWith(text: string): string[] {
  const lines = readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(readCommandLine);
  return lines.filter(line => line.includes(text));
}

function readCommandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    // It has ended in this moment.
    return '';
  }
}
