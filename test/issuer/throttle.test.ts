/** How often one address may fail. */
import { describe, expect, it } from 'vitest';
import { createThrottle, slowDown } from '../../src/issuer/throttle.ts';

function throttleAt(start: number) {
  let now = start;
  const throttle = createThrottle({ limit: 3, window: 60, now: () => now });
  return { throttle, advance: (seconds: number) => void (now += seconds * 1000) };
}

describe('the throttle', () => {
  it('lets an address fail as often as the limit says, then asks it to wait for the window to end', () => {
    const { throttle, advance } = throttleAt(0);
    for (let failure = 0; failure < 3; failure += 1) {
      expect(throttle.wait('1.2.3.4')).toBe(0);
      throttle.fail('1.2.3.4');
    }
    advance(20);
    expect(throttle.wait('1.2.3.4')).toBe(40);
    expect(throttle.wait('1.2.3.5')).toBe(0);
    advance(40);
    expect(throttle.wait('1.2.3.4')).toBe(0);
  });

  it('refuses the failures of an address that has to wait, and counts them', () => {
    const { throttle, advance } = throttleAt(0);
    for (let failure = 0; failure < 3; failure += 1) slowDown(throttle, '1.2.3.4');
    advance(20);
    const refused = { code: 'too_many_requests', headers: { 'Retry-After': '40' } };
    expect(() => slowDown(throttle, '1.2.3.4')).toThrow(expect.objectContaining(refused));
    slowDown(throttle, '1.2.3.5');
    advance(40);
    slowDown(throttle, '1.2.3.4');
  });

  it.each([
    ['2001:db8:0:1::1', '2001:db8:0:1:ffff::2', true],
    ['2001:db8::1', '2001:db8:0:0:1::', true],
    ['2001:db8:0:1::1', '2001:db8:0:2::1', false],
    ['::1', '::2', true],
    ['::ffff:1.2.3.4', '::ffff:1.2.3.5', false],
  ])('takes %s and %s for one network: %s', (one, other, same) => {
    const { throttle } = throttleAt(0);
    for (let failure = 0; failure < 3; failure += 1) throttle.fail(one);
    expect(throttle.wait(other) > 0).toBe(same);
  });
});
