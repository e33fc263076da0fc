/** What the deployment's secrets do, and what they refuse. */
import { describe, expect, it } from 'vitest';
import { createVault, VaultError } from '../../src/issuer/vault.ts';

const masterKey = 'a-master-key-of-some-length';
const [old, fresh] = ['an-old-pepper-of-some-length', 'a-new-pepper-of-some-length'];
const vault = createVault({ peppers: [old], masterKey });

describe('a hashed secret', () => {
  it('is verified by its own key id alone', () => {
    const hash = vault.hashSecret('id-1', 'secret');
    expect(vault.verifySecret('id-1', 'secret', hash)).toBe(true);
    expect(vault.verifySecret('id-1', 'Secret', hash)).toBe(false);
    expect(vault.verifySecret('id-2', 'secret', hash)).toBe(false);
    expect(vault.verifySecret('id-1', 'secret', undefined)).toBe(false);
  });

  it.each(['', 'AAAA', 'not base64 at all'])('that is damaged (%j) verifies nothing', hash => {
    expect(vault.verifySecret('id-1', 'secret', { hash, pepper: vault.pepperId })).toBe(false);
  });

  it('verifies under a retired pepper, and not where its pepper is gone', () => {
    const hash = vault.hashSecret('id-1', 'secret');
    const rotated = createVault({ peppers: [fresh, old], masterKey });
    expect(rotated.verifySecret('id-1', 'secret', hash)).toBe(true);
    expect(rotated.hashSecret('id-1', 'secret').pepper).toBe(rotated.pepperId);
    expect(rotated.pepperId).not.toBe(vault.pepperId);
    expect(createVault({ peppers: [fresh], masterKey }).verifySecret('id-1', 'secret', hash)).toBe(false);
  });

  it('does not verify under another pepper of which it claims to be', () => {
    const rotated = createVault({ peppers: [fresh, old], masterKey });
    const { hash } = vault.hashSecret('id-1', 'secret');
    expect(rotated.verifySecret('id-1', 'secret', { hash, pepper: rotated.pepperId })).toBe(false);
  });
});

describe('a sealed text', () => {
  it('opens in its own context under its own master key alone', () => {
    const sealed = vault.seal('private', 'key 1');
    expect(vault.unseal(sealed, 'key 1')).toBe('private');
    expect(sealed).not.toContain('private');
    expect(() => vault.unseal(sealed, 'key 2')).toThrow(VaultError);
    expect(() =>
      createVault({ peppers: [old], masterKey: 'another-master-key-here' }).unseal(sealed, 'key 1'),
    ).toThrow(VaultError);
  });

  it('does not open once any byte of it has changed', () => {
    const bytes = Buffer.from(vault.seal('private', 'key 1'), 'base64url');
    for (let place = 0; place < bytes.length; place += 1) {
      const changed = Buffer.from(bytes);
      changed[place]! ^= 1;
      expect(() => vault.unseal(changed.toString('base64url'), 'key 1')).toThrow(VaultError);
    }
    expect(() => vault.unseal('', 'key 1')).toThrow(VaultError);
  });

  it('is another one each time', () => {
    expect(vault.seal('private', 'key 1')).not.toBe(vault.seal('private', 'key 1'));
  });
});

describe('an authentication code', () => {
  it('fits one text under one name under one master key', () => {
    const code = vault.authenticate('key/1', '{"a":1}');
    expect(vault.isAuthentic('key/1', '{"a":1}', code)).toBe(true);
    expect(vault.isAuthentic('key/2', '{"a":1}', code)).toBe(false);
    expect(vault.isAuthentic('key/1', '{"a":2}', code)).toBe(false);
    expect(vault.isAuthentic('key/1', '{"a":1}', '')).toBe(false);
    expect(
      createVault({ peppers: [old], masterKey: 'another-master-key-here' }).isAuthentic(
        'key/1',
        '{"a":1}',
        code,
      ),
    ).toBe(false);
  });
});
