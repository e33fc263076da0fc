/** A key that somebody brings: what is taken, and what is refused without a word of it. */
import { createPrivateKey, generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { readPrivateJwk } from '../../src/issuer/private-jwk.ts';
import { Problem } from '../../src/protocol/errors.ts';

const make = {
  ec: (namedCurve = 'P-256') => generateKeyPairSync('ec', { namedCurve }).privateKey,
  rsa: (modulusLength = 2048, publicExponent = 65_537) =>
    generateKeyPairSync('rsa', { modulusLength, publicExponent }).privateKey,
  ed25519: () => generateKeyPairSync('ed25519').privateKey,
  x25519: () => generateKeyPairSync('x25519').privateKey,
};

type Jwk = Record<string, unknown>;
const exported = (key: { export(options: { format: 'jwk' }): JsonWebKey }): Jwk => ({
  ...key.export({ format: 'jwk' }),
});
const [ec, otherEc, rsa, otherRsa, ed, otherEd] = [
  exported(make.ec()),
  exported(make.ec()),
  exported(make.rsa()),
  exported(make.rsa()),
  exported(make.ed25519()),
  exported(make.ed25519()),
];

describe('a private JWK is taken', () => {
  it.each<[string, Jwk, string]>([
    ['on P-256', ec, 'ES256'],
    ['of RSA', rsa, 'RS256'],
    ['on Ed25519', ed, 'EdDSA'],
    ['that says what it is for', { ...ec, alg: 'ES256', use: 'sig', key_ops: ['sign', 'verify'] }, 'ES256'],
    ['under the newer name of its algorithm', { ...ed, alg: 'Ed25519' }, 'EdDSA'],
    ['with members that are not ours to know', { ...ec, x5c: ['MIIB'], ext: true, iat: 1 }, 'ES256'],
  ])('%s', (_, jwk, alg) => {
    const read = readPrivateJwk(jwk);
    expect(read.alg).toBe(alg);
    expect(read.kid).toBeUndefined();
    expect(read.privateKey.equals(createPrivateKey({ key: jwk, format: 'jwk' }))).toBe(true);
    expect(Object.keys(read.publicKey.export({ format: 'jwk' }))).not.toContain('d');
  });

  it.each<[unknown, string | undefined]>([
    ['key-1', 'key-1'],
    ['A.b_c~d-9', 'A.b_c~d-9'],
    ['x'.repeat(200), 'x'.repeat(200)],
    ['x'.repeat(201), undefined],
    ['', undefined],
    ['.', undefined],
    ['..', undefined],
    ['https://vault.example/keys/1', undefined],
    ['a\r\nb', undefined],
    [42, undefined],
  ])('with the id %j as %j', (kid, taken) => {
    expect(readPrivateJwk({ ...ec, kid }).kid).toBe(taken);
  });
});

describe('a private JWK is refused', () => {
  const { d: _d, ...publicEc } = ec;
  const { y: _y, ...withoutY } = ec;
  const { qi: _qi, ...withoutQi } = rsa;
  it.each<[string, Jwk, string]>([
    ['that is public', publicEc, '/jwk/d'],
    ['that lacks a part', withoutY, '/jwk/y'],
    ['that lacks a part of RSA', withoutQi, '/jwk/qi'],
    ['that is symmetric', { kty: 'oct', k: 'c2VjcmV0LXNlY3JldC1zZWNyZXQ' }, '/jwk/kty'],
    ['of no kind', {}, '/jwk/kty'],
    ['on another curve', exported(make.ec('P-384')), '/jwk/kty'],
    ['that only agrees on keys', exported(make.x25519()), '/jwk/kty'],
    ['that is short', exported(make.rsa(1024)), '/jwk/n'],
    ['with a small exponent', exported(make.rsa(2048, 3)), '/jwk/e'],
    ['for another algorithm', { ...rsa, alg: 'PS256' }, '/jwk/alg'],
    ['for the algorithm none', { ...ec, alg: 'none' }, '/jwk/alg'],
    ['for encryption', { ...rsa, use: 'enc' }, '/jwk/use'],
    ['for verifying alone', { ...ec, key_ops: ['verify'] }, '/jwk/key_ops'],
    ['whose purposes are no list', { ...ec, key_ops: 'sign' }, '/jwk/key_ops'],
    ['of three primes', { ...rsa, oth: [] }, '/jwk/oth'],
    ['with a number for a part', { ...ec, d: 7 }, '/jwk/d'],
    ['in standard base64', { ...ec, d: `${String(ec['d']).slice(0, -1)}=` }, '/jwk/d'],
    ['whose point is on no curve', { ...ec, y: ec['x'] }, '/jwk'],
    ['with the private part of another', { ...ec, d: otherEc['d'] }, '/jwk'],
    ['with the public part of another', { ...ed, x: otherEd['x'] }, '/jwk'],
    ['of RSA with the modulus of another', { ...rsa, n: otherRsa['n'] }, '/jwk'],
    ['with a part that is cut off', { ...ed, d: String(ed['d']).slice(0, 20) }, '/jwk'],
  ])('%s, by its place', (_, jwk, pointer) => {
    const thrown = catchProblem(() => readPrivateJwk(jwk));
    expect(thrown.code).toBe('validation_failed');
    expect(thrown.errors).toMatchObject([{ pointer }]);
    const said = inspect(thrown, { depth: 9 });
    const long = Object.values(jwk).filter(value => typeof value === 'string' && value.length > 15);
    expect(long.filter(value => said.includes(String(value)))).toEqual([]);
  });
});

function catchProblem(act: () => unknown): Problem {
  try {
    act();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}
