/** Time that passes, until it is cut short. */

/** Resolves after so many milliseconds, or at once where the signal is aborted. */
export function pause(milliseconds: number, stop?: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const end = () => {
      clearTimeout(timer);
      stop?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    stop?.addEventListener('abort', end, { once: true });
    if (stop?.aborted === true) end();
  });
}
