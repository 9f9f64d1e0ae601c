/** Sorts of values that a launch configuration holds: each checks what it is given, and describes itself as JSON schema. */

import { nearest } from '../nearest';

export interface FieldType<T> {
  /** Completes “… wants”. */
  readonly wants: string;
  readonly schema: Readonly<Record<string, unknown>>;
  /** Of a group. */
  readonly fields?: Fields;
  /** @param where The field, for messages. @throws FieldProblem */
  read(value: unknown, where: string): T;
}

export interface Field<T, Default extends T | undefined = T | undefined> {
  readonly type: FieldType<T>;
  /** For people: Markdown, one or more sentences. */
  readonly doc: string;
  readonly default?: Default;
}

/** One thing that is wrong with a configuration, as a sentence. */
export class FieldProblem extends Error {}

export type Fields = Readonly<Record<string, Field<unknown>>>;

/** What a table of fields yields: a field without a default may be absent. */
export type ValuesOf<F extends Fields> = {
  readonly [Name in keyof F]: F[Name] extends Field<infer T, infer D>
    ? undefined extends D
      ? T | undefined
      : T
    : never;
};

export const field = <T>(type: FieldType<T>, doc: string): Field<T, undefined> => ({ type, doc });

export const fieldWithDefault = <T>(type: FieldType<T>, fallback: T, doc: string): Field<T, T> => ({
  type,
  doc,
  default: fallback,
});

function simple<T>(
  wants: string,
  schema: FieldType<T>['schema'],
  is: (value: unknown) => value is T,
): FieldType<T> {
  return {
    wants,
    schema,
    read(value, where) {
      if (is(value)) return value;
      throw new FieldProblem(`“${where}” wants ${wants}, not ${shown(value)}`);
    },
  };
}

export const flag = simple('true or false', { type: 'boolean' }, (v) => typeof v === 'boolean');

export const text = simple('a text', { type: 'string' }, (v) => typeof v === 'string');

export const textList = simple(
  'a list of texts',
  { type: 'array', items: { type: 'string' } },
  (v): v is readonly string[] => Array.isArray(v) && v.every((item) => typeof item === 'string'),
);

export const textMap = simple(
  'an object whose values are texts',
  { type: 'object', additionalProperties: { type: 'string' } },
  (v): v is Readonly<Record<string, string>> =>
    isObject(v) && Object.values(v).every((item) => typeof item === 'string'),
);

/** One of a few words. */
export function choice<const W extends string>(words: readonly W[]): FieldType<W> {
  const listed = words.map((word) => `“${word}”`).join(', ');
  return simple(`one of ${listed}`, { enum: words }, (v): v is W => words.includes(v as W));
}

const mostMebibytes = 16 << 20;

export const mebibytes = simple(
  'mebibytes, a whole number above 0',
  { type: 'integer', minimum: 1, maximum: mostMebibytes },
  (v): v is number => Number.isInteger(v) && (v as number) >= 1 && (v as number) <= mostMebibytes,
);

const mostPerSecond = 60;

export const perSecond = simple(
  `a number from 0 to ${mostPerSecond}`,
  { type: 'number', minimum: 0, maximum: mostPerSecond },
  (v): v is number => typeof v === 'number' && v >= 0 && v <= mostPerSecond,
);

const longestSeconds = 86_400;

export const seconds = simple(
  `seconds, from 0 to ${longestSeconds}`,
  { type: 'number', minimum: 0, maximum: longestSeconds },
  (v): v is number => typeof v === 'number' && v >= 0 && v <= longestSeconds,
);

/** An object with fields of its own, all of them optional. */
export function group<F extends Fields>(fields: F): FieldType<ValuesOf<F>> {
  return {
    wants: 'an object',
    schema: { type: 'object', properties: propertiesOf(fields), additionalProperties: false },
    fields,
    read(value, where) {
      if (!isObject(value)) throw new FieldProblem(`“${where}” wants an object, not ${shown(value)}`);
      return readFields(fields, value, (name) => `${where}.${name}`, refuseUnknown);
    },
  };
}

export function propertiesOf(fields: Fields): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, { type, doc, default: fallback }]) => [
      name,
      {
        ...type.schema,
        markdownDescription: doc,
        ...(fallback === undefined ? {} : { default: fallback }),
      },
    ]),
  );
}

/** @param onUnknown Told of each field that the table lacks, and which one is near. @throws FieldProblem */
export function readFields<F extends Fields>(
  fields: F,
  given: Readonly<Record<string, unknown>>,
  nameOf: (name: string) => string,
  onUnknown: (where: string, meant: string | undefined) => void,
): ValuesOf<F> {
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(fields, name)) onUnknown(nameOf(name), nearest(name, Object.keys(fields)));
  }
  const values = Object.entries(fields).map(([name, { type, default: fallback }]) => {
    const value = given[name];
    return [name, value === undefined || value === null ? fallback : type.read(value, nameOf(name))];
  });
  return Object.fromEntries(values) as ValuesOf<F>;
}

export function refuseUnknown(where: string, meant: string | undefined): void {
  const hint = meant === undefined ? '' : `: did you mean “${meant}”?`;
  throw new FieldProblem(`There is no field “${where}”${hint}`);
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** JSON, cut to what fits into a sentence. */
function shown(value: unknown): string {
  const json = JSON.stringify(value) as string | undefined;
  if (json === undefined) return typeof value;
  return json.length > 40 ? `${json.slice(0, 40)}…` : json;
}
