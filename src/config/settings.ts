/** Owns the settings: one schema that gives their type, defaults, ranges and the words for what each may be. */
import { isIP } from 'node:net';
import { Type, type Static } from 'typebox';
import { signingAlgorithms } from '../protocol/token-header.ts';
import type { Frozen } from './frozen.ts';

/** A frozen copy of what the schema describes; times are in seconds, paths as they were given. */
export type Settings = Frozen<Static<typeof settingsSchema>>;

export type SettingName = keyof Settings;

const integer = (minimum: number, maximum: number, unit: string, options: { default?: number } = {}) =>
  Type.Integer({
    minimum,
    maximum,
    description: `a whole number from ${minimum} to ${maximum}${unit}`,
    ...options,
  });

const port = (options: { default?: number } = {}) => integer(0, 65535, ' (0 takes any free port)', options);

const path = (fallback: string) =>
  Type.String({ minLength: 1, pattern: '^[^\\u0000]+$', description: 'a path', default: fallback });

/** Each `description` is what the report says the setting may be. `format`s are those of check-schema.ts. */
export const settingsSchema = Type.Object(
  {
    host: Type.String({
      format: 'listen-host',
      description: 'an address or host name to listen on, without scheme, brackets or port',
      default: '127.0.0.1',
    }),
    port: port({ default: 8080 }),
    issuer: Type.Optional(
      Type.String({
        format: 'issuer',
        description:
          'an http or https URL in its normal form (lower-case host, no default port), without trailing slash, query, fragment or user',
      }),
    ),
    audience: Type.Optional(
      Type.String({ pattern: '^[\\x21-\\x7e]{1,512}$', description: 'a URI or name without white space' }),
    ),
    redisUrl: Type.Optional(
      Type.String({
        format: 'redis-url',
        description:
          'redis[s]://[user:password@]host[:port][/db], redis[s]+sentinel://host:port,host:port/<master>[?db=] or redis[s]+cluster://host:port,host:port; reserved characters in user and password percent-encoded, no user without a password',
      }),
    ),
    dataDir: path('./data'),
    tokenTtl: integer(2, 86400, ' (seconds)', { default: 900 }),
    signingAlg: Type.Enum([...signingAlgorithms], {
      description: `one of ${signingAlgorithms.join(', ')}`,
      default: 'ES256',
    }),
    peppers: Type.Optional(
      Type.Array(Type.String({ minLength: 16, description: 'at least 16 characters for each pepper' }), {
        minItems: 1,
        uniqueItems: true,
        description: 'one or more peppers, separated by commas or white space, no two equal',
      }),
    ),
    masterKey: Type.Optional(Type.String({ minLength: 16, description: 'at least 16 characters' })),
    features: path('config/features.json'),
    controllers: path('config/controllers.json'),
    maxStaleness: integer(1, 60, ' (seconds)', { default: 5 }),
    signingLead: integer(0, 31_536_000, ' (seconds)', { default: 900 }),
    signingPeriod: integer(1, 315_360_000, ' (seconds)', { default: 2_592_000 }),
    anonymousUser: Type.Optional(user()),
    forbiddenUsers: Type.Array(user(), {
      description: 'a list of user names',
      default: ['sitecore\\admin'],
    }),
    upstreamTimeout: integer(1, 3600, ' (seconds)', { default: 30 }),
    metricsPort: Type.Optional(port()),
    trustedProxies: Type.Array(
      Type.String({
        format: 'address-or-cidr',
        description: 'an IP address, or a range such as 10.0.0.0/8 or fd00::/8',
      }),
      { description: 'a list of IP addresses and CIDR ranges', default: [] },
    ),
    logLevel: Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
      description: 'one of trace, debug, info, warn, error, fatal, silent',
      default: 'info',
    }),
  },
  { additionalProperties: false },
);

/**
 * The issuer and the default audience, which are known only once the port is (port 0 takes any).
 * `actualPort` is the port that the server listens on.
 */
export function resolveIssuer(
  settings: Pick<Settings, 'host' | 'issuer' | 'audience'>,
  actualPort: number,
): { issuer: string; audience: string } {
  const host = isIP(settings.host) === 6 ? `[${settings.host}]` : settings.host;
  const issuer = settings.issuer ?? new URL(`http://${host}:${actualPort}`).origin;
  return { issuer, audience: settings.audience ?? issuer };
}

function user() {
  return Type.String({
    pattern: '^[^\\u0000-\\u001f\\u007f,;]{1,256}$',
    description: 'a user name of up to 256 characters, without commas, semicolons or control characters',
  });
}
