/** The key string. */
import { randomBytes, randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { apiKeyPattern, generateApiKey, parseApiKey } from '../../src/protocol/api-key.ts';

describe('an API key string', () => {
  it('has the published shape, and is read back as it was made', () => {
    for (let round = 0; round < 200; round += 1) {
      const made = generateApiKey(randomUUID(), randomBytes);
      expect(made.text).toMatch(apiKeyPattern);
      expect(parseApiKey(made.text)).toEqual(made);
    }
  });

  it('ends in the CRC-32 of what stands before it, in base62, padded with zeros', () => {
    // Computed with another implementation, Python's zlib.crc32: 0xef71c5ab.
    const body = `kt_${'0'.repeat(32)}_${'0'.repeat(32)}`;
    expect(parseApiKey(`${body}4Nro2V`)?.last4).toBe('ro2V');
  });

  it('is refused when any one character is another', () => {
    const { text } = generateApiKey(randomUUID(), randomBytes);
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: text.length - 1 }),
        fc.constantFrom(...'0aZ_-k '),
        (place, character) => {
          fc.pre(text[place] !== character);
          expect(parseApiKey(text.slice(0, place) + character + text.slice(place + 1))).toBeUndefined();
        },
      ),
    );
  });

  it.each([' ', '\n', '\u0000', '\u200b', '0'])('is refused with %j before or behind it', character => {
    const { text } = generateApiKey(randomUUID(), randomBytes);
    expect(parseApiKey(character + text)).toBeUndefined();
    expect(parseApiKey(text + character)).toBeUndefined();
  });

  it('draws bytes again that would make one character likelier than another', () => {
    const draws = [new Uint8Array(32).fill(255), new Uint8Array(32).fill(247)];
    const { secret } = generateApiKey(randomUUID(), () => draws.shift()!);
    expect(secret).toBe('z'.repeat(32));
    expect(draws).toEqual([]);
  });
});
