/** How a resource route refuses at each of its doors: asked of what answers, so that the two cannot differ. */
import { doorDenialResponse } from '../../middleware/door-denial.ts';
import type { Door } from '../../protocol/doors.ts';
import { type DenialCode, problems } from '../../protocol/errors.ts';
import { problemMediaType } from '../../protocol/problem-document.ts';
import { type Answer, answerProblems, describeCode } from './answers.ts';
import { refusedCaller, refusedToken } from './refusals.ts';

/** Where no token is let in, what looks like one of ours is refused all the same: it is not to get past as a visitor's. */
export function refusedAtDoors(doors: readonly Door[], isGraphql: boolean): Answer[] {
  const guessable = doors.some(door => door !== 'bearer');
  return [
    ...(doors.includes('bearer') ? [] : [describe('bearer', 'token_invalid', isGraphql)]),
    ...doors.flatMap(door => codesOf[door].map(code => describe(door, code, isGraphql))),
    ...(guessable ? answerProblems(['too_many_requests']) : []),
  ];
}

const codesOf: Record<Door, readonly DenialCode[]> = {
  bearer: refusedToken,
  sc_apikey: [
    'several_credentials',
    'api_key_missing',
    'api_keys_differ',
    'api_key_unknown',
    'api_key_unpublished',
    'api_key_unusable',
    ...refusedCaller,
  ],
  'x-sf-access-key': ['several_credentials', 'credential_missing', 'access_key_invalid', ...refusedCaller],
};

function describe(door: Door, code: DenialCode, isGraphql: boolean): Answer {
  const context = { resourceMetadata: '', scope: undefined, isGraphql };
  const { status, headers, body } = doorDenialResponse({ code, door }, context);
  const type = headers['Content-Type'] ?? '';
  return {
    status,
    description: describeCode(code, problems[code].title),
    headers: (['WWW-Authenticate', 'Retry-After'] as const).filter(name => name in headers),
    type,
    schema: type === problemMediaType ? 'Problem' : 'errors' in body ? 'GraphqlErrors' : 'SitefinityError',
    code,
  };
}
