#!/usr/bin/env node
/** The command line: `keyturn`. */
import { exitCodes } from './exit-codes.ts';
import { runCommandLine } from './program.ts';

// Whoever reads what is printed may stop reading, as `head` does: there is nothing to do any more, and nothing to complain
// of. It is no success either: a secret may have been lost.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(exitCodes.failed);
});
// Talk that nobody hears is no reason to stop.
process.stderr.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

process.exitCode = await runCommandLine(process.argv.slice(2), {
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  // Opened by those commands alone that read it.
  get stdin() {
    return process.stdin;
  },
});
