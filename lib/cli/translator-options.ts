/** The options of `train` that choose the translator's network, its loss and the noise on its conditions. */
import { FileError } from "../base/errors.js";
import type { ConditionNoise } from "../translator/noise.js";
import { readWholeFile } from "../base/read-file.js";
import { decodeSafetensors } from "../base/safetensors.js";
import { reason } from "../base/atomic-write.js";
import type { TrainOptions, TranslatorSettings } from "../training/options.js";
import type { Arguments } from "./arguments.js";
import type { OptionSpec } from "./command.js";

export const translatorOptions = {
  components: { type: "string", value: "K", help: "components of the mixture (default 10)" },
  hidden: { type: "string", value: "N", help: "width of the network (default 4 × the condition)" },
  depth: { type: "string", value: "N", help: "residual blocks (default 1)" },
  stds: {
    type: "string",
    value: "NAME",
    help: "shared, or component: one for each (default: shared)",
  },
  auxiliary: {
    type: "string",
    value: "GROUP",
    help: "a group of --latent that the network regresses, beside the mixture of the others (BigGAN: y)",
  },
  bound: { type: "string", value: "X", help: "means stay within ±X; 0: free (default: the prior's)" },
  "condition-noise": {
    type: "string",
    value: "KIND[:S]",
    help: "isotropic:S, adaptive[:S], covariance[:S] of the pairs, or covariance:FILE.safetensors [m, m]",
  },
  loss: {
    type: "string",
    value: "NAME",
    help: "nll, mse (deterministic) or cosine through f∘G (default: nll)",
  },
  temperature: { type: "string", value: "X", help: "cosine: of the relaxed draws (default 1)" },
  calibrate: { type: "boolean", help: "start from the moments of the pairs' latents" },
  "held-out": { type: "string", value: "N", help: "pairs to validate on (default a tenth, at most 2000)" },
  patience: { type: "string", value: "N", help: "stop after N epochs without a better held-out loss" },
} as const satisfies Record<string, OptionSpec>;

/** Reads {@link translatorOptions}. @throws UsageError; FileError for the covariance's file */
export async function readTranslatorOptions(
  args: Arguments,
): Promise<{ translator: TranslatorSettings; train: TrainOptions }> {
  return {
    translator: {
      components: args.integer("components", 1),
      hidden: args.integer("hidden", 1),
      depth: args.integer("depth", 1),
      stds: args.choice("stds", ["shared", "component"]),
      auxiliary: args.text("auxiliary"),
      bound: args.number("bound", { atLeast: 0 }),
      conditionNoise: await readNoise(args),
    },
    train: {
      loss: args.choice("loss", ["nll", "mse", "cosine"]),
      temperature: args.number("temperature", { above: 0 }),
      calibrate: args.flag("calibrate"),
      heldOut: args.integer("held-out", 1),
      patience: args.integer("patience", 1),
    },
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
