/** Keyturn as a library: the whole service, embedded in an application. */
export { openService, type Service, type Surroundings, type Welcome } from './compose.ts';
export { type LoadedSettings, loadSettings } from './config/load.ts';
export { ConfigurationError, formatProblems } from './config/problems.ts';
export { WrongSecrets } from './issuer/deployment.ts';
export { VaultError } from './issuer/vault.ts';
export { createLogger } from './server/logger.ts';
export { StoreUnavailable } from './store/store.ts';
