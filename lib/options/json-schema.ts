/** The JSON Schema (draft 7) of what a configuration file says. */
import { inFile } from "./check.js";
import { isDerived, type ObjectShape, type Option, type Shape } from "./describe.js";
import { sentences } from "./sentences.js";

export interface JsonSchema {
  readonly description?: string;
  readonly default?: unknown;
  readonly $ref?: `#/definitions/${string}`;
  readonly type?: "object" | "array" | "string" | "number" | "integer" | "boolean" | "null";
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: false | JsonSchema;
  readonly items?: JsonSchema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly pattern?: string;
  readonly enum?: readonly string[];
  readonly const?: string | number | boolean;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
  readonly anyOf?: readonly JsonSchema[];
}

export interface JsonDocument extends JsonSchema {
  readonly $schema: string;
  readonly title: string;
  readonly definitions: Readonly<Record<string, JsonSchema>>;
}

/** The schema of a whole file. */
export function jsonDocument(title: string, shape: ObjectShape): JsonDocument {
  const definitions: Record<string, JsonSchema> = {
    path: {
      description: "a path, relative to this file's folder",
      type: "string",
      minLength: 1,
      pattern: "^[^\\u0000]*$",
    },
  };
  const whole = jsonSchema(shape, definitions);
  return { $schema: "http://json-schema.org/draft-07/schema#", title, ...whole, definitions };
}

/** Named shapes are added to `definitions`. */
function jsonSchema({ form }: Shape, definitions: Record<string, JsonSchema>): JsonSchema {
  switch (form.is) {
    case "number": {
      const { whole, min, max, above, below } = form;
      const most = whole ? Number.MAX_SAFE_INTEGER : undefined;
      return {
        type: whole ? "integer" : "number",
        ...limits({
          minimum: min ?? (above === undefined && most ? -most : undefined),
          exclusiveMinimum: above,
          maximum: max ?? (below === undefined ? most : undefined),
          exclusiveMaximum: below,
        }),
      };
    }
    case "boolean":
    case "null":
      return { type: form.is };
    case "text":
      return { type: "string", ...(form.pattern ? { pattern: form.pattern.source } : { minLength: 1 }) };
    case "path":
      return { $ref: "#/definitions/path" };
    case "words":
      return { type: "string", enum: form.words };
    case "constant":
      return { const: form.value };
    case "list":
      return {
        type: "array",
        items: jsonSchema(form.items, definitions),
        ...(form.least > 0 ? { minItems: form.least } : {}),
        ...(form.most === Infinity ? {} : { maxItems: form.most }),
      };
    case "record":
      return { type: "object", additionalProperties: jsonSchema(form.values, definitions) };
    case "either":
      return { anyOf: form.of.map((one) => jsonSchema(one, definitions)) };
    case "object": {
      const known = Object.entries(form.properties).filter(([, option]) => inFile(option));
      const needed = known.filter(([, { mode }]) => mode === "required").map(([name]) => name);
      return {
        type: "object",
        properties: Object.fromEntries(known.map(([name, option]) => [name, described(option, definitions)])),
        ...(needed.length > 0 ? { required: needed } : {}),
        additionalProperties: false,
      };
    }
    case "named":
      if (!Object.hasOwn(definitions, form.name)) {
        definitions[form.name] = {}; // taken, should it contain itself
        definitions[form.name] = jsonSchema(form.shape(), definitions);
      }
      return { $ref: `#/definitions/${form.name}` };
    case "byHand":
      return jsonSchema(form.file!, definitions);
  }
}

function described(option: Option, definitions: Record<string, JsonSchema>): JsonSchema {
  const schema = jsonSchema(option.shape, definitions);
  if (schema.const !== undefined) return schema;
  const { default: given } = option;
  return {
    description: sentences(option),
    ...schema,
    ...(given === undefined || isDerived(given) ? {} : { default: given }),
  };
}

function limits<T extends object>(all: T): Partial<T> {
  return Object.fromEntries(Object.entries(all).filter(([, limit]) => limit !== undefined)) as Partial<T>;
}
