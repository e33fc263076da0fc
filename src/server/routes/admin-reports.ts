/** What the admin API tells and does not change: the audit, the catalogue, the state of the peppers. */
import type { Catalogue } from '../../config/catalogue.ts';
import type { Audit } from '../../issuer/audit.ts';
import { presentEntry } from '../../issuer/audit-view.ts';
import type { PepperReport } from '../../issuer/pepper-report.ts';
import { type AdminAction, jsonAnswer } from '../admin-call.ts';
import { compileQuerySchema } from '../validate.ts';
import { auditQuerySchema, pageSize } from './admin-queries.ts';

export interface AdminReportsOptions {
  readonly audit: Audit;
  readonly catalogue: Catalogue;
  readonly pepperReport: () => Promise<PepperReport>;
}

const checkAuditQuery = compileQuerySchema(auditQuerySchema);

export function createAdminReports({ audit, catalogue, pepperReport }: AdminReportsOptions) {
  return {
    audit: (async ({ querystring }) => {
      const query = checkAuditQuery(querystring);
      const { cursor, ...filters } = query;
      const from = cursor === undefined ? {} : { cursor: Number(cursor) };
      const { items, next } = await audit.list({ ...filters, ...from, limit: pageSize(query) });
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
