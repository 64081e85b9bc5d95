/** Checks JSON against the table in schema.ts. */
import { describe } from "../base/errors.js";
import { configSchema, type Schema } from "./schema.js";

/** What is wrong, and where in the document: "sample.sampler.steps: expected …". */
export class ConfigProblem extends Error {}

/**
 * `value` with the paths in it mapped by `resolve`.
 *
 * @param at where `value` is in its document, "" for the whole
 * @throws ConfigProblem for the first thing that is not as the schema says
 */
export function validate(
  schema: Schema,
  value: unknown,
  resolve: (path: string) => string = (path) => path,
  at = "",
): unknown {
  const fail = (message: string): ConfigProblem =>
    new ConfigProblem(at === "" ? message : `${at}: ${message}`);
  const expect = (): ConfigProblem => fail(`expected ${words(schema)}, got ${describe(value)}`);
  if (schema.$ref) {
    const inner = validate(definition(schema), value, resolve, at);
    return schema.$ref === "#/definitions/path" ? resolve(inner as string) : inner;
  }
  if (schema.anyOf) {
    const fitting = schema.anyOf
      .map(definition)
      .map((option, index) => [option, schema.anyOf![index]!] as const);
    const typed = fitting.filter(([option]) => option.anyOf !== undefined || hasType(option, value));
    const chosen = typed.length > 1 ? typed.filter(([option]) => isMeant(option, value)) : typed;
    if (chosen.length === 1) return validate(chosen[0]![1], value, resolve, at);
    const kinds = fitting.map(([option]) => option.properties?.["kind"]?.const);
    if (kinds.every((name) => name !== undefined) && isObject(value))
      throw new ConfigProblem(
        `${at}.kind: expected one of ${kinds.map(describe).join(", ")}, got ${describe(value["kind"])}`,
      );
    throw expect();
  }
  if (!hasType(schema, value)) throw expect();
  if (isObject(value)) return members(schema, value, resolve, at, fail);
  if (Array.isArray(value)) {
    if (value.length < (schema.minItems ?? 0))
      throw fail(`expected at least ${schema.minItems} of them, got none`);
    return value.map((item, i) => validate(schema.items ?? {}, item, resolve, `${at}[${i}]`));
  }
  if (typeof value === "string") {
    if (schema.const !== undefined && value !== schema.const) throw expect();
    if (schema.enum && !schema.enum.includes(value)) throw expect();
    if (value.length < (schema.minLength ?? 0)) throw expect();
    if (schema.pattern && !new RegExp(schema.pattern).test(value)) throw expect();
  }
  if (typeof value === "number") {
    const { minimum, exclusiveMinimum, maximum, exclusiveMaximum } = schema;
    if (value < (minimum ?? -Infinity) || value > (maximum ?? Infinity)) throw expect();
    if (value <= (exclusiveMinimum ?? -Infinity) || value >= (exclusiveMaximum ?? Infinity)) throw expect();
  }
  return value;
}

function members(
  schema: Schema,
  value: Record<string, unknown>,
  resolve: (path: string) => string,
  at: string,
  fail: (message: string) => ConfigProblem,
): Record<string, unknown> {
  const { properties = {}, required = [], additionalProperties } = schema;
  const entries = Object.entries(value).map(([key, item]): [string, unknown] => {
    const own = Object.hasOwn(properties, key) ? properties[key]! : additionalProperties;
    if (!own) throw fail(`unknown key ${describe(key)}; known are ${Object.keys(properties).join(", ")}`);
    return [key, validate(own, item, resolve, at === "" ? key : `${at}.${key}`)];
  });
  for (const key of required)
    if (!Object.hasOwn(value, key)) throw fail(`expected the key ${describe(key)}, which is missing`);
  return Object.fromEntries(entries);
}

function definition(schema: Schema): Schema {
  return schema.$ref ? configSchema.definitions[schema.$ref.slice("#/definitions/".length)]! : schema;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function hasType(schema: Schema, value: unknown): boolean {
  switch (schema.type ?? (schema.const === undefined ? undefined : "string")) {
    case "object":
      return isObject(value);
    case "array":
      return Array.isArray(value);
    case "integer":
      return Number.isInteger(value);
    case "null":
      return value === null;
    case undefined:
      return true;
    default:
      return typeof value === schema.type || (schema.const !== undefined && typeof value === "string");
  }
}

/** Which of several alternatives of one type is meant: that with the value's `kind`, a required key or an item of its. */
function isMeant(option: Schema, value: unknown): boolean {
  if (option.anyOf)
    return option.anyOf.map(definition).some((inner) => hasType(inner, value) && isMeant(inner, value));
  if (Array.isArray(value)) return option.items === undefined || hasType(definition(option.items), value[0]);
  if (!isObject(value)) return true;
  const kind = option.properties?.["kind"]?.const;
  if (kind !== undefined) return value["kind"] === kind;
  return (option.required ?? []).some((key) => Object.hasOwn(value, key));
}

/** A schema in words. */
function words(schema: Schema): string {
  if (definition(schema) === configSchema.definitions["path"]) return "a path";
  const { type, minimum, exclusiveMinimum, maximum, exclusiveMaximum } = schema;
  if (schema.$ref) return words(definition(schema));
  if (schema.anyOf) return [...new Set(schema.anyOf.map(words))].join(" or ");
  if (schema.const !== undefined) return describe(schema.const);
  if (schema.enum) return `one of ${schema.enum.map(describe).join(", ")}`;
  const limits = [
    minimum === undefined ? [] : `≥ ${minimum}`,
    exclusiveMinimum === undefined ? [] : `> ${exclusiveMinimum}`,
    maximum === undefined || maximum === Number.MAX_SAFE_INTEGER ? [] : `≤ ${maximum}`,
    exclusiveMaximum === undefined ? [] : `< ${exclusiveMaximum}`,
  ].flat();
  switch (type) {
    case "number":
    case "integer":
      return [`a${type === "integer" ? "n integer" : " number"}`, limits.join(" and ")]
        .filter(Boolean)
        .join(" ");
    case "boolean":
      return "true or false";
    case "string":
      return schema.pattern ? `text like ${schema.pattern}` : "a text that is not empty";
    case "array":
      return "an array";
    case "null":
      return "null";
    default:
      return schema.required?.length ? `an object with ${schema.required.join(" and ")}` : "an object";
  }
}
