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
    },
    destination,
  );
}

function describeLevel(label: string): { level: string } {
  return { level: label };
}
