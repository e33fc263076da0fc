/** The operations that anybody may ask: discovery, this document, whether the service is well, and how it fares. */
import { locateMetadata, type MetadataPaths } from '../metadata-paths.ts';
import { type Answer, answerJson, answerProblems } from './answers.ts';
import type { Operation, Parameter } from './operation.ts';
import { refusedAnywhere } from './refusals.ts';
import type { SchemaName } from './schemas.ts';

/**
 * @param issuer one with a path has its metadata at further addresses of its host
 * @param hasMetrics whether they are served here
 */
export function describeDiscovery(issuer: string, hasMetrics: boolean): Operation[] {
  const { ofIssuer, ofHost } = locateMetadata(issuer);
  return [
    published(ofIssuer.oauth, 'showServerMetadata', 'RFC 8414', 'ServerMetadata'),
    published(ofIssuer.openid, 'showOpenidConfiguration', 'The same', 'ServerMetadata'),
    ...(ofHost === undefined ? [] : describeAtHost(ofHost, new URL(issuer).origin)),
    published(
      '/.well-known/oauth-protected-resource',
      'showResourceMetadata',
      'RFC 9728',
      'ResourceMetadata',
    ),
    published('/.well-known/jwks.json', 'showKeySet', 'The public keys of the tokens (RFC 7517)', 'JwkSet'),
    {
      ...published('/openapi.json', 'showOpenapiDocument', 'This document', 'AnyDocument'),
      tag: 'Service',
    },
    {
      ...withText('/docs', 'showDocumentation', 'This document, to be read', {
        status: 200,
        description: 'A page.',
        headers: ['ETag'],
        type: 'text/html',
        schema: 'Text',
      }),
      tag: 'Service',
    },
    ...describeHealth(),
    ...(hasMetrics ? [metrics] : []),
  ];
}

function describeAtHost(
  { oauth, openid, openidBelow }: NonNullable<MetadataPaths['ofHost']>,
  server: string,
): Operation[] {
  return [
    { ...published(oauth, 'showServerMetadataOfPath', 'The same', 'ServerMetadata'), server },
    { ...published(openid, 'showOpenidConfigurationOfPath', 'The same', 'ServerMetadata'), server },
    { ...published(openidBelow, 'showOpenidConfigurationBelowPath', 'The same', 'ServerMetadata'), server },
  ];
}

function describeHealth(): Operation[] {
  return [
    {
      method: 'get',
      path: '/livez',
      id: 'checkLife',
      tag: 'Service',
      summary: 'Whether the process answers',
      security: [],
      answers: [
        answerJson(200, 'Health', 'It does.'),
        ...answerProblems(['malformed_request', 'too_many_headers']),
      ],
    },
    {
      method: 'get',
      path: '/readyz',
      id: 'checkReadiness',
      tag: 'Service',
      summary: 'Whether the service can do its work',
      security: [],
      answers: [answerJson(200, 'Health', 'It can.'), ...answerProblems(refusedAnywhere)],
    },
  ];
}

const metrics: Operation = {
  method: 'get',
  path: '/metrics',
  id: 'readMetrics',
  tag: 'Service',
  summary: 'How the service fares, for Prometheus',
  security: [],
  answers: [
    {
      status: 200,
      description: "Prometheus' text format, version 0.0.4.",
      type: 'text/plain',
      schema: 'Text',
    },
    ...answerProblems(['malformed_request', 'too_many_headers']),
  ],
};

function published(path: string, id: string, summary: string, schema: SchemaName): Operation {
  return withText(path, id, summary, answerJson(200, schema, 'To be kept for five minutes.', ['ETag']));
}

function withText(path: string, id: string, summary: string, answer: Answer): Operation {
  return {
    method: 'get',
    path,
    id,
    tag: 'Discovery',
    summary,
    security: [],
    parameters: [ifNoneMatch],
    answers: [
      answer,
      { status: 304, description: 'It is as it was.', headers: ['ETag'] },
      ...answerProblems(refusedAnywhere),
    ],
  };
}

const ifNoneMatch: Parameter = { name: 'If-None-Match', in: 'header', schema: { type: 'string' } };
