/** What a test opens and leaves open: closed behind it, the last opened first. */
import { onTestFinished } from 'vitest';

interface Kept {
  close(): Promise<unknown>;
}

/** Closes it behind the test. */
export function closeLater<T extends Kept>(thing: T): T {
  onTestFinished(async () => {
    await thing.close();
  });
  return thing;
}

/** Waits until it has started, and closes it behind the test. */
export async function keep<T extends Kept>(starting: Promise<T>): Promise<T> {
  return closeLater(await starting);
}
