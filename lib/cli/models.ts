/** The options that say what models are joined and how, shared by the commands that run them. */
import type { Device, Precision } from "../devices.js";
import { energy, type Energy } from "../energy.js";
import type { Latent } from "../latent.js";
import { loadModel, type Model } from "../model.js";
import { stage, type Stage } from "../preprocess.js";
import type { Arguments } from "./arguments.js";
import type { Context, OptionSpec } from "./command.js";
import { readLatent } from "./latents.js";

/** What `--latent` takes, for the end of a command's help. */
export const latentNotes =
  "A prior is normal[:DIM[:STD]], truncated[:DIM[:BOUND]], uniform[:DIM[:BOUND]], table:FILE (rows of a matrix, .safetensors " +
  "or JSON) or mapped[:BASE] (what the --mapping network makes of BASE, by default normal). DIM is the generator's where left " +
  "out. BigGAN: --latent z=truncated,y=table:classes.safetensors.";

export const modelOptions = {
  generator: {
    type: "string",
    value: "FILE",
    help: "generator G: latent → image, ONNX or TorchScript",
    required: true,
  },
  encoder: {
    type: "string",
    value: "FILE",
    help: "encoder f: image → condition, such as a classifier, ONNX or TorchScript",
    required: true,
  },
  mapping: {
    type: "string",
    value: "FILE",
    help: "the mapping network of a mapped latent, ONNX or TorchScript",
  },
} as const satisfies Record<string, OptionSpec>;

/** Where translator and samplers compute. */
export const deviceOptions = {
  device: { type: "string", value: "NAME", help: "cpu, cuda, cuda:N or auto (default: auto)" },
  precision: {
    type: "string",
    value: "NAME",
    help: "how a GPU multiplies matrices: fp32 or tf32 (default: fp32)",
  },
} as const satisfies Record<string, OptionSpec>;

/** Reads {@link deviceOptions}. @throws UsageError */
export function readDevice(args: Arguments): { device?: Device; precision?: Precision } {
  const device = args.text("device");
  if (device !== undefined && !/^(auto|cpu|cuda(:\d{1,4})?)$/.test(device))
    throw args.wrong("device", "cpu, cuda, cuda:N or auto", device);
  return { device: device as Device | undefined, precision: args.choice("precision", ["fp32", "tf32"]) };
}

/** What a translator file remembers by itself, so that only `pairs` and `train` ask for it. */
export const settingOptions = {
  energy: {
    type: "string",
    value: "NAME",
    help: "cross-entropy, cosine or squared-error (default: by the encoder)",
  },
  latent: {
    type: "string",
    value: "LIST",
    help: "the prior (default: normal), see below; for several inputs NAME=PRIOR,NAME=PRIOR",
  },
  "latent-dim": { type: "string", value: "N", help: "latent size, where the generator does not tell it" },
  "latent-bound": {
    type: "string",
    value: "X",
    help: "truncated: redrawn beyond ±X (default 2); uniform: ±X (default 1)",
  },
  resize: { type: "string", value: "HxW", help: "resize images for the encoder" },
  grayscale: { type: "boolean", help: "one channel for the encoder" },
  normalize: {
    type: "string",
    value: "M,S",
    help: "(x − M) / S for the encoder, in the generator's range [-1, 1]",
  },
  "clip-preprocess": {
    type: "boolean",
    help: "CLIP's preprocessing: [0, 1], 224 × 224, its mean and deviation",
  },
} as const satisfies Record<string, OptionSpec>;

export interface CommandSettings {
  energy?: Energy;
  /** The prior of a generator; undefined leaves it to the library. */
  latent: (generator: Model, mapping: Model | undefined) => Promise<Latent | undefined>;
  preprocess: Stage[];
}

/** Reads {@link settingOptions}. @throws UsageError */
export function readSettings(args: Arguments): CommandSettings {
  const energies = {
    "cross-entropy": energy.crossEntropy,
    cosine: energy.cosine,
    "squared-error": energy.squaredError,
  };
  const name = args.choice("energy", Object.keys(energies) as (keyof typeof energies)[]);
  return {
    ...(name ? { energy: energies[name]() } : {}),
    latent: readLatent(args),
    preprocess: readStages(args),
  };
}

function readStages(args: Arguments): Stage[] {
  const stages: Stage[] = [];
  const size = args.text("resize");
  if (size !== undefined) {
    const match = /^(\d{1,5})x(\d{1,5})$/i.exec(size);
    if (!match) throw args.wrong("resize", "HxW such as 224x224", size);
    stages.push(stage.resize(Number(match[1]), Number(match[2])));
  }
  if (args.flag("grayscale")) stages.push(stage.grayscale());
  const affine = args.list("normalize");
  if (affine) {
    const [mean, std] = affine.map(Number) as [number, number];
    if (affine.length !== 2 || !Number.isFinite(mean) || !(std > 0))
      throw args.wrong("normalize", "M,S with S > 0", affine.join());
    stages.push(stage.normalize(mean, std));
  }
  if (args.flag("clip-preprocess")) stages.push(stage.clip());
  return stages;
}

/** Opens the models, gives them to `body`, and releases them whatever happens. */
export async function withModels<T>(
  args: Arguments,
  { signal }: Context,
  body: (models: { generator: Model; encoder: Model; mapping?: Model }) => Promise<T>,
): Promise<T> {
  const opened: Model[] = [];
  const open = async (path: string): Promise<Model> => {
    const model = await loadModel(path, { signal });
    opened.push(model);
    return model;
  };
  try {
    const generator = await open(args.required("generator"));
    const encoder = await open(args.required("encoder"));
    const mapping = args.text("mapping");
    return await body({
      generator,
      encoder,
      ...(mapping === undefined ? {} : { mapping: await open(mapping) }),
    });
  } finally {
    for (const model of opened.reverse()) model.dispose();
  }
}
