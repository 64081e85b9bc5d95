/** The .safetensors file of a trained Tr0n: the translator's tensors, and the rest as JSON in the header. */
import { auxiliaryGroup, checkAuxiliaryName } from "../translator/auxiliary.js";
import { checkAugmentation } from "../objective/augment.js";
import { soundRules } from "../model/block-rules.js";
import { checkSeed } from "../base/check.js";
import type { Compute } from "../native/devices.js";
import {
  describeEnergy,
  energyFrom,
  mustBeGiven,
  type Energy,
  type EnergyDescription,
} from "../objective/energy.js";
import { FileError, Tr0nError, describe } from "../base/errors.js";
import { checkRange, defaultRange, rangeText, sameRange, type Range } from "../base/range.js";
import { checkDescription, latentTables, splitTables } from "../latent/description.js";
import { noiseFromJson, noiseToJson } from "../translator/noise.js";
import type { NativeBlockRule } from "../native/types/pipeline.js";
import type { Objective } from "../objective/objective.js";
import type { PilotReport } from "../training/pilot.js";
import {
  checkDescriptions,
  describeStages,
  readsRange,
  withModels,
  type Stage,
} from "../objective/stages.js";
import { decodeSafetensors, takeTensor, type Safetensors } from "../base/safetensors.js";
import { checkKindName } from "../objective/composition-options.js";
import {
  objectiveRecord,
  recordDifference,
  type ModelRecord,
  type ObjectiveRecord,
} from "../objective/record.js";
import { translatorSettings, type TranslatorSettings } from "../training/options.js";
import type { TrainReport } from "../training/report.js";
import { architecture, architectureOf } from "../translator/shape.js";
import { check } from "../options/check.js";
import { object } from "../options/describe.js";
import { translatorFromFile, type Translator } from "../translator/translator.js";

/** Deviations of y about the auxiliary head's output. */
const spreadName = "latent.auxiliary_stds";
const format = "tr0n-translator";
const version = 1;

/** What the header's JSON holds. */
interface TranslatorFileConfig {
  readonly models: Omit<ObjectiveRecord, "energy"> & { readonly energy: EnergyDescription };
  readonly translator: TranslatorSettings;
  readonly seed: number;
  readonly fixedSeed: boolean;
  readonly training: TrainReport | null;
  /** In which blocks rows run; of use on a machine like the one that found it out. */
  readonly blocks: readonly NativeBlockRule[];
}

export async function encodeTranslatorFile(
  objective: Objective,
  translator: Translator,
  spread: Float32Array | null,
  rest: Omit<TranslatorFileConfig, "models" | "blocks">,
): Promise<Uint8Array[]> {
  // A deterministic translator has one whatever the mixture of a later training is to have.
  const components = translator.deterministic ? rest.translator.components : translator.components;
  const config = {
    models: await objectiveRecord(objective),
    translator: {
      ...architectureOf(translator),
      components,
      bound: translator.bound,
      ...(rest.translator.auxiliary === undefined ? {} : { auxiliary: rest.translator.auxiliary }),
      conditionNoise: noiseToJson(rest.translator.conditionNoise),
    },
    seed: rest.seed,
    fixedSeed: rest.fixedSeed,
    training: rest.training,
    blocks: objective.blockRules,
  };
  const metadata = { format, version: String(version), config: JSON.stringify(config) };
  return translator.fileParts(metadata, {
    ...latentTables(objective.latent),
    ...(spread ? { [spreadName]: { data: spread, shape: [spread.length] } } : {}),
  });
}

/**
 * A file's configuration, the tables of its latent, and a function that makes its translator once the models are there.
 *
 * @throws FileError ERR_FILE_INVALID for a damaged file or another kind of file
 */
