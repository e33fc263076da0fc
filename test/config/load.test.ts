import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadClientSettings } from '../../src/config/client-settings.ts';
import { loadSettings } from '../../src/config/load.ts';
import { formatProblems } from '../../src/config/problems.ts';
import { readFileWithMode } from '../../src/config/read-file.ts';
import { resolveIssuer, settingsSchema } from '../../src/config/settings.ts';
import { variableOf } from '../../src/config/sources.ts';
import { failureOf, loadWithFile, problemsOf, writeFile, writeJson } from './workspace.ts';

const pepper = 'first-pepper-0123456789';
const secondPepper = 'second-pepper-012345678';
const masterKey = 'master-key-0123456789abc';
const features = readFileSync('config/features.json', 'utf8');
const controllers = readFileSync('config/controllers.json', 'utf8');

describe('defaults', () => {
  it('are those of the contract', () => {
    expect(loadSettings({}).settings).toEqual({
      host: '127.0.0.1',
      port: 8080,
      dataDir: './data',
      tokenTtl: 900,
      signingAlg: 'ES256',
      features: 'config/features.json',
      controllers: 'config/controllers.json',
      maxStaleness: 5,
      signingLead: 900,
      signingPeriod: 2592000,
      forbiddenUsers: ['sitecore\\admin'],
      upstreamTimeout: 30,
      trustedProxies: [],
      logLevel: 'info',
    });
  });

  it('come without a warning', () => {
    expect(loadSettings({}).warnings).toEqual([]);
  });

  it('stand in for what is empty in the environment', () => {
    const empty = Object.fromEntries(
      Object.keys(settingsSchema.properties).map(name => [variableOf(name), '']),
    );
    expect(loadSettings({ ...empty, KEYTURN_CONFIG: '' }).settings).toEqual(loadSettings({}).settings);
  });
});

const featuresCopy = writeFile(features);
const controllersCopy = writeFile(controllers);

/** setting, its text in the environment, its value in the file and in the settings */
const given: [name: string, text: string, value: unknown][] = [
  ['host', '0.0.0.0', '0.0.0.0'],
  ['port', '0', 0],
  ['port', '65535', 65535],
  ['issuer', 'https://keys.example/tenant', 'https://keys.example/tenant'],
  ['audience', 'https://api.example/', 'https://api.example/'],
  ['dataDir', '/var/lib/keyturn', '/var/lib/keyturn'],
  ['tokenTtl', '2', 2],
  ['tokenTtl', '86400', 86400],
  ['signingAlg', 'RS256', 'RS256'],
  ['signingAlg', 'EdDSA', 'EdDSA'],
  ['features', featuresCopy, featuresCopy],
  ['controllers', controllersCopy, controllersCopy],
  ['maxStaleness', '1', 1],
  ['maxStaleness', '60', 60],
  ['signingLead', '0', 0],
  ['signingPeriod', '901', 901],
  ['anonymousUser', 'extranet\\Anonymous', 'extranet\\Anonymous'],
  ['forbiddenUsers', 'sitecore\\admin, sitecore\\root,', ['sitecore\\admin', 'sitecore\\root']],
  ['upstreamTimeout', '3600', 3600],
  ['metricsPort', '9090', 9090],
  ['trustedProxies', '10.0.0.0/8, ::1,192.0.2.7', ['10.0.0.0/8', '::1', '192.0.2.7']],
  ['logLevel', 'silent', 'silent'],
  ['masterKey', masterKey, masterKey],
];

