/** Work that must not overlap within an instance, one piece after the other. */

/** Runs what it is given in the order in which it came. */
export function createTurns(): <T>(task: () => Promise<T>) => Promise<T> {
  let turn: Promise<unknown> = Promise.resolve();
  return task => {
    const mine = turn.then(task);
    // Who asked hears of a failure; who comes next is not to fail with it.
    turn = mine.catch(() => undefined);
    return mine;
  };
}
