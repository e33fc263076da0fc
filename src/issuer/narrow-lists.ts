/** Controllers and origins of one token: the key's own lists, or those of their entries that the request names. */
import { anyController, controllersBeyond, parseControllerList } from '../protocol/controllers.ts';
import { OAuthError } from '../protocol/errors.ts';
import { anyOrigin, parseOriginList } from '../protocol/origin.ts';
import type { Grant } from './grant.ts';

/** As Sitecore writes lists: separated by semicolons. Absent: all that the key has. */
export interface WantedLists {
  readonly controllers?: string | undefined;
  readonly origins?: string | undefined;
}

/**
 * What the key may have, its lists narrowed to what is wanted.
 *
 * @throws {OAuthError} `invalid_request` where more is wanted than the key has
 */
export function narrowLists({ controllers, origins }: WantedLists, grant: Grant): Grant {
  return {
    ...grant,
    ...(controllers !== undefined && { controllers: narrowControllers(controllers, grant.controllers) }),
    ...(origins !== undefined && { origins: narrowOrigins(origins, grant.origins) }),
  };
}

function narrowControllers(text: string, granted: readonly string[]): readonly string[] {
  const wanted = parseControllerList(text);
  if (wanted.length === 0) throw namesNothing('controllers');
  const beyond = controllersBeyond(granted, wanted);
  if (beyond.length > 0) throw wantsMore('controllers', beyond);
  return wanted.includes(anyController) ? granted : wanted;
}

function narrowOrigins(text: string, granted: readonly string[]): readonly string[] {
  const { origins: wanted, invalid } = parseOriginList(text);
  if (invalid.length > 0) {
    throw new OAuthError(
      'invalid_request',
      `origins has ${invalid.join('; ')}: write scheme, host and port alone, as https://www.example.com.`,
    );
  }
  if (wanted.length === 0) throw namesNothing('origins');
  const beyond = granted.includes(anyOrigin) ? [] : wanted.filter(origin => !granted.includes(origin));
  if (beyond.length > 0) throw wantsMore('origins', beyond);
  return wanted.includes(anyOrigin) ? granted : wanted;
}

/** Semicolons alone: a token without any is asked for by nobody who knows what he asks for. */
function namesNothing(list: string): OAuthError {
  return new OAuthError(
    'invalid_request',
    `${list} names nothing: separate entries by semicolons, or leave it out.`,
  );
}

function wantsMore(list: string, beyond: readonly string[]): OAuthError {
  return new OAuthError(
    'invalid_request',
    `The API key does not have the ${list} ${beyond.join('; ')}: ask for less, or leave ${list} out.`,
  );
}
