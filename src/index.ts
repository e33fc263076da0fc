/** Keyturn as a library: the whole service, embedded in an application. */
export { openService, type Service, type Surroundings } from './compose.ts';
export { type LoadedSettings, loadSettings } from './config/load.ts';
export { ConfigurationError, formatProblems } from './config/problems.ts';
export { createLogger } from './server/logger.ts';
