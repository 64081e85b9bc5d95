/**
 * Whatever the library can be told, a configuration file and the command line can say, with the same limits: values in and out
 * of range are taken and refused alike by the library's functions, by the published schema as another validator reads it, and
 * by the command line.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { optionsFile, optionsPage } from "../../scripts/options.js";
import { Arguments } from "../../lib/cli/arguments.js";
import { UsageError } from "../../lib/cli/errors.js";
import { augmentation, sampler, type Sampler } from "../../lib/index.js";
import { ArgumentError } from "../../lib/base/errors.js";
import { packageRoot } from "../../lib/native/binding.js";
import { evaluateOptions } from "../../lib/evaluate/options.js";
import { augmentationOptions } from "../../lib/objective/augment.js";
import { pairsOptions } from "../../lib/training/pairs-folder.js";
import { check, inFile } from "../../lib/options/check.js";
import { partial, resolved, type Option, type Properties, type Shape } from "../../lib/options/describe.js";
import { optionFlags } from "../../lib/options/flags.js";
import type { JsonSchema } from "../../lib/options/json-schema.js";
import { samplers } from "../../lib/sampling/samplers/index.js";
import { checkTranslator, trainOptions, translatorSettings } from "../../lib/training/options.js";

// eslint brings Ajv along.
const fromEslint = createRequire(createRequire(import.meta.url).resolve("eslint/package.json"));
const Ajv = fromEslint("ajv") as new () => { compile(schema: object): (value: unknown) => boolean };
const published = JSON.parse(
  readFileSync(join(packageRoot, "schema", "tr0n.schema.json"), "utf8"),
) as JsonSchema & { definitions: Record<string, JsonSchema> };

/** The schema of one key, as a validator of its own. */
function validator(schema: JsonSchema): (value: unknown) => boolean {
  return new Ajv().compile({ ...schema, definitions: published.definitions });
}

/** Numbers on, beside and far from limits, and what is no number. */
function candidates({ form }: Shape): unknown[] {
  switch (form.is) {
    case "number": {
      const { min, max, above, below } = form;
      const edges = [min, max, above, below].filter((limit) => limit !== undefined);
      const step = (limit: number): number => (form.whole ? 1 : Math.max(1e-12, Math.abs(limit) * 1e-12));
      return [
        ...edges.flatMap((limit) => [limit - step(limit), limit, limit + step(limit)]),
        ...[0, 1, 0.5, -1, 7, 20, 1e6, 2 ** 31, 2 ** 33, 1.5, -3.25],
        "7",
        true,
        [1],
      ];
    }
    case "boolean":
      return [true, false, 1, "true"];
    case "words":
      return [...form.words, "Word", "", 1, ...form.words.map((word) => word.toUpperCase())];
    case "constant":
      return [form.value, 0, "x", 2];
    case "text":
    case "path":
      return ["a", "a/b.c", "", 3, "a\0b"];
    case "list":
      return [[], ...candidates(form.items).flatMap((item) => [[item], [item, item], item]), {}];
    case "record":
      return [{}, 3, ...candidates(form.values).map((value) => ({ z: value }))];
    case "object":
      return [
        {},
        { nothing: 1 },
        ...Object.entries(form.properties).flatMap(([name, option]) =>
          candidates(option.shape).map((value) => ({ [name]: value })),
        ),
      ];
    case "either":
      return [...new Set(form.of.flatMap(candidates)), null];
    case "null":
      return [null, 0];
    case "named":
    case "byHand":
      return [];
  }
}

/** Texts that stand for a value on the command line, where one can. */
function spelled(value: unknown): string | undefined {
  if (typeof value === "number" || typeof value === "string") return String(value);
  return Array.isArray(value) && value.every((item) => typeof item === "number")
    ? value.join(",")
    : undefined;
}

/** Whether what a text stands for is a number, where it looks like one. */
function takesNumbers({ form }: Shape): boolean {
  return (
    form.is === "number" ||
    (form.is === "either" && form.of.every((one) => !["text", "path"].includes(one.form.is)))
  );
}

function taken(attempt: () => unknown, refusal: abstract new (...args: never[]) => Error): boolean {
  try {
    attempt();
    return true;
  } catch (error) {
    if (error instanceof refusal) return false;
    throw error;
  }
}

/**
 * One set of options. `given`: what must stand beside an option for it to be looked at alone. `exceptions`: options that the
 * file says in another way.
 */
