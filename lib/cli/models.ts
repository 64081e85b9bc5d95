/** The options that say what models are joined and how, shared by the commands that run them. */
import { augmentation, type Augmentation } from "../augment.js";
import type { Device, Precision } from "../devices.js";
import { energy, type Energy } from "../energy.js";
import { latent, type Latent } from "../latent.js";
import { loadModel, type Model } from "../model.js";
import { stage, type Stage } from "../preprocess.js";
import type { Arguments } from "./arguments.js";
import type { Context, OptionSpec } from "./command.js";

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

/** What the energy is averaged over. */
export const augmentOptions = {
  augment: {
    type: "string",
    value: "LIST",
    help: "average the energy over varied images: some of color,translation,resize,cutout; all; or none",
  },
  copies: {
    type: "string",
    value: "A",
    help: "augment: images that are averaged over (default 8; the paper 50)",
  },
} as const satisfies Record<string, OptionSpec>;

/** Reads {@link augmentOptions}; null for "none". @throws UsageError */
export function readAugment(args: Arguments): Augmentation | null | undefined {
  const copies = args.integer("copies", 1, 4096);
  const list = args.list("augment");
  const none = list?.length === 1 && list[0] === "none";
  if (!list || none) {
    if (copies !== undefined) throw args.wrong("copies", "--augment with it, to say what", String(copies));
    return none ? null : undefined;
  }
  const kinds = ["color", "translation", "resize", "cutout"];
  const chosen = list.length === 1 && list[0] === "all" ? kinds : list;
  for (const name of chosen)
    if (!kinds.includes(name)) throw args.wrong("augment", `all, none, or some of ${kinds.join(", ")}`, name);
  return augmentation.policy({
    ...(copies === undefined ? {} : { copies }),
    color: chosen.includes("color"),
    ...(chosen.includes("translation") ? {} : { translation: 0 }),
    ...(chosen.includes("resize") ? {} : { resize: false }),
    ...(chosen.includes("cutout") ? {} : { cutout: 0 }),
  });
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
    value: "NAME",
    help: "the prior: normal, truncated or uniform (default: normal)",
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
  latent?: (dim: number) => Latent;
  latentDim?: number;
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
  const kind = args.choice("latent", ["normal", "truncated", "uniform"]);
  const bound = args.number("latent-bound", { above: 0 });
  if (bound !== undefined && (kind ?? "normal") === "normal")
    throw args.wrong("latent-bound", "--latent truncated or uniform with it", bound);
  const makers: Record<NonNullable<typeof kind>, (dim: number) => Latent> = {
    normal: (dim) => latent.normal(dim),
    truncated: (dim) => latent.truncatedNormal(dim, bound ?? 2),
    uniform: (dim) => latent.uniform(dim, -(bound ?? 1), bound ?? 1),
  };
  const latentDim = args.integer("latent-dim", 1, 2 ** 24);
  return {
    ...(name ? { energy: energies[name]() } : {}),
    ...(kind ? { latent: makers[kind] } : {}),
    ...(latentDim === undefined ? {} : { latentDim }),
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

/** The prior over the generator's input; undefined leaves it to the library. */
export function priorOf(settings: CommandSettings, generator: Model): Latent | undefined {
  if (!settings.latent && settings.latentDim === undefined) return undefined;
  const row = generator.inputs[0]?.shape.slice(1) ?? [];
  const known = row.reduce<number>((product, dim) => product * (dim ?? 1), 1);
  return (settings.latent ?? ((dim) => latent.normal(dim)))(settings.latentDim ?? known);
}

/** Opens both models, gives them to `body`, and releases them whatever happens. */
export async function withModels<T>(
  args: Arguments,
  { signal }: Context,
  body: (models: { generator: Model; encoder: Model }) => Promise<T>,
): Promise<T> {
  const generator = await loadModel(args.required("generator"), { signal });
  try {
    const encoder = await loadModel(args.required("encoder"), { signal });
    try {
      return await body({ generator, encoder });
    } finally {
      encoder.dispose();
    }
  } finally {
    generator.dispose();
  }
}
