/**
 * Whose assertion is this? Whoever cannot sign for the key learns nothing from the answer, neither in words nor in time:
 * where there is no key to check the signature by, another one is taken. An assertion works once, at whichever instance.
 */
import { createHash } from 'node:crypto';
import { compactVerify, errors } from 'jose';
import type { Revocations } from '../access/revocations.ts';
import { BadCredential } from '../protocol/errors.ts';
import type { Clock, Store } from '../store/store.ts';
import type { ApiKey } from './api-key.ts';
import type { ApiKeys } from './api-keys.ts';
import { isNamed } from './authenticate-key.ts';
import { type ClientAssertion, endOf, faultOf, readAssertion } from './client-assertion.ts';
import { type KeyUsage, ofAssertions } from './key-usage.ts';
import {
  algorithmsOf,
  type AssertionAlgorithm,
  importPublicJwk,
  isSameJwk,
  type PublicJwk,
} from './public-jwk.ts';
import { catchUp } from './settle-use.ts';

export interface AssertionAuthenticator {
  /**
   * The key that signed; the assertion is used up with it. Whether the key may be used now is not looked at.
   *
   * @param clientId the client that the request names beside it
   * @throws {BadCredential} `invalid_client`
   * @throws {StoreUnavailable} where it cannot be told, and the assertion may be used up
   */
  authenticate(text: string, clientId: string | undefined): Promise<ApiKey>;
  /** The key as it is after the use; undefined where it was removed, or its public key changed, in that moment. */
  settle(key: ApiKey, address: string): Promise<ApiKey | undefined>;
}

export interface AssertionAuthenticatorOptions {
  readonly issuer: string;
  readonly apiKeys: ApiKeys;
  readonly store: Store;
  readonly revocations: Revocations;
  readonly usage: KeyUsage;
  readonly clock: Clock;
  /** Rejects where the store is not the one that this instance knows. */
  readonly confirm: () => Promise<void>;
  /** Whether that was confirmed a moment ago. */
  readonly isConfirmed: () => boolean;
}

export function createAssertionAuthenticator(options: AssertionAuthenticatorOptions): AssertionAuthenticator {
  const { issuer, apiKeys, usage, clock, confirm, isConfirmed } = options;
  const audiences = [issuer, `${issuer}/oauth/token`, `${issuer}/v2/oauth/token`];
  return {
    async authenticate(text, clientId) {
      const assertion = readAssertion(text);
      if (assertion === undefined) throw refused();
      const key = (await apiKeys.find(assertion.keyId))?.value;
      const isSigned = await isSignedBy(key?.publicJwk, assertion);
      if (key === undefined || !isSigned || !isNamed(key.id, clientId)) {
        await confirm();
        throw refused();
      }
      if (!isConfirmed()) await confirm();
      const fault = faultOf(assertion, { audiences, now: clock() });
      if (fault !== undefined) throw new BadCredential('invalid_client', fault);
      await useUp(assertion, options);
      return key;
    },
    async settle(key, address) {
      const settled = await catchUp(key, options);
      if (settled === undefined || !isSameJwk(settled.publicJwk, key.publicJwk)) return undefined;
      usage.note(key.id, { secret: ofAssertions, at: clock(), from: address });
      return settled;
    },
  };
}

/** The same words, whatever it was that does not hold. */
export function refused(): BadCredential {
  return new BadCredential(
    'invalid_client',
    'The client assertion is not valid. Sign it with the private key of the publicJwk; iss and sub are the id of the API key.',
  );
}

/** Each way costs one import and one check of a signature. */
async function isSignedBy(jwk: PublicJwk | undefined, assertion: ClientAssertion): Promise<boolean> {
  const isFit =
    jwk !== undefined &&
    algorithmsOf(jwk).includes(assertion.alg) &&
    (jwk.kid === undefined || assertion.kid === undefined || jwk.kid === assertion.kid);
  const holds = await verifySignature(isFit ? jwk : decoys[assertion.alg], assertion);
  return isFit && holds;
}

async function verifySignature(jwk: PublicJwk, { text, alg }: ClientAssertion): Promise<boolean> {
  try {
    await compactVerify(text, importPublicJwk(jwk), { algorithms: [alg] });
    return true;
  } catch (error) {
    if (error instanceof errors.JOSEError) return false;
    throw error;
  }
}

/** Their private keys are no secret: what they sign is refused all the same. The base points, and a number. */
const edwards: PublicJwk = { kty: 'OKP', crv: 'Ed25519', x: 'WGZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY' };
const rsa: PublicJwk = { kty: 'RSA', n: Buffer.alloc(256, 0xff).toString('base64url'), e: 'AQAB' };
const decoys: Record<AssertionAlgorithm, PublicJwk> = {
  ES256: {
    kty: 'EC',
    crv: 'P-256',
    x: 'axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY',
    y: 'T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU',
  },
  EdDSA: edwards,
  Ed25519: edwards,
  RS256: rsa,
  PS256: rsa,
};

/** RFC 7523 section 3, point 7: of all who come with it, at whichever instance, one creates the record. */
async function useUp(assertion: ClientAssertion, { store }: AssertionAuthenticatorOptions): Promise<void> {
  const { keyId, claims } = assertion;
  const digest = createHash('sha256')
    .update(`${keyId}\n${String(claims['jti'])}`)
    .digest('base64url');
  const expiresAt = (Math.ceil(endOf(assertion)) + spare) * 1000;
  if (await store.create(`assertion/${digest}`, keyId, { expiresAt })) return;
  throw new BadCredential(
    'invalid_client',
    'The jti of the client assertion was used before: make a new assertion for each request.',
  );
}

/** Seconds that a used assertion is remembered beyond its end: instances differ in their clocks. */
const spare = 60;
