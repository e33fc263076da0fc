/** What the admin API tells and does not change: the audit, the catalogue, the state of the peppers. */
import { Type } from 'typebox';
import type { Catalogue } from '../../config/catalogue.ts';
import { type Audit, presentEntry } from '../../issuer/audit.ts';
import type { PepperReport } from '../../issuer/pepper-report.ts';
import { type AdminAction, jsonAnswer } from '../admin-call.ts';
import { compileSchema } from '../validate.ts';

export interface AdminReportsOptions {
  readonly audit: Audit;
  readonly catalogue: Catalogue;
  readonly pepperReport: () => Promise<PepperReport>;
}

const checkAuditQuery = compileSchema(
  Type.Object(
    {
      cursor: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,14}$' })),
      limit: Type.Optional(Type.String({ pattern: '^([1-9]|[1-9][0-9]|100)$' })),
      key: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
      account: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
      action: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
    },
    { additionalProperties: false },
  ),
);

export function createAdminReports({ audit, catalogue, pepperReport }: AdminReportsOptions) {
  return {
    audit: (async ({ querystring }) => {
      const { cursor, limit, ...filters } = checkAuditQuery(
        Object.fromEntries(new URLSearchParams(querystring)),
        'malformed_request',
      );
      const from = cursor === undefined ? {} : { cursor: Number(cursor) };
      const { items, next } = await audit.list({ ...filters, ...from, limit: Number(limit ?? 50) });
      return jsonAnswer(200, {
        items: items.map(presentEntry),
        next: next === undefined ? null : String(next),
      });
    }) satisfies AdminAction,

    verifyAudit: (async () => jsonAnswer(200, await audit.verify())) satisfies AdminAction,
    features: (async () =>
      jsonAnswer(200, { items: [...catalogue.features.values()] })) satisfies AdminAction,
    controllers: (async () =>
      jsonAnswer(200, { items: [...catalogue.controllers.values()] })) satisfies AdminAction,
    peppers: (async () => jsonAnswer(200, await pepperReport())) satisfies AdminAction,
  };
}
