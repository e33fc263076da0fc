/** How a command ends: the exit codes (those above 64 are sysexits.h's), and which error means which. */
import { CommanderError } from 'commander';
import { TokenRefused } from '../client/request-token.ts';
import { ConfigurationError, formatProblems } from '../config/problems.ts';
import { WrongSecrets } from '../issuer/deployment.ts';
import { StoreUnavailable } from '../store/store.ts';

export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 69,
  notAuthorised: 77,
  configuration: 78,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** A command that ends otherwise than well, with what to say on stderr. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode = exitCodes.failed) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** @returns the exit code, and what to say; nothing where it was said already */
export function explainFailure(error: unknown): { exitCode: ExitCode; message: string } {
  if (error instanceof CommandFailed) return { exitCode: error.exitCode, message: error.message };
  if (error instanceof CommanderError)
    return { exitCode: error.exitCode === 0 ? exitCodes.ok : exitCodes.usage, message: '' };
  if (error instanceof ConfigurationError)
    return { exitCode: exitCodes.configuration, message: formatProblems(error) };
  if (error instanceof WrongSecrets) return { exitCode: exitCodes.configuration, message: error.message };
  if (error instanceof StoreUnavailable)
    return { exitCode: exitCodes.unreachable, message: `The store cannot be used: ${error.message}` };
  if (error instanceof TokenRefused) return { exitCode: exitCodeOf(error.status), message: error.message };
  if (isNetworkError(error))
    return { exitCode: exitCodes.unreachable, message: `The server cannot be reached: ${reasonOf(error)}` };
  if (error instanceof DOMException && error.name === 'TimeoutError')
    return { exitCode: exitCodes.unreachable, message: 'The server does not answer in time.' };
  if (isSystemError(error)) return { exitCode: exitCodes.failed, message: describeSystemError(error) };
  return {
    exitCode: exitCodes.failed,
    message: error instanceof Error ? (error.stack ?? error.message) : String(error),
  };
}

export function exitCodeOf(status: number): ExitCode {
  if (status === 401 || status === 403) return exitCodes.notAuthorised;
  return status === 502 || status === 503 || status === 504 ? exitCodes.unreachable : exitCodes.failed;
}

/** `fetch` rejects with a TypeError whose cause is the system's error; so does a body that breaks off. */
export function isNetworkError(error: unknown): error is TypeError {
  return error instanceof TypeError && (error.message === 'fetch failed' || error.message === 'terminated');
}

/** Of a file or a socket: its own message names both what was tried and why it failed. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}

function describeSystemError({ code, syscall, message }: NodeJS.ErrnoException): string {
  if (syscall !== 'listen') return message;
  const advice = code === 'EADDRINUSE' ? 'Another process listens there: stop it, or set' : 'Set';
  return `${message}. ${advice} KEYTURN_PORT, KEYTURN_METRICS_PORT or KEYTURN_HOST.`;
}

function reasonOf({ cause }: TypeError): string {
  return cause instanceof Error
    ? cause.message || String((cause as NodeJS.ErrnoException).code)
    : 'no reason is known';
}
