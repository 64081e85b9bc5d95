/** What an evaluation is told: its options, and their checks. */
import { checkOptions } from "../base/check.js";
import { ArgumentError, describe, invalid } from "../base/errors.js";
import { describeLatent } from "../latent/description.js";
import { checkSampler, type Sampler } from "../sampling/sampler.js";
import type { Tr0n } from "../tr0n/tr0n.js";

/** A way to sample, and its name in the report. */
export interface Recipe {
  name: string;
  /** Default: sampler.resample(). */
  sampler?: Sampler;
  /** A Tr0n with another translator, prior weight or energy over the same generator and encoder. Default: the evaluated one. */
  tr0n?: Tr0n;
}

export interface EvaluateOptions {
  /** Default: the default sampler alone. */
  recipes?: readonly Recipe[];
  /** Default: all classes of the encoder. */
  classes?: readonly number[];
  /** Samples of each class for every recipe, and for the exact set that gives the floor. Default 300. */
  samples?: number;
  /** Exact samples of each class to compare with. Default 500. */
  reference?: number;
  /** Draws of the prior after which too few exact samples of a class are an error. Default 100 × the samples needed. */
  maxDraws?: number;
  /** Name of the value in the encoder's graph that gives the features. Default: the input of its last linear layer. */
  features?: string;
  /** Default random; the report tells it. */
  seed?: number;
  onProgress?: (progress: EvaluateProgress) => void;
  signal?: AbortSignal;
}

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
      objective.stages,
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
