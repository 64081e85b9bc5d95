/** The options that say what models are joined and how, shared by the commands that run them. */
import type { AugmentationOptions } from "../objective/augment.js";
import { loadConfig, type ModelSpec, type RunConfig } from "../config/config.js";
import { readFixedInputs } from "../config/fixed-inputs.js";
import type { Device, Precision } from "../native/devices.js";
import { documentShape } from "../config/document.js";
import { augmentationOptions } from "../objective/augment.js";
import { flagTable, optionFlags } from "../options/flags.js";
import type { Range } from "../base/range.js";
import { ModelsLoader } from "../model/model.js";
import type { Model } from "../model/interface.js";
import { modelOptions as loadOptions } from "../model/interface.js";
import { energies } from "../objective/energies/index.js";
import type { EnergySpec } from "../objective/energy.js";
import { orWords } from "../options/family.js";
import { stages, type StageSpec } from "../objective/stages/index.js";
import { textEncoder, type TextFunction } from "../condition/text-encoder.js";
import { loadTokenizer } from "../condition/tokenizer.js";
import type { Arguments } from "./arguments.js";
import type { Context, OptionSpec } from "./command.js";
import { fixedInputOptions, withFixedInputs } from "./fixed-inputs.js";
import { UsageError } from "./errors.js";
import { inputShapeOptions, withInputShapes } from "./input-shapes.js";
import { boundHelp, readLatent } from "./latents.js";

const { allowFallback, device, deviceMemory, maxBatch, memory, precision, seed } =
  documentShape.form.properties;
const deviceFlags = optionFlags({ device, precision });
const ownDeviceFlags = optionFlags({
  modelDevice: {
    ...loadOptions.form.properties.device,
    is: "where models run whose file does not say it",
    otherwise: "with --device",
  },
});
const runFlags = optionFlags({ maxBatch, allowFallback, deviceMemory, memory });

/** Of every ONNX model of a command. */
export const straightThroughFlag = {
  type: "boolean",
  help: "take rounding for the identity in the gradient: quantised activations, Round, casts to whole numbers",
} as const satisfies OptionSpec;

export const modelOptions = {
  config: { type: "string", value: "FILE", help: "a configuration, JSON; other options override it" },
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
  ...fixedInputOptions,
  ...inputShapeOptions,
  "allow-code": {
    type: "boolean",
    help: "trust the TorchScript files: their code may do more than compute",
  },
  "straight-through": straightThroughFlag,
  ...flagTable(runFlags),
} as const satisfies Record<string, OptionSpec>;

const kindFlags = optionFlags({ encoderKind: documentShape.form.properties.encoderKind });
const copiesFlags = optionFlags({ copies: augmentationOptions.form.properties.copies });

/** Where everything computes. */
export const deviceOptions: Readonly<Record<string, OptionSpec>> = flagTable(deviceFlags);
/** The same with models. */
export const placeOptions: Readonly<Record<string, OptionSpec>> = {
  ...deviceOptions,
  ...flagTable(ownDeviceFlags),
};

/** What decides everything random. `otherwise`: where nobody says it. */
export function seedOptions(otherwise?: string): Record<string, OptionSpec> {
  return flagTable(optionFlags({ seed: otherwise === undefined ? seed : { ...seed, otherwise } }));
}

/** What the energy is averaged over. */
export const augmentOptions = {
  augment: {
    type: "string",
    value: "LIST",
    help: "average the energy over varied images: some of color,translation,resize,cutout; all; or none",
  },
  ...flagTable(copiesFlags),
} satisfies Record<string, OptionSpec>;

/** Reads {@link augmentOptions}; null for "none". @throws UsageError */
function readAugment(args: Arguments): AugmentationOptions | null | undefined {
  const { copies } = args.options(copiesFlags) as { copies?: number };
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
  return {
    ...(copies === undefined ? {} : { copies }),
    color: chosen.includes("color"),
    ...(chosen.includes("translation") ? {} : { translation: 0 }),
    ...(chosen.includes("resize") ? {} : { resize: false }),
    ...(chosen.includes("cutout") ? {} : { cutout: 0 }),
  };
}

