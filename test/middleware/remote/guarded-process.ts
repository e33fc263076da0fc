/**
 * A guarded server as a process of its own. `serve` says its port in a line and answers until it is killed; `close` closes its
 * guard after one call, and is to end by itself.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createGuard, type GuardOptions, type RouteDemand } from '../../../src/middleware/express.ts';

const [mode, given = ''] = process.argv.slice(2);
const { options, demand } = JSON.parse(given) as { options: GuardOptions; demand: RouteDemand };
const guard = createGuard(options);
const admit = guard(demand);
const server = createServer((req, res) =>
  admit(req, res, error => void res.writeHead(error === undefined ? 200 : 500).end()),
);
await new Promise<void>(resolve => {
  server.listen(0, '127.0.0.1', resolve);
});
process.stdout.write(`port ${portOf(server)}\n`);
if (mode === 'close') {
  await fetch(`http://127.0.0.1:${portOf(server)}/`).then(response => response.text());
  guard.close();
  server.close();
  server.closeAllConnections();
}

function portOf(listening: Server): number {
  return (listening.address() as AddressInfo).port;
}