describe('each setting', () => {
  it.each(given)('%s is read from the environment: %s', (name, text, value) => {
    expect(loadSettings({ [variableOf(name)]: text }).settings).toHaveProperty(name, value);
  });

  it.each(given)('%s is read from the file: %s', (name, _text, value) => {
    expect(loadWithFile({ [name]: value }).settings).toHaveProperty(name, value);
  });

  it.each(given)('%s of the environment wins over the file: %s', (name, text, value) => {
    expect(loadWithFile({ [name]: 'overridden' }, { [variableOf(name)]: text }).settings).toHaveProperty(
      name,
      value,
    );
  });

  it.each(['forbiddenUsers', 'trustedProxies'])('%s may be a text in the file', name => {
    expect(loadWithFile({ [name]: '10.0.0.1 ,10.0.0.2' }).settings).toHaveProperty(name, [
      '10.0.0.1',
      '10.0.0.2',
    ]);
  });

  it('may be an empty list in the file', () => {
    expect(loadWithFile({ forbiddenUsers: [] }).settings.forbiddenUsers).toEqual([]);
  });

  it('bears the name of the contract', () => {
    const names = ['redisUrl', 'signingLead', 'peppers', 'masterKey', 'maxStaleness', 'metricsPort'].map(
      variableOf,
    );
    expect(names).toEqual([
      'KEYTURN_REDIS_URL',
      'KEYTURN_SIGNING_LEAD',
      'KEYTURN_PEPPER',
      'KEYTURN_MASTER_KEY',
      'KEYTURN_MAX_STALENESS',
      'KEYTURN_METRICS_PORT',
    ]);
  });

  const documented = Object.entries(settingsSchema.properties).map(([name, property]): [string, string] => {
    const fallback: unknown = 'default' in property ? property.default : [];
    return [variableOf(name), Array.isArray(fallback) ? '' : `\`${String(fallback)}\``];
  });

  it.each(documented)('%s stands in docs/settings.md with its default %s', (variable, fallback) => {
    const rows = readFileSync('docs/settings.md', 'utf8')
      .split('\n')
      .filter(line => line.startsWith('|'));
    expect(rows.find(row => row.includes(`\`${variable}\``)) ?? 'no row').toContain(fallback);
    expect(rows.join('')).toContain(`\`${variable}\``);
  });
});

describe('secrets', () => {
  const redis = { KEYTURN_REDIS_URL: 'redis://127.0.0.1' };

  it('are not needed without Redis', () => {
    const { settings } = loadSettings({});
    expect([settings.peppers, settings.masterKey]).toEqual([undefined, undefined]);
  });

  it('are both needed with Redis', () => {
    expect(problemsOf(redis).map(problem => problem.where)).toEqual(['KEYTURN_PEPPER', 'KEYTURN_MASTER_KEY']);
  });

  it.each([`${pepper},${secondPepper}`, `${pepper} ${secondPepper}`, ` ${pepper}\n\t${secondPepper},`])(
    'hold several peppers in their order: %j',
    text => {
      expect(loadSettings({ KEYTURN_PEPPER: text }).settings.peppers).toEqual([pepper, secondPepper]);
      expect(loadSettings({ KEYTURN_PEPPER_FILE: writeFile(text) }).settings.peppers).toEqual([
        pepper,
        secondPepper,
      ]);
      expect(loadWithFile({ pepper: text }).settings.peppers).toEqual([pepper, secondPepper]);
    },
  );

  it('take a list of peppers in the file', () => {
    expect(loadWithFile({ pepper: [pepper, secondPepper] }).settings.peppers).toEqual([pepper, secondPepper]);
  });

  it('come from files of their own, without the line break at the end', () => {
    const env = {
      ...redis,
      KEYTURN_PEPPER_FILE: writeFile(`${pepper}\r\n`, 0o400),
      KEYTURN_MASTER_KEY_FILE: writeFile(` ${masterKey} \n`),
    };
    expect(loadSettings(env).settings).toMatchObject({ peppers: [pepper], masterKey: ` ${masterKey} ` });
  });

  it('come from files that the file names', () => {
    const members = { pepperFile: writeFile(pepper), masterKeyFile: writeFile(masterKey) };
    expect(loadWithFile(members).settings).toMatchObject({ peppers: [pepper], masterKey });
  });

  it('of the environment win over those of the file, in either way', () => {
    const { settings } = loadWithFile(
      { pepperFile: '/nowhere', masterKey },
      { KEYTURN_PEPPER: secondPepper },
    );
    expect(settings).toMatchObject({ peppers: [secondPepper], masterKey });
  });

  it('are not given twice', () => {
    const env = { KEYTURN_PEPPER: pepper, KEYTURN_PEPPER_FILE: writeFile(pepper) };
    expect(problemsOf(env)).toMatchObject([
      { where: 'KEYTURN_PEPPER_FILE', expected: expect.stringContaining('only one') },
    ]);
  });

  it.each([0o640, 0o604, 0o644, 0o666])('are refused from a file of mode %o', mode => {
    expect(problemsOf({ KEYTURN_MASTER_KEY_FILE: writeFile(masterKey, mode) })).toMatchObject([
      { where: 'KEYTURN_MASTER_KEY_FILE', was: expect.stringContaining(`mode 0${mode.toString(8)}`) },
    ]);
  });

  it.each([
    { pepper },
    { masterKey },
    { redisUrl: 'redis+sentinel://h/main?sentinelPassword=abc', pepperFile: '/x', masterKeyFile: '/x' },
    { redisUrl: 'redis://:abc@h', pepperFile: '/x', masterKeyFile: '/x' },
  ])('are refused from a file of settings that others can read: %j', members => {
    const path = writeJson(members, 0o644);
    const places = problemsOf({ KEYTURN_CONFIG: path }).map(problem => problem.where);
    expect(places).toContain(`${path}#/${Object.keys(members)[0]}`);
  });

  it('let a file of settings without secrets be read by all', () => {
    const path = writeJson(
      { redisUrl: 'redis://h', pepperFile: writeFile(pepper), masterKeyFile: writeFile(masterKey) },
      0o644,
    );
    expect(loadSettings({ KEYTURN_CONFIG: path }).settings.redisUrl).toBe('redis://h');
  });
});

