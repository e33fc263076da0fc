/** Pauses of loops that run as long as the instance does. */

/** A pause that ends early when it is rung for, or at the end of all. A ring before the pause makes it none. */
export function createAlarm(stop: AbortSignal): { ring(): void; wait(milliseconds: number): Promise<void> } {
  let isRung = false;
  let wake = (): void => {};
  const ring = (): void => {
    isRung = true;
    wake();
  };
  stop.addEventListener('abort', ring, { once: true });
  return {
    ring,
    async wait(milliseconds) {
      if (!isRung) {
        await new Promise<void>(resolve => {
          const timer = setTimeout(resolve, milliseconds);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      isRung = false;
    },
  };
}
