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
import {
  augmentation,
  evaluate,
  generatePairs,
  loadModel,
  sampler,
  stage,
  Tr0n,
  type Model,
  type Sampler,
} from "../../lib/index.js";
import { AbortError, ArgumentError } from "../../lib/base/errors.js";
import { packageRoot } from "../../lib/native/binding.js";
import { evaluateOptions } from "../../lib/evaluate/options.js";
import { augmentationOptions } from "../../lib/objective/augment.js";
import { pairsOptions } from "../../lib/training/pairs-folder.js";
import { check, checkFile, inFile } from "../../lib/options/check.js";
import { stageInFile } from "../../lib/objective/stages.js";
import {
  partial,
  resolved,
  type Form,
  type Option,
  type Properties,
  type Shape,
} from "../../lib/options/describe.js";
import { optionFlags } from "../../lib/options/flags.js";
import type { JsonSchema } from "../../lib/options/json-schema.js";
import { samplers } from "../../lib/sampling/samplers/index.js";
import { tr0nOptions } from "../../lib/tr0n/options.js";
import { trainOptions, translatorSettings } from "../../lib/training/options.js";
import { random } from "../support/numbers.js";
import { tinyEncoder, tinyGenerator } from "../support/tiny.js";

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

const drawn = random(20261130);

/** Numbers of all sizes, and numbers between limits. */
function draws({ whole, min, max, above, below }: Extract<Form, { is: "number" }>): number[] {
  const [low, high] = [min ?? above ?? -1e3, max ?? below ?? 1e3];
  return Array.from({ length: 24 }, (_, i) => {
    const size = (drawn() < 0.25 ? -1 : 1) * 10 ** (14 * drawn() - 4);
    const value = i % 2 === 0 ? size : low + (high - low) * drawn();
    return whole && drawn() < 0.8 ? Math.round(value) : value;
  });
}

