/** What may be the public key of an API key, and what is said of what may not: never a value. */
import { generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { algorithmsOf, type PublicJwk, readPublicJwk } from '../../src/issuer/public-jwk.ts';

const elliptic = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ec = elliptic.publicKey.export({ format: 'jwk' });
const okp = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
const rsaPair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const rsa = rsaPair.publicKey.export({ format: 'jwk' });

function read(jwk: Record<string, unknown>): { jwk: PublicJwk | undefined; faults: string[]; said: string } {
  const faults: string[] = [];
  let said = '';
  const kept = readPublicJwk(jwk, (member, detail) => {
    faults.push(member);
    said += detail;
  });
  return { jwk: kept, faults, said };
}

describe('a public JWK', () => {
  it.each<[string, JsonWebKey, Record<string, unknown>, string[]]>([
    ['P-256', ec, {}, ['ES256']],
    ['P-256 by its name', ec, { alg: 'ES256', use: 'sig', key_ops: ['verify'], kid: 'a kid' }, ['ES256']],
    ['Ed25519', okp, {}, ['EdDSA', 'Ed25519']],
    ['Ed25519 by its name', okp, { alg: 'EdDSA' }, ['EdDSA', 'Ed25519']],
    ["Ed25519 by its curve's name", okp, { alg: 'Ed25519' }, ['EdDSA', 'Ed25519']],
    ['RSA', rsa, {}, ['RS256']],
    ['RSA for PS256', rsa, { alg: 'PS256' }, ['PS256']],
  ])('of %s is kept as it is, and is for its algorithm alone', (_, key, more, algorithms) => {
    const { jwk, faults } = read({ ...key, ...more });
    expect(faults).toEqual([]);
    expect(jwk).toEqual({ ...key, ...more });
    expect(jwk && algorithmsOf(jwk)).toEqual(algorithms);
  });

  it('is kept without what it is not', () => {
    const extras = {
      ext: true,
      x5c: ['AAAA'],
      x5u: 'https://elsewhere.example',
      jku: 1,
      y: ec.y,
      comment: 'ours',
    };
    expect(read({ ...okp, ...extras }).jwk).toEqual(okp);
  });

  it.each<[string, Record<string, unknown>, string[]]>([
    ['a private key', elliptic.privateKey.export({ format: 'jwk' }), ['d']],
    ['a private RSA key', rsaPair.privateKey.export({ format: 'jwk' }), ['d', 'p', 'q', 'dp', 'dq', 'qi']],
    ['a private member that is empty', { ...ec, d: '' }, ['d']],
    ['a private member that is null', { ...rsa, oth: null }, ['oth']],
    ['a symmetric key', { kty: 'oct', k: 'c2VjcmV0LXRoYXQtaXM' }, ['k', 'kty']],
    ['a symmetric key beside a public one', { ...ec, k: 'c2VjcmV0LXRoYXQtaXM' }, ['k']],
    ['no key', {}, ['kty']],
    ['a set of keys', { keys: [ec] }, ['kty']],
    ['a kty in another case', { ...ec, kty: 'ec' }, ['kty']],
    ['a kty that is no text', { ...ec, kty: ['EC'] }, ['kty']],
    ['a curve that is none of ours', keyOn('P-384'), ['kty']],
    ['a curve of Bitcoin', keyOn('secp256k1'), ['kty']],
    ['a curve for agreement', { ...okp, crv: 'X25519' }, ['kty']],
    ['Ed448', generateKeyPairSync('ed448').publicKey.export({ format: 'jwk' }), ['kty']],
    ['a point without y', { ...ec, y: undefined }, ['y']],
    ['a point beside the curve', { ...ec, y: ec.x }, ['']],
    ['coordinates of zeros', { ...ec, x: 'A'.repeat(43), y: 'A'.repeat(43) }, ['']],
    ['a coordinate that is short', { ...ec, x: 'AQ' }, ['x']],
    ['a coordinate with padding', { ...ec, x: `${ec.x}=` }, ['x']],
    ['a coordinate that is a number', { ...ec, x: 5 }, ['x']],
    ['a coordinate of other bits', { ...ec, x: otherSpelling(ec.x) }, ['x']],
    ['an Edwards point that is long', { ...okp, x: 'A'.repeat(44) }, ['x']],
    ['RSA of 1024 bits', rsaOf(1024), ['n']],
    ['RSA of 2047 bits', { ...rsa, n: bytes(Buffer.alloc(256, 0x7f)) }, ['n']],
    ['RSA beyond 4096 bits', { ...rsa, n: bytes(Buffer.alloc(520, 0xff)) }, ['n']],
    ['an exponent of 1', { ...rsa, e: 'AQ' }, ['e']],
    ['an even exponent', { ...rsa, e: 'BA' }, ['e']],
    ['an exponent of many bits', { ...rsa, e: bytes(Buffer.alloc(9, 0xff)) }, ['e']],
    ['an algorithm of another kind', { ...ec, alg: 'RS256' }, ['alg']],
    ['an algorithm that is weaker', { ...rsa, alg: 'RS1' }, ['alg']],
    ['a symmetric algorithm', { ...ec, alg: 'HS256' }, ['alg']],
    ['no algorithm', { ...ec, alg: 'none' }, ['alg']],
    ['another use', { ...ec, use: 'enc' }, ['use']],
    ['other operations', { ...ec, key_ops: ['sign'] }, ['key_ops']],
    ['no operations', { ...ec, key_ops: [] }, ['key_ops']],
    ['operations that are no list', { ...ec, key_ops: 'verify' }, ['key_ops']],
    ['an empty kid', { ...ec, kid: '' }, ['kid']],
    ['a kid that is a number', { ...ec, kid: 1 }, ['kid']],
    ['a kid of many characters', { ...ec, kid: 'x'.repeat(256) }, ['kid']],
    ['several faults at once', { ...ec, alg: 'HS256', use: 'enc', x: 'AQ' }, ['alg', 'use', 'x']],
  ])('is not %s', (_, jwk, members) => {
    const { jwk: kept, faults, said } = read(jwk);
    expect(kept).toBeUndefined();
    expect(faults).toEqual(members);
    const values = Object.values(jwk).filter(value => typeof value === 'string' && value.length > 10);
    expect(values.filter(value => said.includes(String(value)))).toEqual([]);
  });

  it('is no point for which anyone can sign', () => {
    const points = [
      '00'.repeat(32),
      `01${'00'.repeat(31)}`,
      `01${'00'.repeat(30)}80`,
      '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
      '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
      'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
      `ec${'ff'.repeat(30)}7f`,
      `ed${'ff'.repeat(30)}ff`,
      `ee${'ff'.repeat(30)}7f`,
    ];
    for (const point of points)
      expect(read({ kty: 'OKP', crv: 'Ed25519', x: bytes(Buffer.from(point, 'hex')) }).faults).toEqual(['x']);
  });
});

function keyOn(namedCurve: string): JsonWebKey {
  return generateKeyPairSync('ec', { namedCurve }).publicKey.export({ format: 'jwk' });
}

function rsaOf(modulusLength: number): JsonWebKey {
  return generateKeyPairSync('rsa', { modulusLength }).publicKey.export({ format: 'jwk' });
}

function bytes(value: Buffer): string {
  return value.toString('base64url');
}

/** The same 32 bytes for a lenient reader: the last character's unused bits set. */
function otherSpelling(text = ''): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return text.slice(0, -1) + alphabet.charAt(alphabet.indexOf(text.at(-1) ?? 'A') + 1);
}
