/** Errors of the operating system, as Node names them. */

/** Whether it is one with this code, as `ENOENT`. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
