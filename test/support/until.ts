/** Waiting for what comes about by itself: polled, with a deadline, and never by a guess of how long it takes. */

/** Polls until `condition` holds. @throws Error after `timeout` milliseconds without it */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeout = 20_000,
): Promise<void> {
  const deadline = performance.now() + timeout;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`in vain we waited until ${what}`);
    await new Promise(resolve => {
      setTimeout(resolve, 25);
    });
  }
}
