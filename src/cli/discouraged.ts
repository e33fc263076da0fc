/** What works and is discouraged: lists that allow everything. */
import { anyController } from '../protocol/controllers.ts';
import { anyOrigin } from '../protocol/origin.ts';
import type { JsonObject } from './admin-client.ts';
import { say, type Terminal } from './terminal.ts';

/** @param holder a key or an account, as the admin API shows it */
export function warnOfWildcards(terminal: Terminal, holder: JsonObject): void {
  if (allowsAnyOrigin(holder))
    say(terminal, 'Discouraged: with the origin * pages of every site may use it. Name the origins.');
  if (allowsAnyController(holder))
    say(
      terminal,
      'Discouraged: with the controller * it gets what is added to its feature later. Name the controllers.',
    );
}

export function allowsAnyOrigin({ corsOrigins }: JsonObject): boolean {
  return Array.isArray(corsOrigins) && corsOrigins.includes(anyOrigin);
}

export function allowsAnyController({ allowedControllers }: JsonObject): boolean {
  return Array.isArray(allowedControllers) && allowedControllers.includes(anyController);
}