describe('Redis URLs', () => {
  const secrets = { KEYTURN_PEPPER: pepper, KEYTURN_MASTER_KEY: masterKey };
  const load = (url: string) => loadSettings({ ...secrets, KEYTURN_REDIS_URL: url }).settings.redisUrl;

  it.each([
    'redis://127.0.0.1:6379',
    'redis://localhost/',
    'redis://[::1]:6379/3',
    'rediss://user:p%40ss@cache.example:6380/0',
    'redis+sentinel://s1:26379,s2:26379/main',
    'rediss+sentinel://:pass@s1:26379,[::1]:26379/main?db=2&sentinelUsername=u&sentinelPassword=p%26q',
    'redis+sentinel://s1,s2/main',
    'redis+cluster://n1:7000,n2:7001,n3:7002',
    'rediss+cluster://user:pass@n1:7000',
  ])('%s', url => expect(load(url)).toBe(url));

  it.each([
    'http://127.0.0.1',
    'redis:/127.0.0.1',
    'redis://',
    'redis://h:0',
    'redis://h:70000',
    'redis://a,b',
    'redis://h/x',
    'redis://h?tls=1',
    'redis://u:p@ss@h',
    'redis+sentinel://s1:26379',
    'redis+sentinel://s1:26379/',
    'redis+sentinel://s1:26379/main/2',
    'redis+sentinel://s1:26379/main?db=x',
    'redis+sentinel://s1:26379/main?db=1&db=2',
    'redis+sentinel://s1:26379/main?constructor=1',
    'redis://%zz:x@h',
    'redis://me@h',
    'redis+cluster://n1:7000/1',
    'redis+cluster://n1:7000,,n2:7000',
    'redis+ring://n1:7000',
  ])('not %s', url =>
    expect(problemsOf({ ...secrets, KEYTURN_REDIS_URL: url })).toMatchObject([
      { where: 'KEYTURN_REDIS_URL' },
    ]),
  );
});

describe('the issuer', () => {
  it.each([
    ['127.0.0.1', 8080, 'http://127.0.0.1:8080'],
    ['localhost', 51234, 'http://localhost:51234'],
    ['::1', 8080, 'http://[::1]:8080'],
  ])('of %s, port %i is %s by default, and so is the audience', (host, port, issuer) => {
    expect(resolveIssuer({ host }, port)).toEqual({ issuer, audience: issuer });
  });

  it('and the audience are taken as they are given', () => {
    const given = { host: '127.0.0.1', issuer: 'https://keys.example', audience: 'orders' };
    expect(resolveIssuer(given, 8080)).toEqual({ issuer: 'https://keys.example', audience: 'orders' });
    expect(resolveIssuer({ ...given, audience: undefined }, 8080).audience).toBe('https://keys.example');
  });
});

