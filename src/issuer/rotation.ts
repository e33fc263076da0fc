/**
 * Rotation: a key gets a new secret and keeps its id. Pure: from the key as it is to the key as it is to be. At most two
 * secrets live at a time, and every deadline is judged at use from the record, so no clock work is lost with a process.
 */
import { type Static, Type } from 'typebox';
import { Problem } from '../protocol/errors.ts';
import { type ApiKey, type KeySecret, livingSecrets, statusOf } from './api-key.ts';

const grace = Type.Optional(Type.Integer({ minimum: 0, maximum: 31_536_000 }));

/** The body of a rotation request; `grace` in seconds. */
export const rotationSchema = Type.Union([
  /** Both secrets work for `grace` from now on. */
  Type.Object({ mode: Type.Literal('overlap'), grace }, { additionalProperties: false }),
  /** Both work until the new one is first used, and for `grace` from then on. */
  Type.Object({ mode: Type.Literal('first-use'), grace }, { additionalProperties: false }),
  /** The old secret, and every token, ends at once. */
  Type.Object({ mode: Type.Literal('now') }, { additionalProperties: false }),
]);

export type RotationRequest = Static<typeof rotationSchema>;

/** Seconds that an old secret has left, where the request does not say. */
const standardGrace = 86_400;

/**
 * @param made the new secret; it may have been made for the key as it was before somebody else's rotation
 * @throws {Problem} `conflict` where a rotation is under way, or the key is not one that can be used
 */
export function startRotation(key: ApiKey, request: RotationRequest, made: KeySecret, now: number): ApiKey {
  const [current, ...more] = livingSecrets(key, now);
  const status = statusOf(key, now);
  if (status !== 'active' && status !== 'draft')
    throw new Problem('conflict', `The API key is ${status}: it cannot be rotated.`);
  if (key.secrets.length === 0)
    throw new Problem('conflict', 'The API key has no secret to rotate: give it another publicJwk.');
  if (current === undefined || more.length > 0) {
    throw new Problem('conflict', 'A rotation is under way: let it end, or cancel it, before the next one.');
  }
  const secret = withTimeOfItsOwn(made, key);
  if (request.mode === 'now') return { ...key, secrets: [secret], version: key.version + 1, updatedAt: now };
  const milliseconds = (request.grace ?? standardGrace) * 1000;
  const secrets =
    request.mode === 'overlap'
      ? [retire(key, current, now + milliseconds), secret]
      : [current, { ...secret, firstUseGrace: milliseconds }];
  return { ...key, secrets, updatedAt: now };
}

/** The time of its making tells a secret from the key's others. */
function withTimeOfItsOwn(secret: KeySecret, { secrets }: ApiKey): KeySecret {
  const createdAt = Math.max(secret.createdAt, ...secrets.map(other => other.createdAt + 1));
  return { ...secret, createdAt };
}

/**
 * Takes the new secret back; the old one stays as if nothing had been. Where the new one may have been used, every token
 * ends with it.
 *
 * @throws {Problem} `conflict` where no rotation is under way
 */
export function cancelRotation(key: ApiKey, now: number): ApiKey {
  const [old, fresh] = livingSecrets(key, now);
  if (old === undefined || fresh === undefined)
    throw new Problem('conflict', 'No rotation of this API key is under way.');
  const { retiresAt: _, ...kept } = old;
  const version = fresh.firstUseGrace === undefined ? key.version + 1 : key.version;
  return { ...key, secrets: [kept], version, updatedAt: now };
}

/** Notes that a secret is used: the first use of a new one starts the clock of the old one. */
export function noteFirstUse(key: ApiKey, used: KeySecret, now: number): ApiKey {
  if (used.firstUseGrace === undefined) return key;
  const grace = used.firstUseGrace;
  const secrets = livingSecrets(key, now).map(secret => {
    if (secret.createdAt !== used.createdAt) return retire(key, secret, now + grace);
    const { firstUseGrace: _, ...active } = secret;
    return active;
  });
  return { ...key, secrets, updatedAt: now };
}

/** Never past the key's own expiry. */
function retire({ expiresAt = Infinity }: ApiKey, secret: KeySecret, at: number): KeySecret {
  return { ...secret, retiresAt: Math.min(at, expiresAt, secret.retiresAt ?? Infinity) };
}
