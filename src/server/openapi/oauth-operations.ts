/** The operations of OAuth clients and of resource servers elsewhere. */
import { tokenExchangeGrant } from '../routes/oauth-token.ts';
import type { OAuthErrorCode } from '../../protocol/errors.ts';
import { accessKeyType, scApiKeyType } from '../../protocol/token-type.ts';
import { type Answer, answerJson, answerOAuthError, answerProblems } from './answers.ts';
import type { Body, Operation } from './operation.ts';
import { refusedToken, tooSlow } from './refusals.ts';
import type { SchemaName } from './schemas.ts';

const tag = 'OAuth';

export function describeOAuth(): Operation[] {
  return [
    exchange('/oauth/token', 'requestToken', 'Exchange an API key for an access token'),
    exchange('/v2/oauth/token', 'requestTokenAtOlderAddress', 'The same, at the older address'),
    {
      method: 'post',
      path: '/oauth/revoke',
      id: 'revokeToken',
      tag,
      summary: 'Revoke an access token or an API key',
      description: `RFC 7009. Whoever holds it may. The answer is the same for what is unknown. It comes when no instance accepts it any more; 503 says that this is not known: ask again.`,
      security: [{}, { apiKey: [] }],
      body: form(['PresentedToken'], { token: 'kt_…' }),
      answers: [
        {
          status: 200,
          description: 'It is not accepted any more.',
          type: 'application/json',
          schema: 'Nothing',
        },
        ...refusals(oauthErrors('invalid_request', 'invalid_client')),
      ],
    },
    {
      method: 'post',
      path: '/oauth/introspect',
      id: 'introspectToken',
      tag,
      summary: 'Ask what a token or a key is worth',
      description: [
        'RFC 7662. By a token, by HTTP Basic, or by client credentials in the body.',
        `With the hint \`${scApiKeyType}\` or \`${accessKeyType}\` the token is a key as its own door takes it.`,
      ].join(' '),
      security: introspecting(),
      body: form(['PresentedToken'], { token: 'eyJ…' }),
      answers: [
        answerJson(
          200,
          'Introspection',
          'What it is worth now; `active: false` says nothing more, but of a key that a hint names.',
        ),
        ...refusals(refusedCaller()),
      ],
    },
    {
      method: 'get',
      path: '/oauth/revocations',
      id: 'followRevocations',
      tag,
      summary: 'Hear of revocations as they happen',
      description: [
        'Server-sent events, for as long as the caller stays. The `data` of each is JSON:',
        '`snapshot` is a RevocationSnapshot, `revocation` a Revocation, and `heartbeat`, every second, a RevocationHeartbeat.',
      ].join(' '),
      security: introspecting(),
      parameters: [
        {
          name: 'Last-Event-ID',
          in: 'header',
          description:
            'The id of the last event that was heard: what came after it follows, without a snapshot.',
          schema: { type: 'string' },
        },
      ],
      answers: [
        {
          status: 200,
          description: 'A stream of events.',
          type: 'text/event-stream',
          schema: 'Text',
        },
        ...refusals(refusedCaller()).filter(({ status }) => status !== 413 && status !== 408),
      ],
    },
  ];
}

function exchange(path: string, id: string, summary: string): Operation {
  return {
    method: 'post',
    path,
    id,
    tag,
    summary,
    description: [
      'Client credentials (RFC 6749), by HTTP Basic, in the body, or by an assertion that the key has signed (RFC 7523);',
      `or token exchange (RFC 8693, \`${tokenExchangeGrant}\`). Parameters of other names are ignored.`,
    ].join(' '),
    security: [{}, { apiKey: [] }],
    body: form(['ClientCredentialsRequest', 'TokenExchangeRequest'], {
      grant_type: 'client_credentials',
      client_secret: 'kt_…',
    }),
    answers: [
      answerJson(200, 'TokenAnswer', 'The token.'),
      ...refusals(
        oauthErrors(
          'invalid_request',
          'invalid_client',
          'unauthorized_client',
          'unsupported_grant_type',
          'invalid_scope',
          'invalid_target',
        ),
      ),
    ],
  };
}

/** With those of every OAuth endpoint. */
function refusals(own: readonly Answer[]): Answer[] {
  return [
    ...own,
    answerOAuthError('invalid_request', 413),
    answerOAuthError('invalid_request', 431),
    answerOAuthError('temporarily_unavailable', 429),
    answerOAuthError('temporarily_unavailable'),
    answerOAuthError('server_error'),
    tooSlow,
  ];
}

/** A key is refused in OAuth's manner, a token in the guard's. */
function refusedCaller(): Answer[] {
  return [
    ...oauthErrors('invalid_request', 'unauthorized_client', 'invalid_client', 'insufficient_scope'),
    ...answerProblems(refusedToken),
  ];
}

function oauthErrors(...codes: OAuthErrorCode[]): Answer[] {
  return codes.map(code => answerOAuthError(code));
}

function introspecting(): Operation['security'] {
  return [{ accessToken: ['keyturn:introspect'] }, { apiKey: [] }];
}

function form(schemas: readonly SchemaName[], example: object): Body {
  return {
    required: true,
    types: ['application/x-www-form-urlencoded', 'application/json'],
    schemas,
    example,
  };
}
