/** The table of the admin API: each line is a call, and what its caller has to have. */
import type Router from '@koa/router';
import type { Logger } from 'pino';
import type { Demand } from '../../access/decide.ts';
import type { ServiceController } from '../../config/catalogue.ts';
import type { Idempotency } from '../../issuer/idempotency.ts';
import { createThrottle } from '../../issuer/throttle.ts';
import { createAdminEndpoint, createRefusalAudit, type Identify } from '../admin-call.ts';
import type { AppMiddleware, AppState } from '../context.ts';
import { createAdminAccounts, type AdminAccountsOptions } from './admin-accounts.ts';
import { createAdminKeys, type AdminKeysOptions } from './admin-keys.ts';
import { createAdminReports, type AdminReportsOptions } from './admin-reports.ts';
import { type AdminSigningKeysOptions, createAdminSigningKeys } from './admin-signing-keys.ts';
import { createSelfGuard, type SelfGuardOptions } from './self.ts';

export interface AdminServices
  extends
    AdminKeysOptions,
    AdminAccountsOptions,
    AdminReportsOptions,
    AdminSigningKeysOptions,
    Omit<SelfGuardOptions, 'guarded'> {
  readonly issuer: string;
  readonly logger: Logger;
  readonly idempotency: Idempotency;
  /** Resolves when what was changed is durable, and in force at every instance. */
  readonly settle: (era: number) => Promise<void>;
  /** The store's: what is changed settles only within one. */
  readonly era: () => number;
}

export function addAdminRoutes(
  router: Router<AppState>,
  services: AdminServices,
  guarded: (demand: Demand) => AppMiddleware,
): void {
  const { issuer, audit, catalogue, clock, logger } = services;
  const identify: Identify = ({ clientId, feature, user }) => ({
    clientId,
    ...(user !== undefined && catalogue.features.get(feature)?.role !== undefined && { account: user }),
  });
  const answer = createAdminEndpoint({ ...services, identify });
  const strangers = createThrottle({ limit: 60, window: 60, now: clock });
  const known = createThrottle({ limit: 600, window: 60, now: clock });
  const audited = createRefusalAudit({
    audit,
    identify,
    mayRecord(caller, isKnown) {
      const refusals = isKnown ? known : strangers;
      refusals.fail(caller);
      return refusals.wait(caller) === 0;
    },
    onFailure: error => logger.error({ err: error }, 'a refusal could not be written into the audit'),
  });
  const may = (controller: ServiceController, scope: string): AppMiddleware[] => [
    audited,
    guarded({ audience: issuer, controllers: [controller], scope }),
  ];

  const keys = createAdminKeys(services);
  const createKeys = may('Keyturn.Keys', 'keyturn:keys:create');
  const readKeys = may('Keyturn.Keys', 'keyturn:keys:read');
  const changeKeys = may('Keyturn.Keys', 'keyturn:keys:update');
  const deleteKeys = may('Keyturn.Keys', 'keyturn:keys:delete');
  const rotateKeys = may('Keyturn.Keys', 'keyturn:own_keys:update');
  router.post('/admin/keys', ...createKeys, answer(keys.create));
  router.get('/admin/keys', ...readKeys, answer(keys.list));
  router.get('/admin/keys/:id', ...readKeys, answer(keys.show));
  router.patch('/admin/keys/:id', ...changeKeys, answer(keys.patch));
  router.delete('/admin/keys/:id', ...deleteKeys, answer(keys.remove));
  router.post('/admin/keys/:id/publish', ...changeKeys, answer(keys.step('publish')));
  router.post('/admin/keys/:id/disable', ...changeKeys, answer(keys.step('disable')));
  router.post('/admin/keys/:id/enable', ...changeKeys, answer(keys.step('enable')));
  router.post('/admin/keys/:id/revoke', ...changeKeys, answer(keys.step('revoke')));
  router.post('/admin/keys/:id/rotations', ...rotateKeys, answer(keys.rotate));
  router.delete('/admin/keys/:id/rotations/current', ...rotateKeys, answer(keys.cancelRotation));

  const self = createSelfGuard({
    ...services,
    guarded: guarded({ audience: issuer, controllers: [], scope: undefined }),
  });
  router.post('/keys/self/rotations', audited, self, answer(keys.rotateSelf));

  const accounts = createAdminAccounts(services);
  const createAccounts = may('Keyturn.Accounts', 'keyturn:accounts:create');
  const readAccounts = may('Keyturn.Accounts', 'keyturn:accounts:read');
  const changeAccounts = may('Keyturn.Accounts', 'keyturn:accounts:update');
  const deleteAccounts = may('Keyturn.Accounts', 'keyturn:accounts:delete');
  router.post('/admin/accounts', ...createAccounts, answer(accounts.create));
  router.get('/admin/accounts', ...readAccounts, answer(accounts.list));
  router.get('/admin/accounts/:id', ...readAccounts, answer(accounts.show));
  router.patch('/admin/accounts/:id', ...changeAccounts, answer(accounts.patch));
  router.delete('/admin/accounts/:id', ...deleteAccounts, answer(accounts.remove));
  router.post('/admin/accounts/:id/access-key', ...changeAccounts, answer(accounts.createAccessKey));
  router.delete('/admin/accounts/:id/access-key', ...changeAccounts, answer(accounts.removeAccessKey));

  const reports = createAdminReports(services);
  router.get('/admin/audit', ...may('Keyturn.Audit', 'keyturn:audit:read'), answer(reports.audit));
  router.get(
    '/admin/audit/verification',
    ...may('Keyturn.Audit', 'keyturn:audit:read'),
    answer(reports.verifyAudit),
  );
  router.get(
    '/admin/features',
    ...may('Keyturn.Catalogue', 'keyturn:catalogue:read'),
    answer(reports.features),
  );
  router.get(
    '/admin/controllers',
    ...may('Keyturn.Catalogue', 'keyturn:catalogue:read'),
    answer(reports.controllers),
  );

  const signingKeys = createAdminSigningKeys(services);
  const createSigningKeys = may('Keyturn.SigningKeys', 'keyturn:signing_keys:create');
  const readSigningKeys = may('Keyturn.SigningKeys', 'keyturn:signing_keys:read');
  const changeSigningKeys = may('Keyturn.SigningKeys', 'keyturn:signing_keys:update');
  router.get('/admin/signing-keys', ...readSigningKeys, answer(signingKeys.list));
  router.post('/admin/signing-keys', ...createSigningKeys, answer(signingKeys.bring));
  router.post('/admin/signing-keys/rotate', ...createSigningKeys, answer(signingKeys.rotate));
  router.post('/admin/signing-keys/:kid/revoke', ...changeSigningKeys, answer(signingKeys.revoke));
  router.get('/admin/peppers', ...readSigningKeys, answer(reports.peppers));
}
