/** A JSON schema in words, for a cell of a table. */
import { html, type Html, prose, table } from './html.ts';

/** What the schemas of the document use of JSON Schema 2020-12. */
export interface JsonSchema {
  readonly $ref?: string;
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>;
  readonly description?: string;
  readonly format?: string;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
}

export function describeType(schema: JsonSchema): Html {
  if (schema.$ref !== undefined) return linkTo(schema.$ref, schema.properties);
  if (schema.const !== undefined) return code(schema.const);
  if (schema.enum !== undefined) return listed(schema.enum.map(code), ', ');
  if (schema.anyOf !== undefined) return listed(schema.anyOf.map(describeType), ' or ');
  if (schema.type === 'array') return html`list of ${describeType(schema.items ?? {})}`;
  if (schema.patternProperties !== undefined && schema.properties === undefined)
    return html`dictionary of ${listed(Object.values(schema.patternProperties).map(describeType), ', ')}`;
  if (schema.type === 'object' && schema.properties !== undefined)
    return html`object ${Object.keys(schema.properties).length === 0 ? '' : describeMembers(schema)}`;
  return html`${schema.type ?? 'anything'}${limitsOf(schema)}`;
}

/** The members of an object as a table. */
export function describeMembers({ properties = {}, required = [] }: JsonSchema): Html {
  const rows = Object.entries(properties).map(
    ([name, member]) =>
      html`<tr>
        <th scope="row"><code>${name}</code>${required.includes(name) ? ' *' : ''}</th>
        <td>${describeType(member)}</td>
        <td>${member.description === undefined ? '' : prose(member.description)}</td>
      </tr>`,
  );
  return table(['Member', 'Type', 'Meaning'], rows);
}

/** A schema of errors says beside the reference which codes there may be: the description of the answer names them. */
function linkTo(reference: string, codes: JsonSchema['properties']): Html {
  const name = reference.split('/').at(-1) ?? '';
  return html`<a href="#schema-${name}">${name}</a>${codes === undefined ? '' : ' of these codes'}`;
}

function limitsOf(schema: JsonSchema): Html {
  const limits = limiting.map(keyword => {
    const limit = schema[keyword];
    return limit === undefined ? '' : html`, ${keyword} <code>${limit}</code>`;
  });
  return html`${limits}`;
}

const limiting = ['format', 'pattern', 'minLength', 'maxLength', 'minimum', 'maximum'] as const;

function code(value: unknown): Html {
  return html`<code>${JSON.stringify(value)}</code>`;
}

function listed(parts: readonly Html[], separator: string): Html {
  return html`${parts.map((part, place) => html`${place === 0 ? '' : separator}${part}`)}`;
}
