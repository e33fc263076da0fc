/** What whoever asks a service makes of its answer: no more text than is wanted, a pause, and why nothing came. */
import { describe, expect, it } from 'vitest';
import { faultCode, readRetryAfter, readText } from '../../src/protocol/http-answer.ts';

describe('the text of an answer', () => {
  it('is put together of its pieces, wherever they were cut', async () => {
    const bytes = new TextEncoder().encode('¡Olé, 🐂!');
    const pieces = [...bytes].map(byte => Uint8Array.of(byte));
    expect(await readText(answerOf(pieces).response, 10)).toBe('¡Olé, 🐂!');
    expect(await readText(new Response(null), 10)).toBe('');
  });

  it('is none where it is too long, and the rest is not read', async () => {
    const piece = new TextEncoder().encode('x'.repeat(10));
    const { response, state } = answerOf(Array<Uint8Array>(100).fill(piece));
    expect(await readText(response, 25)).toBeUndefined();
    expect(state.isCancelled).toBe(true);
    expect(state.read).toBeLessThan(10);
    expect(await readText(answerOf([piece, piece]).response, 20)).toHaveLength(20);
  });
});

describe('a pause that is asked for', () => {
  const now = () => Date.UTC(2026, 10, 21);
  it.each<[object, number | undefined]>([
    [{ 'retry-after': '7' }, 7000],
    [{ 'retry-after': '61' }, 60_000],
    [{ 'retry-after': 'Sat, 21 Nov 2026 00:00:07 GMT' }, 7000],
    [{ 'retry-after': 'Sat, 21 Nov 2026 00:00:07 GMT', date: 'Sat, 21 Nov 2026 00:00:04 GMT' }, 3000],
    [{ 'retry-after': 'Sat, 21 Nov 2026 01:00:00 GMT' }, 60_000],
    [{ 'retry-after': 'Fri, 20 Nov 2026 00:00:00 GMT' }, 0],
    [{ 'retry-after': '2026-11-21' }, undefined],
    [{ 'retry-after': '-5' }, undefined],
    [{}, undefined],
  ])('in %j is of %s ms', (headers, pause) => {
    expect(readRetryAfter(new Headers({ ...headers }), 60_000, now)).toBe(pause);
  });
});

describe('why there is no answer', () => {
  it('stands in the cause of what fetch throws', () => {
    const cause = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
    expect(faultCode(new TypeError('fetch failed', { cause }))).toBe('ECONNREFUSED');
  });

  it.each([[new TypeError('no cause')], [new Error('x', { cause: { code: 5 } })], ['no error'], [undefined]])(
    'is not known of %s',
    error => expect(faultCode(error)).toBeUndefined(),
  );
});

function answerOf(pieces: readonly Uint8Array[]) {
  const state = { read: 0, isCancelled: false };
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = pieces[state.read];
      state.read += 1;
      if (piece === undefined) controller.close();
      else controller.enqueue(piece);
    },
    cancel() {
      state.isCancelled = true;
    },
  });
  return { response: new Response(body), state };
}
