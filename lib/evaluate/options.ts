/** What an evaluation is told: its options, and their checks. */
import { checkOptions } from "../base/check.js";
import { ArgumentError, describe, invalid } from "../base/errors.js";
import { describeLatent } from "../latent/description.js";
import { drawnSeed, listener, ofTheDocument, seedShape, signal } from "../options/common.js";
import {
  byHand,
  either,
  integer,
  list,
  notInFile,
  object,
  option,
  required,
  text,
  words,
  type FileTypeOf,
  type TypeOf,
} from "../options/describe.js";
import { checkSampler, samplerShape } from "../sampling/sampler.js";
import { describeStages } from "../objective/stages.js";
import { recipeNames } from "./recipes.js";
import type { Recipe } from "./recipe.js";

export type { Recipe };

import type { Tr0n } from "../tr0n/tr0n.js";

const sampleCount = integer({ min: 2, max: 1_000_000 });

/** @internal */
export const evaluateOptions = object({
  recipes: option(
    byHand<
      readonly Recipe[],
      readonly (string | { name: string; sampler: FileTypeOf<typeof samplerShape> })[]
    >(
      "readonly Recipe[]",
      () => undefined, // by checkRecipes, which also looks at models
      list(
        either(
          words(...recipeNames),
          object({
            name: required(text(), "in the report"),
            sampler: required(samplerShape, "how it samples"),
          }),
        ),
      ),
    ),
    "ways to sample",
    { otherwise: "the default sampler alone" },
  ),
  classes: option(list(integer({ min: 0 })), "classes", {
    otherwise: "all of the encoder",
    flag: { value: "LIST" },
  }),
  samples: option(sampleCount, "samples of each class for every recipe", {
    more: "And for the exact set that gives the floor.",
    default: 300,
  }),
  reference: option(sampleCount, "exact samples of each class to compare with", { default: 500 }),
  maxDraws: option(
    integer({ min: 1 }),
    "draws of the prior after which too few exact samples of a class are an error",
    {
      otherwise: "100 × the samples needed",
    },
  ),
  features: option(text("a value's name"), "value in the encoder's graph that gives the features", {
    otherwise: "the input of its last linear layer",
  }),
  seed: notInFile(
    option(seedShape, "decides everything", { more: "The report tells it.", default: drawnSeed }),
    ofTheDocument,
  ),
  onProgress: listener<EvaluateProgress>("EvaluateProgress", "called with how far it is"),
  signal,
});

export type EvaluateOptions = TypeOf<typeof evaluateOptions>;

export interface EvaluateProgress {
  /** "exact", then each recipe's name. */
  readonly phase: string;
  readonly done: number;
  readonly total: number;
}

/** @throws ArgumentError unless all recipes are about the same generator, encoder and prior. */
export async function checkRecipes(value: unknown, tr0n: Tr0n): Promise<readonly Recipe[]> {
  if (!Array.isArray(value)) throw invalid("recipes", "an array of { name, sampler }", value);
  const identity = async ({ objective }: Tr0n): Promise<string> => {
    const models = [await objective.generator.fingerprint(), await objective.encoder.fingerprint()];
    return JSON.stringify([
      models,
      await describeLatent(objective.latent),
      describeStages(objective.stages),
      objective.encoderOutput,
      objective.encoderKind,
    ]);
  };
  const own = await identity(tr0n);
  for (const [index, item] of (value as Recipe[]).entries()) {
    const name = `recipes[${index}]`;
    if (!item || typeof item !== "object") throw invalid(name, "{ name, sampler }", item);
    checkOptions(name, item, ["name", "sampler", "tr0n"]);
    if (typeof item.name !== "string" || item.name === "") throw invalid(`${name}.name`, "a name", item.name);
    checkSampler(`${name}.sampler`, item.sampler);
    if (item.tr0n && (await identity(item.tr0n)) !== own)
      throw new ArgumentError(
        `${name}.tr0n: expected one over the same generator, encoder and prior as the one that is evaluated`,
        { code: "ERR_SHAPE_MISMATCH" },
      );
  }
  return value as Recipe[];
}

export function checkClasses(value: unknown, count: number): number[] {
  if (value === undefined) return Array.from({ length: count }, (_, c) => c);
  if (!Array.isArray(value) || value.length === 0)
    throw new ArgumentError(`classes: expected a list of at least one class, got ${describe(value)}`);
  const seen = new Set<number>();
  for (const c of value as unknown[]) {
    if (typeof c !== "number" || !Number.isInteger(c) || c < 0 || c >= count)
      throw new ArgumentError(`classes: expected integers from 0 to ${count - 1}, got ${describe(c)}`);
    if (seen.has(c)) throw new ArgumentError(`classes: expected each class once, got ${c} twice`);
    seen.add(c);
  }
  return [...seen];
}
