/** The guards: for tokens, for keys that are sent as themselves, and for the doors of resource routes. */
import { createDoorGuard, type DoorGuard, type DoorKeys } from '../access/doors.ts';
import { createGuard, type Guard } from '../access/guard.ts';
import { createTokenVerifier, type TokenVerifier } from '../access/verify-token.ts';
import { createDoorKeys } from '../issuer/door-keys.ts';
import { createKeyGuard, type KeyGuard } from '../issuer/key-guard.ts';
import { longestTokenLife } from '../protocol/claims.ts';
import type { Instance } from './instance.ts';
import type { Keys } from './keys.ts';
import type { Memory } from './memory.ts';

export interface Guards {
  readonly guard: Guard;
  readonly keyGuard: KeyGuard;
  readonly doorGuard: DoorGuard;
  readonly doorKeys: DoorKeys;
  /** Whatever this instance's clock says: a token that is to die may be alive elsewhere. */
  readonly timelessVerifier: TokenVerifier;
}

export function createGuards(instance: Instance, memory: Memory, keys: Keys): Guards {
  const { issuer, audience, catalogue, confirm } = instance;
  const { clock } = instance.foundation;
  const { anonymousUser } = instance.settings;
  const { revocations } = memory.revocationLog;
  const { verifier, timelessVerifier } = createVerifiers(instance, memory);
  const guard = createGuard({ verifier, revocations, now: clock });
  const keyFacts = { ...keys, issuer, audience, catalogue, revocations, clock };
  const doorKeys = createDoorKeys({ ...keyFacts, confirm, anonymousUser });
  return {
    guard,
    keyGuard: createKeyGuard(keyFacts),
    doorGuard: createDoorGuard({ guard, keys: doorKeys, issuer, revocations }),
    doorKeys,
    timelessVerifier,
  };
}

function createVerifiers({ issuer, catalogue, foundation }: Instance, { signingKeys }: Memory) {
  const plain = [...catalogue.audiences.values()].filter(({ typ }) => typ === 'JWT');
  const options = {
    issuer,
    findKey: (kid: string) => signingKeys.find(kid),
    refreshKeys: (kid: string) => signingKeys.refreshFor(kid),
    now: foundation.clock,
    longestLife: longestTokenLife,
    plainAudiences: new Set(plain.map(rule => rule.audience)),
  };
  return {
    verifier: createTokenVerifier(options),
    timelessVerifier: createTokenVerifier({ ...options, now: () => Infinity, cacheSize: 100 }),
  };
}
