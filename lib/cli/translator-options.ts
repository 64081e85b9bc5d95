/** The options of `train` that choose the translator's network, its loss and the noise on its conditions. */
import { FileError } from "../base/errors.js";
import type { ConditionNoise } from "../translator/noise.js";
import { readWholeFile } from "../base/read-file.js";
import { decodeSafetensors } from "../base/safetensors.js";
import { reason } from "../base/atomic-write.js";
import { flagTable, optionFlags } from "../options/flags.js";
import {
  trainOptions,
  translatorSettings,
  type TrainOptions,
  type TranslatorSettings,
} from "../training/options.js";
import type { Arguments } from "./arguments.js";
import type { OptionSpec } from "./command.js";

const network = optionFlags(translatorSettings.form.properties);
const training = optionFlags(trainOptions.form.properties);

export const networkOptions: Readonly<Record<string, OptionSpec>> = {
  ...flagTable(network),
  "condition-noise": {
    type: "string",
    value: "KIND[:S]",
    help: "isotropic:S, adaptive[:S], covariance[:S] of the pairs, or covariance:FILE.safetensors [m, m]",
  },
};

/** How to train it; what there is to train on is `train`'s own. */
export const trainingOptions = flagTable(training);

/** Reads {@link networkOptions} and {@link trainingOptions}. @throws UsageError; FileError for the covariance's file */
export async function readTranslatorOptions(
  args: Arguments,
): Promise<{ translator: TranslatorSettings; train: TrainOptions }> {
  return {
    translator: { ...args.options(network), conditionNoise: await readNoise(args) },
    train: args.options(training),
  };
}

async function readNoise(args: Arguments): Promise<ConditionNoise | undefined> {
  const given = args.text("condition-noise");
  if (given === undefined) return undefined;
  const [, kind, rest] = /^(isotropic|adaptive|covariance)(?::(.+))?$/.exec(given) ?? [];
  if (kind === "covariance" && rest?.endsWith(".safetensors"))
    return { kind, covariance: await readMatrix(rest) };
  const scale = rest === undefined ? undefined : Number(rest);
  if (kind === undefined || (scale === undefined ? kind === "isotropic" : !(scale >= 0 && scale < Infinity)))
    throw args.wrong(
      "condition-noise",
      "isotropic:S, adaptive[:S], covariance[:S] or covariance:FILE.safetensors, S ≥ 0",
      given,
    );
  if (kind === "isotropic") return { kind, scale: scale! };
  return kind === "adaptive" ? { kind, scale } : { kind: "covariance", from: "pairs", scale };
}

/** The tensor of a file that has one. */
async function readMatrix(path: string): Promise<{ data: Float32Array; shape: readonly number[] }> {
  let bytes: Uint8Array;
  try {
    bytes = await readWholeFile(path);
  } catch (error) {
    throw new FileError("ERR_IO", `${path}: cannot be read: ${reason(error)}`, { cause: error });
  }
  const tensors = [...decodeSafetensors(bytes, path).tensors.values()];
  if (tensors.length !== 1)
    throw new FileError(
      "ERR_FILE_INVALID",
      `${path}: expected one tensor, the covariance, got ${tensors.length}`,
    );
  return tensors[0]!;
}
