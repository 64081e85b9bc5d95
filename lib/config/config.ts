/** A configuration file: its type, and reading one. */
import { dirname, isAbsolute, join } from "node:path";
import { reason } from "../base/atomic-write.js";
import type { AugmentationOptions } from "../objective/augment.js";
import type { Device, Precision } from "../native/devices.js";
import type { EncoderKind } from "../objective/encoder-kind.js";
import { FileError } from "../base/errors.js";
import type { Range } from "../base/range.js";
import type { ModelOptions } from "../model/interface.js";
import type { Stage } from "../objective/stages.js";
import { readWholeFile } from "../base/read-file.js";
import type { Sampler } from "../sampling/sampler.js";
import type { TrainOptions } from "../training/options.js";
import type { LatentSpec } from "../latent/latent.js";
import { configSchema } from "./schema.js";
import { ConfigProblem, validate } from "./validate.js";

export interface ModelSpec extends Pick<
  ModelOptions,
  "format" | "inputShapes" | "simplify" | "allowRandom" | "allowCode"
> {
  model: string;
  output?: string;
}
export type EnergySpec =
  | { kind: "crossEntropy" | "cosine" | "squaredError" }
  | { kind: "prior"; weight?: number }
  | { kind: "onnx"; model: string }
  | { kind: "sum"; terms: { energy: EnergySpec; weight?: number }[] };
export type SamplerSpec = { kind: Sampler["kind"] } & Record<string, unknown>;
export type ConditionSpec =
  | { class: number | number[] }
  | { embedding: string | number[] | number[][] }
  | { image: string | string[] }
  | { text: string | string[] }
  | { all: (ConditionSpec | { condition: ConditionSpec; weight?: number })[] };

/** The sections of a file as schema.ts describes them; models are always objects, and paths are resolved. */
export interface RunConfig {
  generator?: ModelSpec;
  encoder?: ModelSpec;
  pairEncoder?: ModelSpec;
  textEncoder?: ModelSpec & { tokenizer: string; unknownWords?: "error" | "ignore" };
  /** The mapping network of mapped latents. */
  mapping?: ModelSpec;
  latent?: LatentSpec;
  generatorRange?: Range;
  encoderKind?: EncoderKind;
  energy?: EnergySpec;
  preprocess?: Stage[];
  /** null: none, also where a translator file has one. */
  augment?: AugmentationOptions | null;
  translator?: {
    components?: number;
    hidden?: number;
    depth?: number;
    stds?: "shared" | "component";
    auxiliary?: string;
    space?: "z" | "w";
    bound?: number;
    conditionNoise?: { kind: string; scale?: number; covariance?: number[][]; from?: "pairs" };
  };
  pairs?: { count?: number; shardSize?: number };
  train?: Omit<TrainOptions, "seed" | "onProgress" | "signal">;
  sample?: { condition?: ConditionSpec; count?: number; sampler?: SamplerSpec; scale?: number };
  evaluate?: {
    recipes?: (string | { name: string; sampler: SamplerSpec })[];
    classes?: number[];
    samples?: number;
    reference?: number;
    maxDraws?: number;
    features?: string;
  };
  outputs?: { translator?: string; pairs?: string; image?: string; latents?: string; report?: string };
  device?: Device;
  precision?: Precision;
  maxBatch?: number;
  seed?: number;
}

/**
 * Reads and checks a file. Paths in it are relative to its folder.
 *
 * @throws FileError ERR_IO, ERR_FILE_INVALID naming the key by its path in the document
 */
export async function loadConfig(path: string): Promise<RunConfig> {
  let text: string;
  try {
    text = (await readWholeFile(path)).toString("utf8");
  } catch (error) {
    throw new FileError("ERR_IO", `${path}: cannot be read: ${reason(error)}`, { cause: error });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const message = `${path}: expected JSON: ${(error as Error).message}`;
    throw new FileError("ERR_FILE_INVALID", message, { cause: error });
  }
  const folder = dirname(path);
  try {
    return parseConfig(value, (file) => (isAbsolute(file) ? file : join(folder, file)));
  } catch (error) {
    if (!(error instanceof ConfigProblem)) throw error;
    throw new FileError("ERR_FILE_INVALID", `${path}: ${error.message}`, { cause: error });
  }
}

/** @throws ConfigProblem */
export function parseConfig(value: unknown, resolve: (path: string) => string): RunConfig {
  const config = { ...(validate(configSchema, value, resolve) as Record<string, unknown>) };
  delete config["$schema"];
  for (const name of ["generator", "encoder", "pairEncoder", "mapping"])
    if (typeof config[name] === "string") config[name] = { model: config[name] };
  return config;
}
