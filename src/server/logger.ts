/** The log: one JSON object a line. */
import { type DestinationStream, type Logger, pino } from 'pino';

/** @param destination standard output by default, written in blocks so that a request never waits for the terminal */
export function createLogger(
  level: string,
  destination: DestinationStream = pino.destination({ sync: false }),
): Logger {
  return pino(
    {
      level,
      base: undefined,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: describeLevel },
      serializers: { err: describeError },
    },
    destination,
  );
}

function describeLevel(label: string): { level: string } {
  return { level: label };
}

/** What of an error is logged: no other member of it, for those hold packets and commands, and secrets in them. */
function describeError(error: unknown): object {
  if (!(error instanceof Error)) return { type: typeof error };
  const { name, message, stack, cause } = error;
  const code = 'code' in error ? String(error.code) : undefined;
  return { type: name, code, message, stack, ...(cause !== undefined && { cause: describeError(cause) }) };
}
