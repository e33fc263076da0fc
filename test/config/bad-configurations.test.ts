import { describe, expect, it } from 'vitest';
import { formatProblems } from '../../src/config/problems.ts';
import { loadSettings } from '../../src/config/load.ts';
import { failureOf, problemsOf, writeFile, writeJson } from './workspace.ts';

const pepper = 'pepper-0123456789-pepper';

/** environment, where the one problem is, what is expected there */
const environments: [env: NodeJS.ProcessEnv, where: string, expected: RegExp][] = [
  [{ KEYTURN_HOST: 'http://x' }, 'KEYTURN_HOST', /without scheme/],
  [{ KEYTURN_HOST: '[::1]' }, 'KEYTURN_HOST', /brackets/],
  [{ KEYTURN_HOST: '127.0.0.1:80' }, 'KEYTURN_HOST', /port/],
  [{ KEYTURN_HOST: '1.2.3' }, 'KEYTURN_HOST', /address/],
  [{ KEYTURN_PORT: 'http' }, 'KEYTURN_PORT', /0 to 65535/],
  [{ KEYTURN_PORT: '65536' }, 'KEYTURN_PORT', /0 to 65535/],
  [{ KEYTURN_PORT: '-1' }, 'KEYTURN_PORT', /0 to 65535/],
  [{ KEYTURN_PORT: '80.5' }, 'KEYTURN_PORT', /whole number/],
  [{ KEYTURN_PORT: '0x50' }, 'KEYTURN_PORT', /whole number/],
  [{ KEYTURN_PORT: ' 80' }, 'KEYTURN_PORT', /whole number/],
  [{ KEYTURN_ISSUER: 'keys.example' }, 'KEYTURN_ISSUER', /http or https URL/],
  [{ KEYTURN_ISSUER: 'ftp://keys.example' }, 'KEYTURN_ISSUER', /http or https URL/],
  [{ KEYTURN_ISSUER: 'https://keys.example/' }, 'KEYTURN_ISSUER', /trailing slash/],
  [{ KEYTURN_ISSUER: 'https://keys.example/a/' }, 'KEYTURN_ISSUER', /trailing slash/],
  [{ KEYTURN_ISSUER: 'https://keys.example?a=b' }, 'KEYTURN_ISSUER', /query/],
  [{ KEYTURN_ISSUER: 'https://keys.example#a' }, 'KEYTURN_ISSUER', /fragment/],
  [{ KEYTURN_ISSUER: 'https://me@keys.example' }, 'KEYTURN_ISSUER', /user/],
  [{ KEYTURN_ISSUER: 'https://Keys.example' }, 'KEYTURN_ISSUER', /lower-case/],
  [{ KEYTURN_ISSUER: 'https://keys.example:443' }, 'KEYTURN_ISSUER', /default port/],
  [{ KEYTURN_AUDIENCE: 'two words' }, 'KEYTURN_AUDIENCE', /white space/],
  [{ KEYTURN_TOKEN_TTL: '0' }, 'KEYTURN_TOKEN_TTL', /2 to 86400/],
  [{ KEYTURN_TOKEN_TTL: '1' }, 'KEYTURN_TOKEN_TTL', /2 to 86400/],
  [{ KEYTURN_TOKEN_TTL: '86401' }, 'KEYTURN_TOKEN_TTL', /2 to 86400/],
  [{ KEYTURN_TOKEN_TTL: '15m' }, 'KEYTURN_TOKEN_TTL', /2 to 86400/],
  [{ KEYTURN_SIGNING_ALG: 'HS256' }, 'KEYTURN_SIGNING_ALG', /ES256, RS256, EdDSA/],
  [{ KEYTURN_SIGNING_ALG: 'none' }, 'KEYTURN_SIGNING_ALG', /ES256, RS256, EdDSA/],
  [{ KEYTURN_PEPPER: 'short' }, 'KEYTURN_PEPPER', /16 characters/],
  [{ KEYTURN_PEPPER: ' , ' }, 'KEYTURN_PEPPER', /one or more/],
  [{ KEYTURN_PEPPER: `${pepper},${pepper}` }, 'KEYTURN_PEPPER', /no two equal/],
  [{ KEYTURN_PEPPER: `${pepper},short` }, 'KEYTURN_PEPPER', /16 characters/],
  [{ KEYTURN_PEPPER_FILE: '/nowhere/at/all' }, 'KEYTURN_PEPPER_FILE', /readable file/],
  [{ KEYTURN_PEPPER_FILE: '/' }, 'KEYTURN_PEPPER_FILE', /readable file/],
  [{ KEYTURN_PEPPER_FILE: writeFile('') }, 'KEYTURN_PEPPER_FILE', /one or more/],
  [{ KEYTURN_MASTER_KEY: '15-characters--' }, 'KEYTURN_MASTER_KEY', /16 characters/],
  [{ KEYTURN_MASTER_KEY_FILE: writeFile('\n') }, 'KEYTURN_MASTER_KEY_FILE', /16 characters/],
  [{ KEYTURN_MAX_STALENESS: '0' }, 'KEYTURN_MAX_STALENESS', /1 to 60/],
  [{ KEYTURN_MAX_STALENESS: '61' }, 'KEYTURN_MAX_STALENESS', /1 to 60/],
  [{ KEYTURN_SIGNING_LEAD: '-1' }, 'KEYTURN_SIGNING_LEAD', /0 to/],
  [{ KEYTURN_SIGNING_PERIOD: '900' }, 'KEYTURN_SIGNING_LEAD', /less than the signing period/],
  [{ KEYTURN_ANONYMOUS_USER: 'a,b' }, 'KEYTURN_ANONYMOUS_USER', /without commas/],
  [{ KEYTURN_ANONYMOUS_USER: 'Sitecore\\Admin' }, 'KEYTURN_ANONYMOUS_USER', /not among the forbidden/],
  [{ KEYTURN_FORBIDDEN_USERS: 'a;b' }, 'KEYTURN_FORBIDDEN_USERS', /user name/],
  [{ KEYTURN_UPSTREAM_TIMEOUT: '0' }, 'KEYTURN_UPSTREAM_TIMEOUT', /1 to 3600/],
  [{ KEYTURN_METRICS_PORT: '8080' }, 'KEYTURN_METRICS_PORT', /another port/],
  [{ KEYTURN_METRICS_PORT: '99999' }, 'KEYTURN_METRICS_PORT', /0 to 65535/],
  [{ KEYTURN_TRUSTED_PROXIES: 'proxy.example' }, 'KEYTURN_TRUSTED_PROXIES', /IP address/],
  [{ KEYTURN_TRUSTED_PROXIES: '10.0.0.0/33' }, 'KEYTURN_TRUSTED_PROXIES', /10\.0\.0\.0\/8/],
  [{ KEYTURN_TRUSTED_PROXIES: '10.0.0.0/' }, 'KEYTURN_TRUSTED_PROXIES', /IP address/],
  [{ KEYTURN_TRUSTED_PROXIES: '::1,fd00::/129' }, 'KEYTURN_TRUSTED_PROXIES', /IP address/],
  [{ KEYTURN_LOG_LEVEL: 'verbose' }, 'KEYTURN_LOG_LEVEL', /one of trace/],
  [{ KEYTURN_FEATURES: '/nowhere.json' }, 'KEYTURN_FEATURES', /readable JSON file/],
  [{ KEYTURN_CONTROLLERS: '/' }, 'KEYTURN_CONTROLLERS', /readable JSON file/],
  [{ KEYTURN_CONFIG: '/nowhere.json' }, 'KEYTURN_CONFIG', /readable JSON file/],
  [{ KEYTURN_PORTS: '1' }, 'KEYTURN_PORTS', /did you mean KEYTURN_PORT\?/],
  [{ KEYTURN_PEPPERS: '1' }, 'KEYTURN_PEPPERS', /did you mean KEYTURN_PEPPER\?/],
  [{ KEYTURN_DEBUG: '1' }, 'KEYTURN_DEBUG', /docs\/settings\.md$/],
  [{ KEYTURN_SERVICE_HOST: '10.0.0.1' }, 'KEYTURN_SERVICE_HOST', /enableServiceLinks/],
  [{ KEYTURN_PORT_8080_TCP: 'tcp://10.0.0.1' }, 'KEYTURN_PORT_8080_TCP', /enableServiceLinks/],
];

