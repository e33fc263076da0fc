import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigurationError, formatProblems } from '../../src/config/problems.ts';
import { loadSettings } from '../../src/config/load.ts';
import { writeFile, writeJson } from './workspace.ts';

/** No word, and so long that it does not stand in the report by chance; short enough to be refused as a pepper. */
const secret = fc.stringMatching(/^[0-9][A-Za-z0-9+=_.~-]{6,13}[0-9]$/);

/** Ways to get a secret wrong. Each must end in a report. */
const mistakes: Record<string, (secret: string) => NodeJS.ProcessEnv> = {
  'a short pepper': text => ({ KEYTURN_PEPPER: text }),
  'equal peppers': text => ({ KEYTURN_PEPPER: `${text}${text}, ${text}${text}` }),
  'a short master key': text => ({ KEYTURN_MASTER_KEY: text }),
  'a secret in place of its path': text => ({
    KEYTURN_PEPPER_FILE: text,
    KEYTURN_MASTER_KEY_FILE: `/${text}`,
  }),
  'a short secret in a file': text => ({ KEYTURN_MASTER_KEY_FILE: writeFile(text) }),
  'a file that others can read': text => ({ KEYTURN_PEPPER_FILE: writeFile(text, 0o644) }),
  'both ways': text => ({ KEYTURN_MASTER_KEY: text, KEYTURN_MASTER_KEY_FILE: writeFile(text) }),
  'an unknown variable': text => ({ KEYTURN_PEPPR: text, KEYTURN_SECRET: text }),
  'Redis without peppers': text => ({ KEYTURN_REDIS_URL: `redis://:${text}@h:6379` }),
  'a wrong Redis URL': text => ({ KEYTURN_REDIS_URL: `redis://user:${text}@h:6379/x` }),
  'a Sentinel URL with a wrong option': text => ({
    KEYTURN_REDIS_URL: `redis+sentinel://h/main?sentinelPassword=${text}&db=x`,
  }),
  'a Redis URL with a stray @': text => ({ KEYTURN_REDIS_URL: `redis://user:@${text}/@h` }),
  'a Redis URL without scheme': text => ({ KEYTURN_REDIS_URL: `${text}@h:6379` }),
  'a secret as the Redis URL': text => ({ KEYTURN_REDIS_URL: text }),
  'an issuer with a password': text => ({ KEYTURN_ISSUER: `https://me:${text}@keys.example` }),
  'an issuer with a query': text => ({ KEYTURN_ISSUER: `https://keys.example/?key=${text}` }),
  'members of the file': text => ({
    KEYTURN_CONFIG: writeJson({
      pepper: [text, { [text]: 1 }],
      masterKey: text,
      pepperFil: text,
      redisUrl: `rediss://${text}`,
    }),
  }),
  'a file that is no JSON': text => ({
    KEYTURN_CONFIG: writeFile(`{"pepper": "${text}" "masterKey": "${text}"}`),
  }),
  'a secret without quotes': text => ({
    KEYTURN_CONFIG: writeFile(`{"pepper": "${text}", "masterKey": <${text}}`),
  }),
  'a file that is the secret': text => ({
    KEYTURN_CONFIG: writeFile(`<${text}>`),
    KEYTURN_FEATURES: writeFile(`"${text}"`),
  }),
  'an upstream with a password': text => ({
    KEYTURN_CONTROLLERS: writeJson({
      controllers: ['https://me:', 'https://', 'me:', '//'].map((start, index) => ({
        name: `X${index}`,
        upstream: `${start}${text}@h`,
        routes: [],
      })),
    }),
  }),
  'an upstream with a query': text => ({
    KEYTURN_CONTROLLERS: writeJson({
      controllers: [{ name: 'X', upstream: `https://h/?key=${text}`, routes: [] }],
    }),
  }),
};

describe('no secret is shown', () => {
  it.each(Object.entries(mistakes))('for %s', (_name, mistake) => {
    const property = fc.property(secret, text => {
      expect(everythingShown(mistake(text))).not.toContain(text);
    });
    fc.assert(property, { numRuns: 25 });
  });

  it('for all of them at once', () => {
    const several = fc.subarray(Object.values(mistakes), { minLength: 2 });
    const property = fc.property(secret, several, (text, chosen) => {
      const env = Object.fromEntries(chosen.flatMap(mistake => Object.entries(mistake(text))));
      expect(everythingShown(env)).not.toContain(text);
    });
    fc.assert(property, { numRuns: 100 });
  });

  it('by good settings that come with a bad one', () => {
    const property = fc.property(secret, text => {
      const env = {
        KEYTURN_PEPPER: text.repeat(2),
        KEYTURN_MASTER_KEY: text.repeat(2),
        KEYTURN_REDIS_URL: `redis://:${text}@h`,
      };
      expect(everythingShown({ ...env, KEYTURN_PORT: 'x' })).not.toContain(text);
    });
    fc.assert(property, { numRuns: 25 });
  });
});

function everythingShown(env: NodeJS.ProcessEnv): string {
  try {
    loadSettings(env);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return [formatProblems(error), error.stack, JSON.stringify(error), JSON.stringify(error.problems)].join(
      '\n',
    );
  }
  throw new Error('the configuration was accepted');
}