/** Black and white: what pictures are written and read by. */
export const rangeOptions = {
  "generator-range": {
    type: "string",
    value: "LOW,HIGH",
    help: "the generator's black and white: 0,1 or 0,255, or =-1,1 (default: found out, and told)",
  },
} as const satisfies Record<string, OptionSpec>;

const energyWords = energies.all().flatMap(({ word }) => word ?? []);

/** Stages, each by a flag of its own, in the order in which they apply. */
const flagsOfStages = stages
  .all()
  .flatMap(({ flag }) => flag ?? [])
  .sort((a, b) => a.turn - b.turn);

const stageFlags = Object.fromEntries(
  flagsOfStages.map(({ name, value, help }): [string, OptionSpec] => [
    name,
    value === undefined ? { type: "boolean", help } : { type: "string", value, help },
  ]),
);

/** Stages of which a translator file does not remember all. */
export const ownStageOptions = { stage: stageFlags["stage"]! } satisfies Record<string, OptionSpec>;

/** What a translator file remembers by itself, so that only `pairs` and `train` ask for it. */
export const settingOptions = {
  energy: {
    type: "string",
    value: "NAME",
    help: `${orWords(energyWords)} (default: by the encoder)`,
  },
  ...flagTable(kindFlags),
  ...rangeOptions,
  latent: {
    type: "string",
    value: "LIST",
    help: "the prior (default: normal), see below; for several inputs NAME=PRIOR,NAME=PRIOR",
  },
  "latent-dim": { type: "string", value: "N", help: "latent size, where the generator does not tell it" },
  "latent-bound": {
    type: "string",
    value: "X",
    help: boundHelp,
  },
  ...stageFlags,
} as const satisfies Record<string, OptionSpec>;

/**
 * What a command shall do: the configuration file, where there is one, with the options of the line over it.
 *
 * @throws UsageError; FileError for a file that cannot be read or is not as it must be
 */
export async function readRun(args: Arguments): Promise<RunConfig> {
  const device = readDevice(args);
  const batch = args.options(runFlags);
  const settings = readSettings(args);
  const latent = readLatent(args);
  const augment = readAugment(args);
  const drawn = args.options(optionFlags({ seed }));
  const [generator, encoder, mapping] = [args.text("generator"), args.text("encoder"), args.text("mapping")];
  const path = args.text("config");
  const config = path === undefined ? {} : await loadConfig(path);
  const line: RunConfig = {
    ...(generator === undefined ? {} : { generator: { model: generator } }),
    ...(encoder === undefined ? {} : { encoder: { model: encoder } }),
    ...(mapping === undefined ? {} : { mapping: { model: mapping } }),
    ...device,
    ...batch,
    ...settings,
    latent: latent(config.latent),
    augment,
    ...drawn,
  };
  return withInputShapes(args, withFixedInputs(args, over(config, line)));
}

/** `base` with what `line` has, one by one. */
export function over<T extends object>(base: T | undefined, line: T): T {
  const given = Object.entries(line).filter(([, value]) => value !== undefined);
  return { ...base, ...Object.fromEntries(given) } as T;
}

/** @throws UsageError where neither the line nor the file has it. */
export function need<T>(args: Arguments, value: T | undefined, option: string, key: string): T {
  if (value !== undefined) return value;
  const file = args.text("config");
  throw new UsageError(
    `--${option} is missing${file === undefined ? "" : `, and ${file} has no ${JSON.stringify(key)}`}`,
    args.command,
  );
}

/** Reads {@link deviceOptions}. @throws UsageError */
export function readDevice(args: Arguments): { device?: Device; precision?: Precision } {
  return args.options(deviceFlags);
}

