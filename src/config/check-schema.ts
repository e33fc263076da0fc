/** Turns what a schema refuses into problems, in the words of the schema's own descriptions. */
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import type { Static, TSchema } from 'typebox';
import { formats } from './formats.ts';
import { memberOf } from './json-value.ts';
import { nameType, showValue, suggestName } from './problems.ts';

/** What is wrong in a value, by the way to it: member names and indexes. */
export interface Fault {
  readonly path: readonly string[];
  readonly was?: string;
  readonly expected: string;
}

export interface Checker<Value> {
  accepts(this: void, value: unknown): value is Value;
  /** Every fault, none where it accepts the value. */
  findFaults(this: void, value: unknown): Fault[];
}

export function compileSchema<Schema extends TSchema>(schema: Schema): Checker<Static<Schema>> {
  const validate = ajv.compile<Static<Schema>>(schema);
  return {
    accepts: value => validate(value),
    findFaults: value => (validate(value) ? [] : (validate.errors ?? []).map(describeError)),
  };
}

const ajv = new Ajv2020({ allErrors: true, verbose: true, formats });

function describeError(error: ErrorObject): Fault {
  const path = error.instancePath.split('/').slice(1).map(unescapePointer);
  if (error.keyword === 'required') return describeMissing(error, path);
  if (error.keyword === 'additionalProperties') return describeUnknown(error, path);
  // A document that is a single value may be a file of another kind, with a secret in it.
  const was = path.length === 0 ? nameType(error.data) : showValue(error.data);
  return { path, was, expected: descriptionOf(error.parentSchema) };
}

function describeMissing(error: ErrorObject, path: readonly string[]): Fault {
  const name = String(error.params['missingProperty']);
  const properties = memberOf(error.parentSchema, 'properties');
  return { path: [...path, name], expected: descriptionOf(memberOf(properties, name)) };
}

function describeUnknown(error: ErrorObject, path: readonly string[]): Fault {
  const name = String(error.params['additionalProperty']);
  const known = Object.keys(memberOf(error.parentSchema, 'properties') ?? {});
  return {
    path: [...path, name],
    was: 'unknown',
    expected: `one of ${known.join(', ')}${suggestName(name, known)}`,
  };
}

function descriptionOf(schema: unknown): string {
  const description = memberOf(schema, 'description');
  return typeof description === 'string' ? description : 'another value';
}

function unescapePointer(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~');
}
