/** That the checker finds what it is there to find: each promise is broken once, and once kept. */
import { describe, expect, test } from 'vitest';
import { type Call, createHistory, findViolations, recoveryTime, tally } from './history.ts';

const base: Call = {
  op: 'use',
  instance: 'X',
  start: 0,
  end: 1,
  outcome: 200,
  token: 't',
  key: 'k',
  mintedAt: 0,
};
const revocation: Call = { op: 'revoke-token', instance: 'X', start: 10, end: 20, outcome: 200, token: 't' };
const end: Call = { op: 'revoke-key', instance: 'X', start: 10, end: 20, outcome: 200, key: 'k' };

function violations(...calls: Call[]): string[] {
  const history = createHistory();
  calls.forEach(call => history.add(call));
  return findViolations(history).map(text => text.slice(0, 2));
}

describe('the checker', () => {
  test.each<[string, Call[], string[]]>([
    ['a token before its revocation', [base, revocation], []],
    ['while it is under way', [{ ...base, start: 15, end: 25 }, revocation], []],
    ['after it was told', [{ ...base, start: 21, end: 22 }, revocation], ['N2']],
    ['refused after it', [{ ...base, start: 21, end: 22, outcome: 401 }, revocation], []],
    ['refused before it', [{ ...base, outcome: 401 }, revocation], ['N6']],
    ['refused while it is under way', [{ ...base, start: 1, end: 11, outcome: 401 }, revocation], []],
    [
      'after one that was not told',
      [
        { ...base, start: 21, end: 22 },
        { ...revocation, outcome: 503 },
      ],
      [],
    ],
    [
      'refused after one not told',
      [
        { ...base, start: 21, end: 22, outcome: 401 },
        { ...revocation, outcome: 'lost' },
      ],
      [],
    ],
    ['a token of a key after its end', [{ ...base, start: 21, end: 22 }, end], ['N2']],
    ['a token of another key', [{ ...base, start: 21, end: 22, key: 'l' }, end], []],
    ['a token younger than the end', [{ ...base, start: 31, end: 32, mintedAt: 30 }, end], []],
    ['an exchange after the end', [{ ...base, op: 'exchange', start: 21, end: 22 }, end], ['N2']],
    [
      'an exchange of one enabled again',
      [{ ...base, op: 'exchange', start: 21, end: 22 }, end, { ...end, op: 'enable-key' }],
      [],
    ],
    ['a forged token let in', [{ ...base, op: 'forge' }], ['N3']],
    ['a forged token refused', [{ ...base, op: 'forge', outcome: 401 }], []],
    ['503', [{ ...base, outcome: 503 }], []],
    ['no answer', [{ ...base, outcome: 'lost' }], []],
    ['a fault inside', [{ ...base, outcome: 500 }], ['N6']],
  ])('judges %s', (_, calls, expected) => {
    expect(violations(...calls)).toEqual(expected);
  });

  test('tells how soon something succeeded, and what came how often', () => {
    const history = createHistory();
    for (const [start, outcome] of [
      [5, 200],
      [12, 503],
      [14, 200],
    ] as const)
      history.add({ ...base, start, outcome });
    expect(recoveryTime(history, 10, ({ op }) => op === 'use')).toBe(4);
    expect(() => recoveryTime(history, 15, () => true)).toThrow('nothing succeeded');
    expect(tally(history.calls)).toEqual({ 200: 2, 503: 1 });
  });
});
