/**
 * `npm run check:proxies`: sends the same requests to Keyturn's own routes, to /auth/verify, and through nginx and Caddy with
 * the configurations of examples/, and fails where one lets through what another refuses.
 */
import { startService } from '../support/service.ts';
import { type DoorwayName, doorways, type Ports, sendThrough } from './doorways.ts';
import { startEchoServer } from './echo-server.ts';
import { createCallers } from './proxy-callers.ts';
import type { ProxyCase } from './proxy-case.ts';
import { listCases } from './proxy-cases.ts';
import { findFaults, type Outcomes } from './proxy-findings.ts';
import { findMissing, startCaddy, startNginx } from './proxy-processes.ts';

const missing = findMissing(['nginx', 'caddy']);
if (missing.length > 0) {
  say(`not installed: ${missing.join(', ')}. On Debian: apt-get install nginx-light caddy`);
  process.exitCode = 1;
} else {
  process.exitCode = (await checkAll()) === 0 ? 0 : 1;
}

/** Resolves with the number of faults. */
async function checkAll(): Promise<number> {
  const stops: (() => Promise<void>)[] = [];
  const started = async <T extends { stop(): Promise<void> }>(starting: Promise<T>): Promise<T> => {
    const running = await starting;
    stops.unshift(() => running.stop());
    return running;
  };
  try {
    const service = await started(startService({ env: { KEYTURN_TRUSTED_PROXIES: '127.0.0.1' } }));
    const app = await started(startEchoServer());
    const behind = { keyturnPort: service.port, appPort: app.port };
    const nginx = await started(startNginx(behind));
    const caddy = await started(startCaddy(behind));
    const ports = { keyturn: service.port, nginx: nginx.port, caddy: caddy.port };
    const cases = listCases(await createCallers(service));
    say(rowText('', doorways));
    const faults = await checkCases(cases, ports);
    await service.stop();
    stops.pop();
    const open = await checkWithoutKeyturn(cases[0]!, ports);
    say(`\n${cases.length} cases, ${faults + open} faults`);
    return faults + open;
  } finally {
    for (const stop of stops) await stop();
  }
}

async function checkCases(cases: readonly ProxyCase[], ports: Ports): Promise<number> {
  let faults = 0;
  for (const asked of cases) {
    const outcomes: Partial<Record<DoorwayName, Outcomes[DoorwayName]>> = {};
    for (const doorway of doorways) outcomes[doorway] = await sendThrough(doorway, asked, ports);
    const found = findFaults(asked, outcomes);
    say(
      rowText(
        asked.title,
        doorways.map(doorway => cellText(outcomes[doorway])),
      ),
    );
    for (const fault of found) say(`  FAULT ${fault}`);
    faults += found.length;
  }
  return faults;
}

/** What cannot be decided on is refused. */
async function checkWithoutKeyturn(asked: ProxyCase, ports: Ports): Promise<number> {
  const proxies = ['nginx', 'caddy'] as const;
  const [nginx, caddy] = await Promise.all(proxies.map(proxy => sendThrough(proxy, asked, ports)));
  say(rowText('a good token, Keyturn is away', ['', '', cellText(nginx), cellText(caddy)]));
  return [nginx, caddy].filter(outcome => outcome?.decision !== 'refuse').length;
}

function cellText(outcome: Outcomes[DoorwayName]): string {
  return outcome === undefined ? '–' : `${outcome.decision} ${outcome.status}`;
}

function rowText(title: string, cells: readonly string[]): string {
  return `${title.padEnd(56)} ${cells.map(cell => cell.padEnd(14)).join('')}`.trimEnd();
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
