/** Decides whether the settings are right, each for itself and together, and what about them deserves a warning. */
import { compileSchema, type Fault } from './check-schema.ts';
import { isLoopbackUrl } from './formats.ts';
import { itemsOf } from './json-value.ts';
import { nameType, showValue, type Problem } from './problems.ts';
import { resolveIssuer, settingsSchema, type Settings } from './settings.ts';
import { placeOf, variableOf, type Sources } from './sources.ts';

/**
 * `sound` has what is right by itself; the whole settings are there if there are no problems.
 * Rules that span settings wait until all sources are known (`isComplete`).
 */
export function checkSettings(
  sources: Sources,
  isComplete: boolean,
): { settings?: Settings; sound: Partial<Settings>; problems: Problem[] } {
  const values = { ...defaults, ...givenValues(sources) };
  const faults = schema.findFaults(values);
  const sound = soundValues(values, faults);
  const problems = [
    ...faults.map(fault => locateFault(fault, sources)),
    ...(isComplete ? checkTogether(sound, sources) : []),
  ];
  return { ...(schema.accepts(values) && { settings: values }), sound, problems };
}

/** What works, and will surprise. */
export function findWarnings(settings: Settings): string[] {
  return [
    ...warnOfIssuer(settings),
    ...(settings.tokenTtl < 60
      ? [
          `KEYTURN_TOKEN_TTL is ${settings.tokenTtl}: below 60 s, Spring and Go clients count a token as expired at once`,
        ]
      : []),
    ...(settings.signingLead < 300
      ? [
          `KEYTURN_SIGNING_LEAD is ${settings.signingLead}: validators may keep the key set for 300 s and miss a new key`,
        ]
      : []),
    ...settings.trustedProxies
      .filter(range => range.endsWith('/0'))
      .map(range => `KEYTURN_TRUSTED_PROXIES has ${range}: anybody's X-Forwarded headers are believed`),
  ];
}

const schema = compileSchema(settingsSchema);

const defaults = Object.fromEntries(
  Object.entries(settingsSchema.properties).flatMap(([name, property]) =>
    'default' in property ? [[name, property.default]] : [],
  ),
);

function givenValues(sources: Sources): Record<string, unknown> {
  return Object.fromEntries(
    [...sources].flatMap(([name, source]) => (source === 'faulty' ? [] : [[name, source.value]])),
  );
}

function soundValues(values: Record<string, unknown>, faults: readonly Fault[]): Partial<Settings> {
  const faulty = new Set(faults.map(({ path }) => path[0]));
  return Object.fromEntries(Object.entries(values).filter(([name]) => !faulty.has(name)));
}

function locateFault({ path, was, expected }: Fault, sources: Sources): Problem {
  const [name = '', ...item] = path;
  const source = sources.get(name);
  if (source === undefined || source === 'faulty') return { where: variableOf(name), expected };
  const where = source.isSplit ? source.where : [source.where, ...item].join('/');
  return { where, was: showSetting(name, source.value, item[0]) ?? was, expected };
}

/** Of a secret no more than helps to find the mistake. Undefined where the value may be shown. */
function showSetting(name: string, value: unknown, item: string | undefined): string | undefined {
  if (name === 'redisUrl') return showRedisUrl(value);
  if (name !== 'peppers' && name !== 'masterKey') return undefined;
  if (item !== undefined)
    return `pepper ${Number(item) + 1}: ${describeSecret(itemsOf(value)[Number(item)])}`;
  return describeSecret(value);
}

/** Where a URL is wrong nobody can tell which part of it is the password. */
function showRedisUrl(value: unknown): string {
  const scheme =
    typeof value === 'string' ? /^rediss?(\+sentinel|\+cluster)?:\/\//.exec(value)?.[0] : undefined;
  return scheme === undefined ? `${nameType(value)} (not shown)` : `${scheme}... (not shown)`;
}

function describeSecret(value: unknown): string {
  return typeof value === 'string'
    ? `${value.length} characters (not shown)`
    : `a ${typeof value} (not shown)`;
}

/** Rules that span settings, for those that are right by themselves. */
function checkTogether(values: Partial<Settings>, sources: Sources): Problem[] {
  return [
    ...checkRedisSecrets(sources),
    ...checkSigningTimes(values, sources),
    ...checkPorts(values, sources),
    ...checkAnonymousUser(values, sources),
  ];
}

/** The embedded store makes its own, in the data directory. */
function checkRedisSecrets(sources: Sources): Problem[] {
  if (!sources.has('redisUrl')) return [];
  return ['peppers', 'masterKey']
    .filter(name => !sources.has(name))
    .map(variableOf)
    .map(where => ({
      where,
      was: 'nothing',
      expected: `at least 16 characters, here or in ${where}_FILE: Redis needs it`,
    }));
}

function checkSigningTimes({ signingLead, signingPeriod }: Partial<Settings>, sources: Sources): Problem[] {
  if (signingLead === undefined || signingPeriod === undefined || signingLead < signingPeriod) return [];
  const expected = `less than the signing period (${signingPeriod})`;
  return [{ where: placeOf('signingLead', sources), was: showValue(signingLead), expected }];
}

function checkPorts({ port, metricsPort }: Partial<Settings>, sources: Sources): Problem[] {
  if (metricsPort === undefined || metricsPort === 0 || metricsPort !== port) return [];
  const expected = 'another port than the main one, or nothing to serve /metrics there';
  return [{ where: placeOf('metricsPort', sources), was: showValue(metricsPort), expected }];
}

function checkAnonymousUser(
  { anonymousUser, forbiddenUsers }: Partial<Settings>,
  sources: Sources,
): Problem[] {
  const forbidden = forbiddenUsers?.map(name => name.toLowerCase()) ?? [];
  if (anonymousUser === undefined || !forbidden.includes(anonymousUser.toLowerCase())) return [];
  const expected = 'a user that is not among the forbidden ones';
  return [{ where: placeOf('anonymousUser', sources), was: showValue(anonymousUser), expected }];
}

function warnOfIssuer(settings: Settings): string[] {
  if (settings.issuer === undefined && /^(0\.0\.0\.0|[0:]+)$/.test(settings.host)) {
    return [
      `KEYTURN_ISSUER is not set, and nobody can reach ${settings.host}: set it to the URL that clients use`,
    ];
  }
  const { issuer } = resolveIssuer(settings, settings.port);
  if (issuer.startsWith('https:') || isLoopbackUrl(issuer)) return [];
  return [`KEYTURN_ISSUER is ${issuer}: over plain http, keys and tokens can be read on the way`];
}