describe('warnings', () => {
  it.each([
    [{ KEYTURN_TOKEN_TTL: '59' }, 'KEYTURN_TOKEN_TTL'],
    [{ KEYTURN_ISSUER: 'http://keys.example' }, 'KEYTURN_ISSUER is http://keys.example'],
    [{ KEYTURN_HOST: '0.0.0.0' }, 'KEYTURN_ISSUER is not set'],
    [{ KEYTURN_HOST: '::' }, 'KEYTURN_ISSUER is not set'],
    [{ KEYTURN_HOST: '192.0.2.1' }, 'KEYTURN_ISSUER is http://192.0.2.1:8080'],
    [{ KEYTURN_SIGNING_LEAD: '299' }, 'KEYTURN_SIGNING_LEAD'],
    [{ KEYTURN_TRUSTED_PROXIES: '0.0.0.0/0' }, 'KEYTURN_TRUSTED_PROXIES'],
  ])('%j: %s', (env, start) => {
    expect(loadSettings(env).warnings).toEqual([expect.stringContaining(start)]);
  });

  it.each([
    { KEYTURN_TOKEN_TTL: '60' },
    { KEYTURN_ISSUER: 'http://localhost:8080' },
    { KEYTURN_ISSUER: 'http://[::1]:8080' },
    { KEYTURN_HOST: '0.0.0.0', KEYTURN_ISSUER: 'https://keys.example' },
    { KEYTURN_HOST: '::1' },
  ])('none for %j', env => expect(loadSettings(env).warnings).toEqual([]));
});

describe('each file is read once', () => {
  const isMissing = (path: string) => path.startsWith('config/');
  const nothing = () => false;

  it.each([
    ['where it is by default', {}, nothing, ['config/features.json', 'config/controllers.json']],
    [
      'where somebody names it',
      { KEYTURN_FEATURES: featuresCopy, KEYTURN_CONTROLLERS: controllersCopy },
      nothing,
      [featuresCopy, controllersCopy],
    ],
    [
      'where it comes with Keyturn, there being none',
      {},
      isMissing,
      [
        'config/features.json',
        'config/controllers.json',
        path.resolve('config/features.json'),
        path.resolve('config/controllers.json'),
      ],
    ],
  ])('%s', (_, env, isGone, paths) => {
    const read: string[] = [];
    loadSettings(env, file => {
      read.push(file);
      return readFileWithMode(isGone(file) ? '/nowhere' : file);
    });
    expect(read.toSorted()).toEqual(paths.toSorted());
  });
});

describe('what is loaded', () => {
  const loaded = loadSettings({ KEYTURN_TRUSTED_PROXIES: '10.0.0.1', KEYTURN_PEPPER: pepper });

  it('is frozen, as deep as it goes', () => {
    const open = findOpen(loaded, 'loaded');
    expect(open).toEqual([]);
  });

  it('has maps that take nothing', () => {
    const { features, controllers } = loaded.catalogue;
    for (const map of [features, controllers]) {
      const change = (method: string, ...given: unknown[]) =>
        Reflect.apply(Reflect.get(map, method), map, given);
      expect(() => change('set', 'x', {})).toThrow('frozen');
      expect(() => change('delete', 'connections')).toThrow('frozen');
      expect(() => change('clear')).toThrow('frozen');
    }
  });
});

describe('the client', () => {
  it('talks to the default address without a key', () => {
    expect(loadClientSettings({})).toEqual({ url: 'http://127.0.0.1:8080' });
    expect(loadClientSettings({ KEYTURN_URL: '', KEYTURN_API_KEY: '' })).toEqual({
      url: 'http://127.0.0.1:8080',
    });
  });

  it('takes both from the environment', () => {
    const env = { KEYTURN_URL: 'https://keys.example/tenant/', KEYTURN_API_KEY: 'kt_x' };
    expect(loadClientSettings(env)).toEqual({ url: 'https://keys.example/tenant', apiKey: 'kt_x' });
  });

  it('refuses what is no base URL, and shows no password of it', () => {
    const error = failureOf(() => loadClientSettings({ KEYTURN_URL: 'https://me:hunter2@keys.example' }));
    expect(error.problems).toMatchObject([{ where: 'KEYTURN_URL', was: '"https://***@keys.example"' }]);
  });

  it('has variables that the service passes over', () => {
    expect(() => loadSettings({ KEYTURN_URL: 'x', KEYTURN_API_KEY: 'y', OTHER: 'z' })).not.toThrow();
  });
});