export function decodeTranslatorFile(
  bytes: Uint8Array,
  path: string,
): {
  config: TranslatorFileConfig;
  tables: Safetensors;
  tensors: (
    objective: Objective,
    compute: Compute,
    signal?: AbortSignal,
  ) => Promise<{ translator: Translator; spread: Float32Array | null }>;
} {
  const fail = (what: string, cause?: unknown): FileError =>
    new FileError("ERR_FILE_INVALID", `${path}: not a sound translator file: ${what}`, { cause });
  const file = decodeSafetensors(bytes, path);
  const found = file.metadata.get("format");
  if (found !== format) throw fail(`expected the format ${describe(format)}, got ${describe(found)}`);
  if (file.metadata.get("version") !== String(version))
    throw fail(
      `expected version ${version}, got ${describe(file.metadata.get("version"))}; a newer tr0n may have written it`,
    );
  let config: TranslatorFileConfig;
  try {
    config = checkConfig(JSON.parse(file.metadata.get("config") ?? "") as TranslatorFileConfig);
  } catch (error) {
    throw fail(`its configuration is not as expected (${(error as Error).message})`, error);
  }
  const { rest, tables } = splitTables(file);
  const tensors = async (objective: Objective, compute: Compute, signal?: AbortSignal) => {
    let size: number;
    try {
      size = auxiliaryGroup("auxiliary", config.translator.auxiliary, objective.latent)?.size ?? 0;
    } catch (error) {
      throw fail((error as Error).message, error);
    }
    const spread = size > 0 ? takeTensor(tables, path, spreadName, [size]) : null;
    if (spread?.some((std) => !(std > 0 && std < Infinity)))
      throw fail(`${spreadName}: expected finite deviations above 0`);
    const translator = await translatorFromFile(rest, path, config.translator.bound ?? 0, compute, signal);
    const got = {
      latent: translator.latent,
      condition: translator.condition,
      auxiliary: translator.auxiliary,
    };
    const wanted = {
      latent: objective.latentSize - size,
      condition: objective.conditionSize,
      auxiliary: size,
    };
    const difference = recordDifference(got, wanted);
    if (difference === null) return { translator, spread };
    translator.dispose();
    throw fail(`its tensors do not fit the models: ${difference}`);
  };
  return { config, tables, tensors };
}

const noPilot = {
  stepSizes: [],
  forwards: 0,
  gradients: 0,
  skipped: "the file is of a version that measured no step sizes; train again to have them",
};

/** @throws TypeError for step sizes that a sampler could not use */
function restoredPilot(pilot: PilotReport | undefined): PilotReport {
  if (pilot === undefined) return noPilot;
  const usable = pilot.stepSizes.every(
    ({ fidelity, stepSize }, i) =>
      stepSize > 0 &&
      stepSize < Infinity &&
      fidelity > (pilot.stepSizes[i - 1]?.fidelity ?? 0) &&
      fidelity < Infinity,
  );
  if (!usable) throw new TypeError("pilot: expected step sizes above 0 by rising fidelity");
  return pilot;
}

/** JSON has no NaN, and files of older versions have fewer fields. */
function restoredReport(report: TrainReport): TrainReport {
  const number = (x: unknown): number => (typeof x === "number" ? x : Number.NaN);
  return {
    ...report,
    loss: report.loss ?? "nll",
    bestEpoch: report.bestEpoch ?? report.epochs,
    stopped: report.stopped ?? false,
    validation: report.validation ?? [],
    decisions: report.decisions ?? [],
    trainLoss: number(report.trainLoss),
    heldOutLoss: number(report.heldOutLoss ?? report.heldOutNll),
    heldOutNll: number(report.heldOutNll),
    heldOutAuxiliary: number(report.heldOutAuxiliary),
    gap: number(report.gap),
    pilot: restoredPilot(report.pilot),
  };
}

