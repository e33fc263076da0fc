/** Schemas at work: a body or a query is of its type, or its faults are named at once, a hundred of a kind at most. */
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { type Static, type TLiteral, type TObject, type TSchema, type TUnion, Type } from 'typebox';
import { type InvalidValue, invalidValues } from '../protocol/errors.ts';

const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true, verbose: true });
addFormats.default(ajv);

/**
 * Compiles a schema to a check that hands a body back typed.
 *
 * The check throws a problem `validation_failed`, with each fault by JSON pointer.
 */
export function compileSchema<T extends TSchema>(schema: T) {
  const compiled = compileLater(schema);
  return (value: unknown): Static<T> => {
    const validate = compiled();
    if (validate(value)) return value;
    throw invalidValues(describeAll(validate.errors ?? []));
  };
}

/**
 * As {@link compileSchema}, for objects of several kinds that one member tells apart: what is said of a fault is said of the
 * kind that is meant.
 */
export function compileTaggedUnion<T extends TUnion<TObject[]>>(schema: T, tag: string) {
  const checks = new Map(schema.anyOf.map(kind => [constantOf(kind, tag), compileSchema(kind)]));
  const checkTag = compileSchema(Type.Object({ [tag]: Type.Enum([...checks.keys()]) }));
  return (value: unknown): Static<T> => {
    const { [tag]: kind = '' } = checkTag(value) as Readonly<Record<string, string>>;
    return checks.get(kind)?.(value) as Static<T>;
  };
}

function constantOf({ properties }: TObject, tag: string): string {
  const { const: constant } = properties[tag] as Partial<TLiteral<string>>;
  if (constant === undefined) throw new TypeError(`a kind without a constant ${tag}`);
  return constant;
}

/** As {@link compileSchema}, for a query: each parameter once, all of them text. The problem is a `malformed_request`. */
export function compileQuerySchema<T extends TSchema>(schema: T) {
  const compiled = compileLater(schema);
  return (querystring: string): Static<T> => {
    const validate = compiled();
    const parameters = [...new URLSearchParams(querystring)];
    const value = Object.fromEntries(parameters);
    const isValid = validate(value);
    const faults = [...findDoubled(parameters).slice(0, mostFaults), ...describeAll(validate.errors ?? [])];
    if (isValid && faults.length === 0) return value;
    throw invalidValues(faults, 'malformed_request');
  };
}

/** Once, when it is first needed: all of them together are a good part of a start. */
function compileLater<T extends TSchema>(schema: T): () => ValidateFunction<Static<T>> {
  let validate: ValidateFunction<Static<T>> | undefined;
  return () => (validate ??= ajv.compile<Static<T>>(schema));
}

function findDoubled(parameters: readonly (readonly [string, string])[]): InvalidValue[] {
  const once = new Set<string>();
  const doubled = new Set<string>();
  for (const [name] of parameters) (once.has(name) ? doubled : once).add(name);
  return [...doubled].map(name => ({ pointer: pointerPart(name), detail: 'stands twice: send it once' }));
}

/** A body can be nothing but faults, and each is held against all others. */
const mostFaults = 100;

/** Each fault once, without what only repeats that there is one. */
function describeAll(all: readonly ErrorObject[]): InvalidValue[] {
  const errors = all.slice(0, mostFaults);
  const told = errors.filter(error => !errors.some(other => other !== error && saysMore(other, error)));
  const described = told.map(describe).map(fault => [`${fault.pointer} ${fault.detail}`, fault] as const);
  return [...new Map(described).values()];
}

/** A member that may be null, or of several kinds, has a fault of each; the one of the kind that was meant is enough. */
function saysMore(other: ErrorObject, { keyword, params, instancePath }: ErrorObject): boolean {
  if (keyword === 'anyOf') return other.instancePath.startsWith(instancePath);
  const isOfNull = keyword === 'type' && params['type'] === 'null';
  return isOfNull && `${other.instancePath}/`.startsWith(`${instancePath}/`) && other.keyword !== 'anyOf';
}

function describe(error: ErrorObject): InvalidValue {
  const { instancePath, message = 'is not acceptable', keyword, params } = error;
  if (keyword === 'additionalProperties')
    return { pointer: instancePath + pointerPart(params['additionalProperty']), detail: 'is not known' };
  if (keyword === 'required')
    return { pointer: instancePath + pointerPart(params['missingProperty']), detail: 'is required' };
  return { pointer: instancePath, detail: describeAllowed(error) ?? message };
}

function describeAllowed({ keyword, params, parentSchema }: ErrorObject): string | undefined {
  if (keyword === 'enum') return `must be one of ${(params['allowedValues'] as unknown[]).join(', ')}`;
  if (keyword === 'const') return `must be ${String(params['allowedValue'])}`;
  const description: unknown = parentSchema?.['description'];
  return keyword === 'pattern' && typeof description === 'string'
    ? `is not right. ${description}`
    : undefined;
}

/** A member's name within a JSON pointer (RFC 6901 section 3). */
function pointerPart(name: unknown): string {
  return `/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}
