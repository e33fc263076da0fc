/** How many questions go to the service at a time, and what becomes of those that wait for their turn. */
import { expect, test } from 'vitest';
import { createTurnstile } from '../../../src/middleware/remote/turnstile.ts';

/** A turnstile on a clock that stands still, and questions that are answered when the test says so. */
function openTurnstile(patience = 2000) {
  const time = { now: 0 };
  const turnstile = createTurnstile({ monotonic: () => time.now, patience });
  const asked: (() => void)[] = [];
  const ask = () => turnstile(() => new Promise<string>(resolve => asked.push(() => resolve('answered'))));
  const refused: string[] = [];
  const askMany = (count: number) =>
    Array.from({ length: count }, () =>
      ask().catch((error: unknown) => {
        refused.push(String(error));
        return 'refused';
      }),
    );
  return { time, asked, refused, askMany };
}

test('sixty-four ask at a time, two thousand wait, and more are refused at once', async () => {
  const { asked, refused, askMany } = openTurnstile();
  const outcomes = askMany(64 + 2000 + 3);
  await Promise.all(outcomes.slice(-3));
  expect(asked).toHaveLength(64);
  expect(refused).toEqual(Array(3).fill('IssuerUnreachable: too many questions wait for an answer'));
  for (const answer of asked) {
    answer();
    // Whose turn it is now is among those asked.
    await settle();
  }
  expect(asked).toHaveLength(64 + 2000);
  expect((await Promise.all(outcomes)).filter(outcome => outcome === 'answered')).toHaveLength(2064);
});

test('those whose patience has ended are refused, and whoever comes next has a turn', async () => {
  const { time, asked, refused, askMany } = openTurnstile(1000);
  const early = askMany(64 + 1000);
  await settle();
  time.now = 999;
  const late = askMany(1);
  await settle();
  time.now = 1000;
  asked[0]?.();
  await Promise.all([early[0], ...early.slice(64)]);
  expect(refused).toHaveLength(1000);
  await settle();
  expect(asked).toHaveLength(65);
  for (const answer of asked) answer();
  expect(await Promise.all(late)).toEqual(['answered']);
  // All have left.
  const next = askMany(64);
  await settle();
  expect(asked).toHaveLength(65 + 64);
  for (const answer of asked) answer();
  expect(new Set(await Promise.all(next))).toEqual(new Set(['answered']));
});

/** Until no promise has anything to do. */
function settle(): Promise<void> {
  return new Promise(resolve => {
    setImmediate(resolve);
  });
}