/** Reads {@link settingOptions} but the latent. */
function readSettings(args: Arguments): RunConfig {
  const word = args.choice("energy", energyWords);
  const energy = energies.all().find((kind) => word !== undefined && kind.word === word);
  return {
    energy: energy && ({ kind: energy.kind } as EnergySpec),
    ...args.options(kindFlags),
    generatorRange: readRange(args),
    preprocess: readStages(args),
  };
}

function readRange(args: Arguments): Range | undefined {
  const list = args.list("generator-range");
  if (!list) return undefined;
  const [low, high] = list.map(Number) as [number, number];
  if (list.length !== 2 || !Number.isFinite(low) || !Number.isFinite(high) || !(low < high))
    throw args.wrong("generator-range", "LOW,HIGH with LOW < HIGH", list.join());
  return [low, high];
}

function readStages(args: Arguments): StageSpec[] | undefined {
  const list = flagsOfStages.flatMap((flag): StageSpec[] => {
    const value = flag.value === undefined ? args.flag(flag.name) && "" : args.text(flag.name);
    if (value === undefined || value === false) return [];
    const stage = flag.read(value);
    if (!stage) throw args.wrong(flag.name, flag.expected ?? "another value", value);
    return [stage];
  });
  return list.length > 0 ? list : undefined;
}

export interface RunModels {
  generator: Model;
  encoder: Model;
  pairEncoder?: Model;
  textEncoder?: TextFunction;
  mapping?: Model;
}

/** Opens the models of a run, gives them to `body`, and releases them whatever happens. */
export async function withModels<T>(
  args: Arguments,
  run: RunConfig,
  { signal, decisions }: Context,
  body: (models: RunModels) => Promise<T>,
): Promise<T> {
  const specs = {
    generator: need(args, run.generator, "generator", "generator"),
    encoder: need(args, run.encoder, "encoder", "encoder"),
  };
  const opened: Model[] = [];
  const { modelDevice } = args.options(ownDeviceFlags);
  const loader = new ModelsLoader({
    allowCode: args.flag("allow-code"),
    straightThrough: args.flag("straight-through"),
  });
  const open = async (spec: ModelSpec): Promise<Model> => {
    const {
      model,
      format,
      device = modelDevice,
      inputShapes,
      simplify,
      allowRandom,
      straightThrough,
      allowCode,
    } = spec;
    // A model that follows the Tr0n's device has its leave from there.
    const allowFallback = spec.allowFallback ?? (device === undefined ? undefined : run.allowFallback);
    const loaded = await loader.load(model, {
      format,
      device,
      inputShapes,
      inputs: await readFixedInputs(spec.inputs),
      simplify,
      allowRandom,
      straightThrough,
      allowCode,
      allowFallback,
      deviceMemory: spec.deviceMemory ?? (device === undefined ? undefined : run.deviceMemory),
      signal,
    });
    opened.push(loaded);
    return loaded;
  };
  try {
    const models: RunModels = {
      generator: await open(specs.generator),
      encoder: await open(specs.encoder),
    };
    if (run.mapping) models.mapping = await open(run.mapping);
    if (run.pairEncoder) models.pairEncoder = await open(run.pairEncoder);
    if (run.textEncoder) {
      const { tokenizer, unknownWords, output, maxLength, longTexts } = run.textEncoder;
      models.textEncoder = textEncoder({
        tokenizer: await loadTokenizer(tokenizer),
        model: await open(run.textEncoder),
        ...{ unknownWords, output, maxLength, longTexts },
        onDecision: decisions.listener,
      });
    }
    for (const option of loader.unused)
      throw new UsageError(
        option === "allowCode"
          ? "--allow-code: none of the models is TorchScript"
          : "--straight-through: none of the models is ONNX",
        args.command,
      );
    return await body(models);
  } finally {
    for (const model of opened.reverse()) model.dispose();
  }
}