interface Case {
  name: string;
  properties: Properties;
  library: (options: object) => unknown;
  schema: JsonSchema;
  beside?: (option: string) => object;
}

/** What a file says in another form than callers do: values are not compared. */
const inItsOwnWay = (option: Option): Option => ({
  ...option,
  shape: { form: { is: "byHand", type: "", check: () => undefined, file: option.shape } },
});

const sectionOf = (name: string): JsonSchema => published.properties![name]!;
const kindOf = (of: JsonSchema, kind: string): JsonSchema =>
  of.anyOf!.find(({ properties }) => properties!["kind"]!.const === kind)!;

const cases: Case[] = [
  ...Object.entries(samplers).map(([kind, { options }]): Case => ({
    name: `sampler.${kind}()`,
    properties: options.form.properties,
    library: (given) => (sampler[kind as Sampler["kind"]] as (o: object) => Sampler)(given),
    schema: kindOf(published.definitions["sampler"]!, kind),
    // With as many candidates as there may be, maxCandidates has its own lower limit.
    beside: (option) => (option === "maxCandidates" ? { candidates: 1 } : {}),
  })),
  {
    name: "train()",
    properties: trainOptions.form.properties,
    library: (given) => check(trainOptions, given, { name: "options" }),
    schema: sectionOf("train"),
    beside: (option): object => (option === "temperature" ? { loss: "cosine" } : {}),
  },
  {
    name: "augment",
    properties: augmentationOptions.form.properties,
    // Without color there must be something else to vary.
    library: (given) => augmentation.policy(given),
    schema: sectionOf("augment"),
  },
  {
    name: "evaluate()",
    properties: {
      ...evaluateOptions.form.properties,
      recipes: inItsOwnWay(evaluateOptions.form.properties.recipes),
    },
    library: (given) => check(evaluateOptions, given, { name: "options" }),
    schema: sectionOf("evaluate"),
  },
  {
    name: "pairs",
    properties: {
      count: pairsOptions.form.properties.count,
      shardSize: pairsOptions.form.properties.shardSize,
    },
    library: (given) => check(partial(pairsOptions), given, { name: "options" }),
    schema: sectionOf("pairs"),
  },
  {
    name: "translator",
    properties: translatorSettings.form.properties,
    library: (given) => checkTranslator(given),
    schema: sectionOf("translator"),
  },
];

describe("options in the library, in files and on the command line", () => {
  for (const { name, properties, library, schema, beside = () => ({}) } of cases) {
    const known = Object.entries(properties).filter(([, option]) => inFile(option));
    it(`are the same: ${name}`, () => {
      assert.deepEqual(
        Object.keys(schema.properties!).filter((key) => key !== "kind"),
        known.map(([key]) => key),
      );
      let [taking, refusing] = [0, 0];
      for (const [key, option] of known) {
        const valid = validator(schema.properties![key]!);
        const flag = optionFlags({ [key]: option })[0];
        for (const value of candidates(resolved(option.shape))) {
          const what = `${name} ${key}: ${JSON.stringify(value)}`;
          const inLibrary = taken(() => library({ ...beside(key), [key]: value }), ArgumentError);
          assert.equal(valid(value), inLibrary, `${what} in a file`);
          const text = spelled(value);
          if (
            flag?.spec.type === "string" &&
            text !== undefined &&
            typeof value === "number" &&
            takesNumbers(option.shape)
          ) {
            const args = new Arguments("x", { [flag.name]: text }, []);
            assert.equal(
              taken(() => args.options([flag]), UsageError),
              inLibrary,
              `${what} on the line`,
            );
          }
          if (inLibrary) taking++;
          else refusing++;
        }
      }
      assert.ok(taking > 0 && refusing > 0);
    });
  }

  it("have the library's defaults in the schema, and these are taken", () => {
    let seen = 0;
    for (const { name, properties, library, schema } of cases) {
      const filled = library({}) as { options?: Record<string, unknown> } & Record<string, unknown>;
      for (const key of Object.keys(properties)) {
        const said = schema.properties![key]?.default;
        if (said === undefined) continue;
        assert.deepEqual((filled.options ?? filled)[key], said, `${name} ${key}`);
        library({ [key]: said, ...(key === "temperature" ? { loss: "cosine" } : {}) });
        seen++;
      }
    }
    assert.ok(seen > 40, String(seen));
  });

  it("are on their page", async () => {
    assert.equal(readFileSync(optionsFile, "utf8"), await optionsPage(), "run `npm run schema`");
  });
});
