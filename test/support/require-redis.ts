/** Before any test: makes sure that there is a Redis to test on, so that its want is said once, and never hidden. */
import { findRedisBinary } from './redis-binary.ts';

export async function setup(): Promise<void> {
  await findRedisBinary();
}
