/** The seed of every random choice of a run: told at its beginning, so that the run can be had again. */

/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d_2b_79_f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** A seed that is printed, or the one that `KEYTURN_TEST_SEED` asks for. */
export function tellSeed(purpose: string): number {
  const seed = Number(process.env['KEYTURN_TEST_SEED'] ?? Date.now() % 1_000_000);
  process.stderr.write(`${purpose}: KEYTURN_TEST_SEED=${seed}\n`);
  return seed;
}