/** @throws any error when a part is not as expected */
function checkConfig(given: TranslatorFileConfig): TranslatorFileConfig {
  const { models } = given;
  const record = (role: string, value: ModelRecord): ModelRecord => {
    const { name, sha256, output } = value;
    if (
      typeof name !== "string" ||
      !/^[0-9a-f]{64}$/.test(sha256) ||
      !(output === null || typeof output === "string")
    )
      throw new TypeError(`${role}: expected a name, a SHA-256 and an output`);
    return { name, sha256, output };
  };
  const translator: TranslatorSettings & { space?: unknown } = { ...given.translator };
  delete translator.space; // files used to say by which letter their tensors are called; the tensors tell it, too
  const unknown = Object.keys(translator).find(
    (key) => !Object.hasOwn(translatorSettings.form.properties, key),
  );
  if (unknown !== undefined)
    throw new TypeError(
      `translator: unknown setting ${JSON.stringify(unknown)}; a newer tr0n may have written it`,
    );
  if (typeof translator.bound !== "number" || !(translator.bound >= 0))
    throw new TypeError("bound: expected a number ≥ 0");
  if (!mustBeGiven(models.energy)) energyFrom(models.energy);
  return {
    models: {
      ...models,
      generator: record("generator", models.generator),
      encoder: record("encoder", models.encoder),
      pairEncoder: models.pairEncoder ?? null,
      latent: checkDescription(models.latent),
      generatorRange: checkRange("generatorRange", models.generatorRange),
      encoderKind: checkKindName("encoderKind", models.encoderKind),
      pairEncoderKind: checkKindName("pairEncoderKind", models.pairEncoderKind),
      preprocess: checkDescriptions("preprocess", models.preprocess),
      ...(models.augment === undefined ? {} : { augment: checkAugmentation("augment", models.augment) }),
    },
    translator: {
      ...check(object(architecture), architectureOf(translator), { name: "translator" }),
      auxiliary: checkAuxiliaryName("auxiliary", translator.auxiliary),
      bound: translator.bound,
      conditionNoise: noiseFromJson(translator.conditionNoise),
    },
    seed: checkSeed("seed", given.seed ?? Number.NaN),
    fixedSeed: given.fixedSeed === true,
    training: given.training ? restoredReport(given.training) : null,
    blocks: soundRules(given.blocks),
  };
}

/**
 * The range of a file, or the caller's in its place; undefined where neither has one.
 *
 * @throws FileError ERR_FILE_MISMATCH when the file's stages were trained with another
 */
export function restoredRange(
  { generatorRange: stored, preprocess }: TranslatorFileConfig["models"],
  given: Range | undefined,
  path: string,
): Range | undefined {
  if (given === undefined) return stored;
  const trained = stored ?? defaultRange;
  if (readsRange(preprocess) && !sameRange(trained, given))
    throw new FileError(
      "ERR_FILE_MISMATCH",
      `${path}: its stage.clip() was trained with the generator's range ${rangeText(trained)}, but ${rangeText(given)} was ` +
        "given; train it again with that",
    );
  return given;
}

/**
 * The stages of a file, with the bytes of models from the caller's.
 *
 * @param given all stages again, or those alone that are models
 * @throws Tr0nError when they are needed and not given, FileError ERR_FILE_MISMATCH when they are others
 */
export function restoredStages(
  stored: TranslatorFileConfig["models"]["preprocess"],
  given: readonly Stage[] | undefined,
  path: string,
): readonly Stage[] {
  const stages = withModels(stored, given ?? []);
  if (given === undefined && stages) return stages;
  if (given === undefined)
    throw new Tr0nError(
      "ERR_INVALID_ARGUMENT",
      `models.preprocess: ${path} was saved with a stage from stage.fromOnnx(), of which a file holds only the SHA-256; ` +
        "give the same stage again (on the command line --stage FILE)",
    );
  const described = describeStages(given);
  const models = described.every(({ kind }) => kind === "onnx");
  const difference = models ? null : recordDifference({ preprocess: stored }, { preprocess: described });
  if (difference !== null || !stages)
    throw new FileError(
      "ERR_FILE_MISMATCH",
      `${path}: it belongs to other stages: ${difference ?? "none of those given is the model that it was trained with"}`,
    );
  return stages;
}

/**
 * The energy of a file, with the bytes of ONNX parts from the caller's.
 *
 * @throws Tr0nError when it is needed and not given, FileError ERR_FILE_MISMATCH when it is another one
 */
export function restoredEnergy(stored: EnergyDescription, given: Energy | undefined, path: string): Energy {
  if (given === undefined) {
    if (!mustBeGiven(stored)) return energyFrom(stored);
    throw new Tr0nError(
      "ERR_INVALID_ARGUMENT",
      `models.energy: ${path} was saved with an energy from energy.fromOnnx(), of which a file holds only the SHA-256; ` +
        "give the same energy again",
    );
  }
  const difference = recordDifference({ energy: stored }, { energy: describeEnergy(given) });
  if (difference !== null)
    throw new FileError("ERR_FILE_MISMATCH", `${path}: it belongs to another energy: ${difference}`);
  return given;
}