describe('a wrong environment', () => {
  it.each(environments)('%j', (env, where, expected) => {
    expect(problemsOf(env)).toEqual([
      expect.objectContaining({ where, expected: expect.stringMatching(expected) }),
    ]);
  });
});

/** text of the file of settings, what comes after its path, what is expected there */
const files: [text: string, place: string, expected: RegExp][] = [
  ['{"port": "8080"}', '#/port', /whole number/],
  ['{"port": null}', '#/port', /whole number/],
  ['{"port": true}', '#/port', /whole number/],
  ['{"issuer": 5}', '#/issuer', /URL/],
  ['{"forbiddenUsers": {"a": 1}}', '#/forbiddenUsers', /list of user names/],
  ['{"forbiddenUsers": ["a", 5]}', '#/forbiddenUsers/1', /user name/],
  ['{"trustedProxies": ["::1", "nope"]}', '#/trustedProxies/1', /IP address/],
  ['{"trustedProxies": "::1,nope"}', '#/trustedProxies', /IP address/],
  ['{"pepper": 5}', '#/pepper', /one or more/],
  ['{"pepper": ["0123456789abcdef", "short"]}', '#/pepper/1', /16 characters/],
  ['{"pepperFile": 5}', '#/pepperFile', /path/],
  ['{"masterKey": {}}', '#/masterKey', /16 characters/],
  ['{"masterKey": "0123456789abcdef", "masterKeyFile": "x"}', '#/masterKeyFile', /only one/],
  ['{"peppers": []}', '#/peppers', /did you mean pepper\?/],
  ['{"KEYTURN_PORT": 80}', '#/KEYTURN_PORT', /docs\/settings\.md/],
  ['{"a/b~c": 80}', '#/a~1b~0c', /docs\/settings\.md/],
  ['{"__proto__": {"port": 1}}', '#/__proto__', /docs\/settings\.md/],
  ['[]', '#', /an object/],
  ['null', '#', /an object/],
  ['"x"', '#', /an object/],
  ['', ':1:1', /JSON value/],
  ['{"port": 80,}', ':1:13', /member name/],
  ['{\n  "port": 80\n  "host": "x"\n}', ':3:3', /',' or '}'/],
  ["{'port': 80}", ':1:2', /double quotes/],
  ['{"port": 80} // main', ':1:14', /end of the file/],
  ['{"port": 080}', ':1:11', /',' or '}'/],
  ['{"port"; 80}', ':1:8', /':'/],
  ['{"trustedProxies": ["::1"', ':1:26', /',' or ']'/],
  ['{"port": 80,\n "port": 81}', ':2:2', /does not have yet/],
  ['{"host": "a\nb"}', ':1:10', /JSON value/],
  ['['.repeat(70), ':1:66', /64 levels/],
];

describe('a wrong file of settings', () => {
  it.each(files)('%s', (text, place, expected) => {
    const path = writeFile(text);
    expect(problemsOf({ KEYTURN_CONFIG: path })).toEqual([
      expect.objectContaining({ where: `${path}${place}`, expected: expect.stringMatching(expected) }),
    ]);
  });

  it('may begin with a byte order mark', () => {
    expect(loadSettings({ KEYTURN_CONFIG: writeFile('\uFEFF{"port": 81}') }).settings.port).toBe(81);
  });
});

describe('a setting that is wrong twice', () => {
  it('is reported where each item stands', () => {
    const path = writeJson({ trustedProxies: ['a', '::1', 'b'] });
    expect(problemsOf({ KEYTURN_CONFIG: path }).map(problem => problem.where)).toEqual([
      `${path}#/trustedProxies/0`,
      `${path}#/trustedProxies/2`,
    ]);
  });

  it('says once what was said', () => {
    const report = formatProblems(failureOf(() => loadSettings({ KEYTURN_TRUSTED_PROXIES: 'a,a' })));
    expect(report.match(/KEYTURN_TRUSTED_PROXIES/g)).toHaveLength(1);
  });
});
