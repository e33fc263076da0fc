/** What docker-compose.yml promises: a Redis that keeps what it acknowledged, and a service that may do little else. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadSettings } from '../../src/config/load.ts';
import { probe } from './probe.ts';

interface Service {
  readonly image?: string;
  readonly build?: string;
  readonly user?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly ports?: readonly string[];
  readonly networks?: readonly string[];
  readonly volumes?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly restart?: string;
  readonly stop_grace_period?: string;
}

interface Compose {
  readonly services: Readonly<Record<'keyturn' | 'redis', Service>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean } | null>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const text = readFileSync(path.resolve(import.meta.dirname, '../../docker-compose.yml'), 'utf8');
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- every member is checked below
const { services, networks, volumes } = parse(text) as Compose;
const { keyturn, redis } = services;

describe('redis', () => {
  it('is a released image, by its version', () => {
    expect(redis.image).toMatch(/^redis:\d+\.\d+(?:\.\d+)?(?:-[a-z]+)?$/);
  });

  it('keeps an append-only file, synced before it answers, and evicts nothing', () => {
    const words = redis.command ?? [];
    const valueOf = (option: string) => words[words.indexOf(option) + 1];
    expect(words[0]).toBe('redis-server');
    expect(valueOf('--appendonly')).toBe('yes');
    expect(valueOf('--appendfsync')).toBe('always');
    expect(valueOf('--maxmemory-policy')).toBe('noeviction');
  });

  it('keeps its file on a named volume', () => {
    const [volume = '', target] = redis.volumes?.[0]?.split(':') ?? [];
    expect(target).toBe('/data');
    expect(Object.keys(volumes)).toContain(volume);
  });

  it('is reached by the service alone', () => {
    expect(redis.ports).toBeUndefined();
    expect(redis.networks).toEqual(['store']);
    expect(networks['store']?.internal).toBe(true);
  });

  it('is healthy once it answers PONG', () => {
    expect(redis.healthcheck?.test.join(' ')).toMatch(/redis-cli ping\b.*\bPONG/);
  });
});

describe('keyturn', () => {
  it('is built from this checkout, and waits for a healthy Redis', () => {
    expect(keyturn.build).toBe('.');
    expect(keyturn.depends_on?.['redis']?.condition).toBe('service_healthy');
  });

  it('is given settings that it accepts, once the secrets are there', () => {
    const { settings, warnings } = loadSettings(interpolate(keyturn.environment ?? {}));
    expect(settings).toMatchObject({
      host: '0.0.0.0',
      port: 8080,
      issuer: 'http://127.0.0.1:8080',
      redisUrl: 'redis://redis:6379',
    });
    expect(warnings).toEqual([]);
  });

  it.each(['KEYTURN_PEPPER', 'KEYTURN_MASTER_KEY'])(
    'does not start without %s, and has no default for it',
    name => {
      expect(keyturn.environment?.[name]).toMatch(new RegExp(`^\\$\\{${name}:\\?[^}]+\\}$`));
    },
  );

  it('is published on the loopback address alone', () => {
    expect(keyturn.ports).toEqual(['127.0.0.1:8080:8080']);
  });

  it.each([
    [200, 0],
    [503, 1],
    ['nobody', 1],
  ] as const)('is healthy where /readyz answers 200: %s', async (answer, code) => {
    const [kind, ...command] = keyturn.healthcheck?.test ?? [];
    expect(kind).toBe('CMD');
    expect(await probe(command, answer)).toBe(code);
  });

  it('has longer to stop than it takes', () => {
    expect(Number.parseInt(keyturn.stop_grace_period ?? '', 10)).toBeGreaterThan(10);
  });

  it('has its first owner made by a command that the file names', () => {
    expect(text).toContain('docker compose run --rm keyturn init');
  });
});

describe.each(Object.entries(services))('%s', (_name, service) => {
  it('cannot write to its image, has no capability and gains none', () => {
    expect(service.read_only).toBe(true);
    expect(service.cap_drop).toEqual(['ALL']);
    expect(service.security_opt).toEqual(['no-new-privileges:true']);
  });

  it('comes back after a crash', () => {
    expect(service.restart).toBe('unless-stopped');
  });

  it('is not root', () => {
    expect(service.user ?? 'that of the Dockerfile').not.toMatch(/^(?:0|root)\b/);
    expect(service.build === undefined ? service.user : 'that of the Dockerfile').toBeDefined();
  });
});

/** As Compose does it: `${NAME:-default}`, and for `${NAME:?message}` a value. */
function interpolate(environment: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [
      name,
      value
        .replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1')
        .replaceAll(/\$\{(\w+):\?[^}]*\}/g, 'a-value-for-$1-that-is-long-enough'),
    ]),
  );
}
