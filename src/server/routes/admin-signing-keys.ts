/** `/admin/signing-keys`: the ring, and what an owner does to it. */
import { Type } from 'typebox';
import { type Audit, underAudit } from '../../issuer/audit.ts';
import type { SigningKeyChanges } from '../../issuer/signing-key-changes.ts';
import type { SigningKeyView } from '../../issuer/signing-key-view.ts';
import { signingAlgorithms } from '../../protocol/token-header.ts';
import { type AdminAction, jsonAnswer } from '../admin-call.ts';
import { compileSchema } from '../validate.ts';

export interface AdminSigningKeysOptions {
  readonly audit: Audit;
  readonly listSigningKeys: () => readonly SigningKeyView[];
  readonly signingKeyChanges: SigningKeyChanges;
}

/** The body of `POST /admin/signing-keys/rotate`. */
export const signingKeyRotationSchema = Type.Object(
  {
    alg: Type.Optional(Type.Enum([...signingAlgorithms])),
    now: Type.Optional(Type.Boolean({ description: 'Whether it is to sign at once, without the lead.' })),
  },
  { additionalProperties: false },
);

/** The body of `POST /admin/signing-keys`. */
export const signingKeyImportSchema = Type.Object(
  {
    jwk: Type.Record(Type.String(), Type.Unknown(), { description: 'A private JWK.' }),
    activate: Type.Optional(
      Type.Boolean({ description: 'Whether it is to sign at once, without the lead.' }),
    ),
  },
  { additionalProperties: false },
);

const checkRotation = compileSchema(signingKeyRotationSchema);
const checkImport = compileSchema(signingKeyImportSchema);

export function createAdminSigningKeys({
  audit,
  listSigningKeys,
  signingKeyChanges: changes,
}: AdminSigningKeysOptions) {
  return {
    list: (async () => jsonAnswer(200, { items: listSigningKeys() })) satisfies AdminAction,

    rotate: (async ({ body, actor }) => {
      const request = checkRotation(body);
      const what = { actor, action: 'signing_key.rotate', target: 'signing_keys' };
      return jsonAnswer(201, await underAudit(audit, what, announce => changes.rotate(request, announce)));
    }) satisfies AdminAction,

    bring: (async ({ body, actor }) => {
      const { jwk, activate = false } = checkImport(body);
      const own = await changes.readOwn(jwk);
      const what = { actor, action: 'signing_key.import', target: `signing_key/${own.kid}` };
      return jsonAnswer(
        201,
        await underAudit(audit, what, announce => changes.bring(own, activate, announce)),
      );
    }) satisfies AdminAction,

    revoke: (async ({ parameters, actor }) => {
      const kid = parameters['kid'] ?? '';
      const what = { actor, action: 'signing_key.revoke', target: `signing_key/${kid}` };
      return jsonAnswer(200, await underAudit(audit, what, announce => changes.revoke(kid, announce)));
    }) satisfies AdminAction,
  };
}