describe('the report', () => {
  it('has every problem of settings, file, features and controllers at once', () => {
    const badFeatures = writeFile(features.replace('"GraphQL:*"', '"Nowhere"'));
    const badControllers = writeFile('{"controllers": [,]}');
    const config = writeJson({ port: '8080', colour: 'red', features: badFeatures });
    const error = failureOf(() =>
      loadSettings({
        KEYTURN_CONFIG: config,
        KEYTURN_CONTROLLERS: badControllers,
        KEYTURN_TOKEN_TTL: '0',
        KEYTURN_TOKEN_TLL: '900',
        KEYTURN_REDIS_URL: 'redis://h',
      }),
    );
    expect(error.problems.map(problem => problem.where).sort()).toEqual(
      [
        'KEYTURN_MASTER_KEY',
        'KEYTURN_PEPPER',
        'KEYTURN_TOKEN_TLL',
        'KEYTURN_TOKEN_TTL',
        `${badControllers}:1:18`,
        `${config}#/colour`,
        `${config}#/port`,
      ].sort(),
    );
  });

  it('has the references between the two files', () => {
    const bad = writeFile(features.replace('"Personalize.Connections"', '"Personalize.Conections"'));
    expect(problemsOf({ KEYTURN_FEATURES: bad })).toEqual([
      {
        where: `${bad}#/features/0/controllers/0`,
        was: '"Personalize.Conections"',
        expected: expect.stringContaining('did you mean Personalize.Connections?'),
      },
    ]);
  });

  it('names place, value and what may stand there, in lines that no value can forge', () => {
    const error = failureOf(() =>
      loadSettings({ KEYTURN_TOKEN_TTL: '0', KEYTURN_LOG_LEVEL: '\u001b[2J\n\u202e' }),
    );
    expect(formatProblems(error)).toBe(`The configuration has 2 problems:

  KEYTURN_TOKEN_TTL
    was       0
    expected  a whole number from 2 to 86400 (seconds)

  KEYTURN_LOG_LEVEL
    was       "\\u001b[2J\\n\\u202e"
    expected  one of trace, debug, info, warn, error, fatal, silent
`);
  });

  it('makes no claims about defaults while the file of settings cannot be read', () => {
    const path = writeFile('{"pepper": "x",\n  oops}');
    const env = { KEYTURN_CONFIG: path, KEYTURN_REDIS_URL: 'redis://h', KEYTURN_PORT: 'x' };
    expect(problemsOf(env).map(problem => problem.where)).toEqual([`${path}:2:3`, 'KEYTURN_PORT']);
  });
});

function findOpen(value: unknown, way: string): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const members: [string, unknown][] = Object.entries(value);
  const children = value instanceof Map ? [...members, ...namedEntries(value)] : members;
  return [
    ...(Object.isFrozen(value) ? [] : [way]),
    ...children.flatMap(([name, child]) => findOpen(child, `${way}.${name}`)),
  ];
}

function namedEntries(map: ReadonlyMap<unknown, unknown>): [string, unknown][] {
  return [...map].map(([name, value]) => [String(name), value]);
}

describe('the catalogue that comes with Keyturn', () => {
  const without = (missing: RegExp) => (path: string) => {
    if (missing.test(path)) throw Object.assign(new Error('not there'), { code: 'ENOENT' });
    return readFileWithMode(path);
  };

  it('is used where there is none, and said to be', () => {
    const loaded = loadSettings({}, without(/^config\//));
    expect([...loaded.catalogue.features.keys()]).toContain('connections');
    expect(loaded.warnings.join()).toMatch(/the catalogue that comes with Keyturn is used/);
    expect(loadSettings({}).warnings.join()).not.toMatch(/comes with Keyturn/);
  });

  it.each<[string, NodeJS.ProcessEnv, RegExp]>([
    ['one of the two files is there', {}, /^config\/features/],
    ['one was named that is not there', { KEYTURN_FEATURES: 'lost.json' }, /^config\/|^lost/],
  ])('is not used where %s', (_, env, missing) => {
    const { problems } = failureOf(() => loadSettings(env, without(missing)));
    expect(problems.map(({ where }) => where)).toContain('KEYTURN_FEATURES');
  });
});
