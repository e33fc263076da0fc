/** What is shown of the audit: its entries, and what a look at the whole chain has found. */
import { type Static, type TSchema, Type } from 'typebox';
import type { Frozen } from '../config/frozen.ts';
import type { Actor, AuditEntry, AuditVerification } from './audit.ts';

/** An entry as the admin API shows it. What the record has and this has not does not compile. */
export const auditEntrySchema = Type.Object({
  seq: Type.Integer(),
  at: Type.String({ format: 'date-time' }),
  action: Type.String({
    description: 'key.create, account.update, …; of a refused call its method and route.',
  }),
  target: Type.String({ description: 'key/<id>, account/<id>, or the address of a refused call.' }),
  outcome: Type.Enum(['done', 'failed', 'refused']),
  reason: Type.Optional(Type.String()),
  before: Type.Optional(Type.Unknown()),
  after: Type.Optional(Type.Unknown()),
  account: Type.Optional(Type.String()),
  clientId: Type.Optional(Type.String()),
  address: Type.String(),
  requestId: Type.String(),
  prev: Type.String({ description: 'The hash of the entry before.' }),
  hash: Type.String({ description: 'SHA-256 of this entry.' }),
} satisfies Record<Exclude<keyof AuditEntry, 'actor'> | keyof Actor, TSchema>);

export const auditVerificationSchema = Type.Object({
  entries: Type.Integer(),
  head: Type.String({ description: 'The hash of the last entry: kept elsewhere, it anchors the chain.' }),
  faults: Type.Array(
    Type.Object({
      seq: Type.Integer({ description: 'The number of the entry; 0 is the head record.' }),
      fault: Type.String(),
    }),
  ),
} satisfies Record<keyof AuditVerification, TSchema>);

export function presentEntry({ actor, at, ...rest }: AuditEntry): Frozen<Static<typeof auditEntrySchema>> {
  return { ...rest, at: new Date(at).toISOString(), ...actor };
}