/** Numbers on, beside and far from limits, drawn ones, and what is no number. */
function candidates({ form }: Shape): unknown[] {
  switch (form.is) {
    case "number": {
      const { min, max, above, below } = form;
      const edges = [min, max, above, below].filter((limit) => limit !== undefined);
      const step = (limit: number): number => (form.whole ? 1 : Math.max(1e-12, Math.abs(limit) * 1e-12));
      return [
        ...edges.flatMap((limit) => [limit - step(limit), limit, limit + step(limit)]),
        ...[0, 1, 0.5, -1, 7, 20, 1e6, 2 ** 31, 2 ** 33, 1.5, -3.25],
        ...draws(form),
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

/** What is taken leads to no error, or to the end of a call that was aborted before it began. */
async function taken(
  attempt: () => unknown,
  refusal: abstract new (...args: never[]) => Error,
): Promise<boolean> {
  try {
    await attempt();
    return true;
  } catch (error) {
    if (error instanceof AbortError) return true;
    if (error instanceof refusal) return false;
    throw error;
  }
}

/** One set of options. */
interface Case {
  name: string;
  properties: Properties;
  /** The function that callers give them to. */
  library: (options: object) => unknown;
  schema: JsonSchema;
  /** What must stand beside an option for it to be looked at alone. */
  beside?: (option: string) => object;
  /** The options with their defaults. */
  filled: () => object;
}

/** What a file says in another form than callers do: values are not compared. */
const inItsOwnWay = (option: Option): Option => ({
  ...option,
  shape: { form: { is: "byHand", type: "", check: () => undefined, file: option.shape } },
});

const sectionOf = (name: string): JsonSchema => published.properties![name]!;
const kindOf = (of: JsonSchema, kind: string): JsonSchema =>
  of.anyOf!.find(({ properties }) => properties!["kind"]!.const === kind)!;

/** A part of the file as a section of its own. */
const only = ({ properties }: JsonSchema, ...names: string[]): JsonSchema => ({
  properties: Object.fromEntries(names.map((name) => [name, properties![name]!])),
});
const { encoderKind, maxBatch, precision, seed } = tr0nOptions.form.properties;

let models: { generator: Model; encoder: Model };
let made: Tr0n;
/** Calls look at their options before they do anything. */
const aborted = { signal: AbortSignal.abort() };
const name = "options";

const cases: Case[] = [
  ...Object.entries(samplers).map(([kind, { options }]): Case => ({
    name: `sampler.${kind}()`,
    properties: options.form.properties,
    library: (given) => (sampler[kind as Sampler["kind"]] as (o: object) => Sampler)(given),
    schema: kindOf(published.definitions["sampler"]!, kind),
    // With as many candidates as there may be, maxCandidates has its own lower limit.
    beside: (option) => (option === "maxCandidates" ? { candidates: 1 } : {}),
    filled: () => sampler[kind as Sampler["kind"]]().options,
  })),
  {
    name: "Tr0n.create()",
    properties: { encoderKind, precision, maxBatch, seed },
    library: (given) => Tr0n.create({ ...models, ...given, ...aborted }),
    schema: only(published, "encoderKind", "precision", "maxBatch", "seed"),
    filled: () => ({ maxBatch: 64, precision: "fp32" }),
  },
  {
    name: "train()",
    properties: trainOptions.form.properties,
    library: (given) => made.train({ ...given, ...aborted }),
    schema: sectionOf("train"),
    beside: (option): object => (option === "temperature" ? { loss: "cosine" } : {}),
    filled: () => check(trainOptions, {}, { name }),
  },
  {
    name: "augment",
    properties: augmentationOptions.form.properties,
    library: (given) => augmentation.policy(given),
    schema: sectionOf("augment"),
    filled: () => augmentation.policy({}),
  },
  {
    name: "evaluate()",
    properties: {
      ...evaluateOptions.form.properties,
      recipes: inItsOwnWay(evaluateOptions.form.properties.recipes),
    },
    library: (given) => evaluate(made, { ...given, ...aborted }),
    schema: sectionOf("evaluate"),
    filled: () => check(evaluateOptions, {}, { name }),
  },
  {
    name: "pairs",
    properties: {
      count: pairsOptions.form.properties.count,
      shardSize: pairsOptions.form.properties.shardSize,
    },
    library: (given) =>
      generatePairs({ ...models, folder: "/nowhere/at/all", count: 1, ...given, ...aborted }),
    schema: sectionOf("pairs"),
    filled: () => check(partial(pairsOptions), {}, { name }),
  },
  {
    name: "translator",
    properties: translatorSettings.form.properties,
    library: (given) => Tr0n.create({ ...models, translator: given, ...aborted }),
    schema: sectionOf("translator"),
    filled: () => check(translatorSettings, {}, { name }),
  },
];

describe("options in the library, in files and on the command line", () => {
  before(async () => {
    models = { generator: await loadModel(tinyGenerator()), encoder: await loadModel(tinyEncoder()) };
    made = await Tr0n.create({ ...models, encoderKind: "logits", onDecision: () => undefined });
  });
  after(() => {
    made.dispose();
    models.generator.dispose();
    models.encoder.dispose();
  });

  for (const { name, properties, library, schema, beside = () => ({}) } of cases) {
    const known = Object.entries(properties).filter(([, option]) => inFile(option));
    it(`are the same: ${name}`, async () => {
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
          const inLibrary = await taken(() => library({ ...beside(key), [key]: value }), ArgumentError);
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
              await taken(() => args.options([flag]), UsageError),
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

  it("have the library's defaults in the schema, and these are taken", async () => {
    let seen = 0;
    for (const { name, properties, library, schema, filled, beside = () => ({}) } of cases) {
      const defaults = filled() as Record<string, unknown>;
      for (const key of Object.keys(properties)) {
        const said = schema.properties![key]?.default;
        if (said === undefined) continue;
        assert.deepEqual(defaults[key], said, `${name} ${key}`);
        assert.ok(
          await taken(() => library({ ...beside(key), [key]: said }), ArgumentError),
          `${name} ${key}`,
        );
        seen++;
      }
    }
    assert.ok(seen > 40, String(seen));
  });

  it("are the same: channels of grayscale", async () => {
    const valid = validator(kindOf(published.definitions["stage"]!, "grayscale"));
    for (const channels of [1, 3, 0, 2, 4, 1.5, -1, "1", [1], true, null]) {
      const spec = { kind: "grayscale", channels };
      const expected = channels === 1 || channels === 3;
      const what = JSON.stringify(channels);
      assert.equal(await taken(() => stage.grayscale(channels as 1), ArgumentError), expected, what);
      assert.equal(
        await taken(() => checkFile(stageInFile, spec), ArgumentError),
        expected,
        `${what} in a file`,
      );
      assert.equal(valid(spec), expected, `${what} by the schema`);
    }
  });

  it("are on their page", async () => {
    assert.equal(readFileSync(optionsFile, "utf8"), await optionsPage(), "run `npm run schema`");
  });
});
