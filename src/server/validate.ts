/** Schemas at work: a body or a query is of its type, or every fault is named at once. */
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { Static, TSchema } from 'typebox';
import { type InvalidValue, invalidValues } from '../protocol/errors.ts';

const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true });
addFormats.default(ajv);

/**
 * Compiles a schema to a check that hands a body back typed.
 *
 * The check throws a problem `validation_failed`, with each fault by JSON pointer.
 */
export function compileSchema<T extends TSchema>(schema: T) {
  const validate = ajv.compile<Static<T>>(schema);
  return (value: unknown): Static<T> => {
    if (validate(value)) return value;
    throw invalidValues((validate.errors ?? []).map(describe));
  };
}

/** As {@link compileSchema}, for a query: each parameter once, all of them text. The problem is a `malformed_request`. */
export function compileQuerySchema<T extends TSchema>(schema: T) {
  const validate = ajv.compile<Static<T>>(schema);
  return (querystring: string): Static<T> => {
    const parameters = [...new URLSearchParams(querystring)];
    const value = Object.fromEntries(parameters);
    const isValid = validate(value);
    const faults = [...findDoubled(parameters), ...(validate.errors ?? []).map(describe)];
    if (isValid && faults.length === 0) return value;
    throw invalidValues(faults, 'malformed_request');
  };
}

function findDoubled(parameters: readonly (readonly [string, string])[]): InvalidValue[] {
  const once = new Set<string>();
  const doubled = new Set<string>();
  for (const [name] of parameters) (once.has(name) ? doubled : once).add(name);
  return [...doubled].map(name => ({ pointer: pointerPart(name), detail: 'stands twice: send it once' }));
}

function describe({ instancePath, message, keyword, params }: ErrorObject): InvalidValue {
  const extra = keyword === 'additionalProperties' ? pointerPart(params['additionalProperty']) : '';
  const missing = keyword === 'required' ? pointerPart(params['missingProperty']) : '';
  const detail =
    extra !== '' ? 'is not known' : missing !== '' ? 'is required' : (message ?? 'is not acceptable');
  return { pointer: instancePath + extra + missing, detail };
}

/** A member's name within a JSON pointer (RFC 6901 section 3). */
function pointerPart(name: unknown): string {
  return `/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}
