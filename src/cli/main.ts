#!/usr/bin/env node
/** The command line: `keyturn`. */
import { runCommandLine } from './program.ts';

process.exitCode = await runCommandLine(process.argv.slice(2), {
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  // Opened by those commands alone that read it.
  get stdin() {
    return process.stdin;
  },
});
