/** What a test opens and leaves open: closed behind it, the last opened first. */
import { afterEach } from 'vitest';

interface Kept {
  close(): Promise<unknown>;
}

const open: Kept[] = [];

afterEach(async () => {
  for (const thing of open.splice(0)) await thing.close();
});

/** Closes it behind the test. */
export function closeLater<T extends Kept>(thing: T): T {
  open.unshift(thing);
  return thing;
}

/** Waits until it has started, and closes it behind the test. */
export async function keep<T extends Kept>(starting: Promise<T>): Promise<T> {
  return closeLater(await starting);
}
