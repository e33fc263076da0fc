/** `keyturn serve`: runs the service until it is told to stop. */
import { once } from 'node:events';
import type { Command } from 'commander';
import { exitCodes } from '../exit-codes.ts';
import { say, type Terminal } from '../terminal.ts';
import { welcomeText } from '../welcome.ts';

export function addServeCommand(program: Command, terminal: Terminal): void {
  program
    .command('serve')
    .description('run the service')
    .action(() => serve(terminal));
}

async function serve(terminal: Terminal): Promise<void> {
  const asked = new AbortController();
  const stopped = askedToStop(asked);
  // A service is much to load, and the other commands need none of it.
  const [{ openService }, { loadSettings }, { createLogger }] = await Promise.all([
    import('../../compose.ts'),
    import('../../config/load.ts'),
    import('../../server/logger.ts'),
  ]);
  const loaded = loadSettings(terminal.env);
  const logger = createLogger(loaded.settings.logLevel);
  for (const warning of loaded.warnings) logger.warn(warning);
  const service = await openService(loaded, { logger, signal: asked.signal });
  if (service.welcome !== undefined) terminal.stdout.write(welcomeText(service.issuer, service.welcome));
  if (!asked.signal.aborted) say(terminal, `Keyturn serves on ${service.issuer} (port ${service.port}).`);
  try {
    await Promise.race([stopped, service.failure]);
  } finally {
    await service.close();
    logger.flush();
  }
}

/** Milliseconds. */
const longestEnd = 9500;

/** The first signal asks, even if it comes while we start; a second one ends the process at once, as signals do. */
async function askedToStop(asked: AbortController): Promise<void> {
  const heard = new AbortController();
  const { signal } = heard;
  await Promise.race([once(process, 'SIGTERM', { signal }), once(process, 'SIGINT', { signal })]);
  heard.abort();
  asked.abort();
  // Where Redis says nothing any more, taking leave of it takes its time, too, after all that was in flight.
  setTimeout(() => process.exit(exitCodes.ok), longestEnd).unref();
}
