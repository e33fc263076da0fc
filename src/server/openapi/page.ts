/** The document as a page: whole without scripts, without anything from elsewhere, and on paper. */
import { createHash } from 'node:crypto';
import { describeRequest } from './curl.ts';
import type { DescribedResponse } from './answers.ts';
import type { OpenApiDocument } from './document.ts';
import { html, Html, prose, table } from './html.ts';
import type { Parameter } from './operation.ts';
import { styleSheet } from './page-style.ts';
import type { DocumentedOperation } from './shared-responses.ts';
import { describeMembers, describeType, type JsonSchema } from './schema-text.ts';

export interface DocsPage {
  readonly html: string;
  /** For the answer that it is sent in: the style stands in the page, and its digest here. */
  readonly contentSecurityPolicy: string;
}

interface PlacedOperation {
  readonly method: string;
  readonly path: string;
  readonly operation: DocumentedOperation;
}

export function createDocsPage(document: OpenApiDocument): DocsPage {
  const digest = createHash('sha256').update(styleSheet).digest('base64');
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
  return {
    html: write(document, operations).text,
    contentSecurityPolicy: `default-src 'none'; style-src 'sha256-${digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  };
}

function write(document: OpenApiDocument, operations: readonly PlacedOperation[]): Html {
  const { info, servers, tags, components } = document;
  const issuer = servers[0]?.url ?? '';
  const shared = writeSharedAnswers(document);
  const ofTag = (name: string) => operations.filter(({ operation }) => operation.tags.includes(name));
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${info.title} ${info.version}</title>
        ${style}
      </head>
      <body>
        <header>
          <h1>${info.title} ${info.version}</h1>
          ${prose(info.description)}
          <p>At <code>${issuer}</code>. The same for programs: <a href="openapi.json">openapi.json</a>.</p>
        </header>
        <nav aria-label="Contents">
          <h2>Contents</h2>
          ${tags.map(({ name }) => writeContents(name, ofTag(name)))}
          <p><a href="#security">How callers show who they are</a> · <a href="#schemas">Schemas</a></p>
        </nav>
        <main>
          ${tags.map(({ name }) => writeTag(name, ofTag(name), issuer, shared))}
          ${writeSecurity(components.securitySchemes)}
          ${writeSchemas(Object.entries<object>(components.schemas))}
        </main>
      </body>
    </html> `;
}

/** No blank may come in between: the policy goes by its digest. */
const style = new Html(`<style>${styleSheet}</style>`);

function writeContents(name: string, operations: readonly PlacedOperation[]): Html {
  const items = operations.map(
    ({ method, path, operation }) =>
      html`<li>
        <a href="#${operation.operationId}"><code>${method} ${path}</code></a> ${operation.summary}
      </li>`,
  );
  return html`<h3>${name}</h3>
    <ul>
      ${items}
    </ul>`;
}

function writeTag(
  name: string,
  operations: readonly PlacedOperation[],
  issuer: string,
  shared: SharedAnswers,
): Html {
  return html`<section>
    <h2>${name}</h2>
    ${operations.map(placed => writeOperation(placed, issuer, shared))}
  </section>`;
}

function writeOperation(placed: PlacedOperation, issuer: string, shared: SharedAnswers): Html {
  const { method, path, operation } = placed;
  const { operationId, summary, description, parameters = [], requestBody } = operation;
  return html`<article id="${operationId}">
    <h3><code>${method} ${path}</code></h3>
    <p><strong>${summary}</strong></p>
    ${description === undefined ? '' : prose(description)} ${writeRequirements(operation.security)}
    ${parameters.length === 0 ? '' : writeParameters(parameters)}
    ${requestBody === undefined ? '' : writeBody(requestBody)} ${writeAnswers(operation.responses, shared)}
    <h4>Example</h4>
    <pre><code>${describeRequest(method, path, operation, issuer)}</code></pre>
  </article>`;
}

function writeRequirements(security: DocumentedOperation['security']): Html {
  const ways = security.map(requirement => {
    const parts = Object.entries(requirement).map(([name, scopes]) => [name, ...scopes].join(' '));
    return parts.length === 0 ? 'without any' : parts.join(' and ');
  });
  if (ways.length === 0) return html`<p>Open to all.</p>`;
  return html`<p><a href="#security">Credential</a>: ${ways.join(', or ')}.</p>`;
}

function writeParameters(parameters: readonly Parameter[]): Html {
  const rows = parameters.map(
    parameter =>
      html`<tr>
        <th scope="row"><code>${parameter.name}</code>${parameter.required === true ? ' *' : ''}</th>
        <td>${parameter.in}</td>
        <td>${describeType(parameter.schema)}</td>
        <td>${prose(parameter.description ?? '')}</td>
      </tr>`,
  );
  return titledTable('Parameters', ['Name', 'In', 'Type', 'Meaning'], rows);
}

function writeBody({ content }: NonNullable<DocumentedOperation['requestBody']>): Html {
  const rows = Object.entries(content).map(
    ([type, { schema }]) =>
      html`<tr>
        <th scope="row"><code>${type}</code></th>
        <td>${describeType(schema)}</td>
      </tr>`,
  );
  return titledTable('Body', ['Content type', 'Schema'], rows);
}

/** The cells of an answer's row, by reference where operations share it. */
type SharedAnswers = ReadonlyMap<string, Html>;

function writeSharedAnswers({ components }: OpenApiDocument): SharedAnswers {
  const answers = Object.entries(components.responses);
  return new Map(answers.map(([name, answer]) => [`#/components/responses/${name}`, writeAnswer(answer)]));
}

function writeAnswers(responses: DocumentedOperation['responses'], shared: SharedAnswers): Html {
  const rows = Object.entries(responses).map(([status, response]) => {
    const cells = '$ref' in response ? (shared.get(response.$ref) ?? '') : writeAnswer(response);
    return html`<tr>
      <th scope="row">${status}</th>
      ${cells}
    </tr>`;
  });
  return titledTable('Answers', ['Status', 'Meaning', 'Fields and body'], rows);
}

function writeAnswer({ description, headers = {}, content = {} }: DescribedResponse): Html {
  const carried = Object.keys(headers).map(name => html`<p><code>${name}</code></p>`);
  const bodies = Object.entries(content).map(
    ([type, { schema }]) => html`<p><code>${type}</code>: ${describeType(schema)}</p>`,
  );
  return html`<td>${prose(description)}</td>
    <td>${carried}${bodies}</td>`;
}

function writeSecurity(schemes: OpenApiDocument['components']['securitySchemes']): Html {
  const items = Object.entries(schemes).map(
    ([name, { description }]) =>
      html`<dt><code>${name}</code></dt>
        <dd>${prose(description)}</dd>`,
  );
  return html`<section id="security">
    <h2>How callers show who they are</h2>
    <dl>${items}</dl>
  </section>`;
}

function writeSchemas(schemas: readonly [string, JsonSchema][]): Html {
  const items = schemas.map(
    ([name, schema]) =>
      html`<article id="schema-${name}">
        <h3>${name}</h3>
        ${schema.description === undefined ? '' : prose(schema.description)}
        ${schema.properties === undefined ? describeType(schema) : describeMembers(schema)}
      </article>`,
  );
  return html`<section id="schemas">
    <h2>Schemas</h2>
    <p>A member with * is always there.</p>
    ${items}
  </section>`;
}

function titledTable(title: string, columns: readonly string[], rows: readonly Html[]): Html {
  return html`<h4>${title}</h4>
    ${table(columns, rows)}`;
}
