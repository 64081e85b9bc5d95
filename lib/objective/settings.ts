/** The options that say what models are joined and how, and the record of them that files keep. */
import { basename } from "node:path";
import { checkAugmentation, type Augmentation } from "./augment.js";
import { checkChoice, checkFunction, checkInteger } from "../base/check.js";
import { Decisions, type DecisionListener } from "../base/decisions.js";
import { checkDevice, type Device } from "../native/devices.js";
import { encoderKinds, formerKind, type EncoderKind } from "./encoder-kind.js";
import { checkEnergy, describeEnergy, type Energy } from "./energy.js";
import { invalid } from "../base/errors.js";
import { checkRange, defaultRange, type Range } from "../base/range.js";
import { describeLatent, type LatentDescription } from "../latent/description.js";
import { checkLatent, type Latent } from "../latent/latent.js";
import { loadedModel, type LoadedModel } from "../model/model.js";
import type { Model } from "../model/interface.js";
import { Objective } from "./objective.js";
import type { PairFunction } from "./options.js";
import type { OnOpening } from "../base/opening.js";
import type { OutputFacts } from "../model/output-facts.js";
import { checkStages, type Stage } from "./stages.js";

/** Models and what lies between them. */
export interface ModelsOptions {
  /** z → image; with several inputs for latent.product(). Not disposed of by tr0n. */
  generator: Model;
  /** image → condition, with one input. Not disposed of by tr0n. */
  encoder: Model;
  /** Default: the generator's first output. */
  generatorOutput?: string;
  /** Default: the encoder's first output. */
  encoderOutput?: string;
  /** p(z). Default: N(0, I) of the generator's input size. */
  latent?: Latent;
  /**
   * Between which numbers the generator's pixels lie, black and white: [-1, 1], [0, 1], [0, 255] or any other two. Pictures are
   * written and read by it, and stage.clip() and `augment` take it into account. Default: found out from the generator's
   * last operators (Tanh, Sigmoid, Clip, scaled or not) or else from images of it, and told.
   */
  generatorRange?: Range;
  /**
   * What the encoder's output means: scores of classes ("logits"), "probabilities" of classes, their logarithms
   * ("log-probabilities"), or a vector ("embedding"). Default: found out from rows of it for images of the generator (≥ 0
   * with the sum 1; ≤ 0 with exponentials that sum to 1; of length 1), from its name and from its last operators, and told;
   * with a warning where two of them are about as likely.
   */
  encoderKind?: EncoderKind;
  /** Default: cosine() where the encoder's output is an "embedding", else crossEntropy(); see `encoderKind`. */
  energy?: Energy;
  /** Stages between generator and encoder, in order. Default none. */
  preprocess?: readonly Stage[];
  /**
   * Variations of the image, before `preprocess`, that the energy is averaged over: it is then harder to satisfy by
   * details that only the encoder sees. Training pairs and images are not varied. Default none.
   */
  augment?: Augmentation;
  /**
   * Where a training pair's condition comes from, if not from the encoder: a model, fed with preprocessed images, or
   * a function, called with the generator's images [n, C, H, W] and giving [n, m]. With crossEntropy() a function gives
   * probabilities.
   */
  pairEncoder?: Model | PairFunction;
  /** Rows of one run of a model, 1 … 4096. Default 64. Does not change results. */
  maxBatch?: number;
  /** Where translator and samplers compute; the models run on the CPU. Default "auto". */
  device?: Device;
  /** Called with what tr0n decided where no option said it. Default: a line on standard error, a warning where it is not certain. */
  onDecision?: DecisionListener;
  /**
   * Told how far the opening of models is: their trial here, and their joining, differentiation and sessions in the calls
   * that first need them. What it throws ends the call.
   */
  onOpening?: OnOpening;
}

export const modelOptionNames = [
  "generator",
  "encoder",
  "generatorOutput",
  "encoderOutput",
  "generatorRange",
  "encoderKind",
  "latent",
  "energy",
  "preprocess",
  "augment",
  "pairEncoder",
  "maxBatch",
  "device",
  "onDecision",
  "onOpening",
] as const;

/** What a file says besides the options; `former`: it is from before there were kinds and ranges. */
export interface StoredKinds {
  readonly former: boolean;
  readonly pairEncoderKind?: EncoderKind;
}

/** Checks the options and joins the models. @throws as Tr0n.create */
export async function createObjective(
  o: ModelsOptions,
  signal?: AbortSignal,
  stored?: StoredKinds,
): Promise<Objective> {
  checkDevice("device", o.device);
  checkFunction("onDecision", o.onDecision);
  const text = (name: string, value: unknown): string | undefined => {
    if (value !== undefined && (typeof value !== "string" || value === ""))
      throw invalid(name, "an output's name", value);
    return value as string | undefined;
  };
  const { pairEncoder } = o;
  checkFunction("onOpening", o.onOpening);
  return Objective.create({
    generator: loadedModel("generator", o.generator),
    encoder: loadedModel("encoder", o.encoder),
    generatorOutput: text("generatorOutput", o.generatorOutput),
    encoderOutput: text("encoderOutput", o.encoderOutput),
    generatorRange: checkRange("generatorRange", o.generatorRange),
    encoderKind: checkKindName("encoderKind", o.encoderKind),
    pairEncoderKind: stored?.pairEncoderKind,
    origin: stored ? (stored.former ? "former file" : "file") : "options",
    latent: o.latent === undefined ? undefined : checkLatent("latent", o.latent),
    energy: o.energy === undefined ? undefined : checkEnergy("energy", o.energy),
    stages: checkStages("preprocess", o.preprocess),
    augment: o.augment === undefined ? undefined : checkAugmentation("augment", o.augment),
    pairEncoder:
      pairEncoder === undefined || typeof pairEncoder === "function"
        ? pairEncoder
        : loadedModel("pairEncoder", pairEncoder),
    maxBatch: checkInteger("maxBatch", o.maxBatch, 64, { min: 1, max: 4096 }),
    decisions: new Decisions(o.onDecision),
    onOpening: o.onOpening,
    signal,
  });
}

/** @throws ArgumentError unless `value` is a kind or undefined */
export function checkKindName(name: string, value: unknown): EncoderKind | undefined {
  return value === undefined ? undefined : checkChoice(name, value, "logits", encoderKinds);
}

/** A model as files remember it. */
export interface ModelRecord {
  /** The file's name without its folder: for messages only. */
  readonly name: string;
  readonly sha256: string;
  readonly output: string | null;
}

/** Everything that conditions, energies and latents mean, as JSON. */
export interface ModelSettings {
  readonly generator: ModelRecord;
  readonly encoder: ModelRecord;
  readonly pairEncoder: ModelRecord | "function" | null;
  readonly latent: LatentDescription;
  readonly latentShape: readonly number[];
  readonly imageShape: readonly number[];
  readonly conditionSize: number;
  /** Absent in files from before there was a choice. */
  readonly generatorRange?: Range;
  /** What the outputs mean; absent where it makes no difference, and in files from before there was a choice. */
  readonly encoderKind?: EncoderKind;
  readonly pairEncoderKind?: EncoderKind;
  readonly preprocess: readonly Stage[];
  /** Absent where there is none, as in files from before there was any. */
  readonly augment?: Augmentation;
  readonly energy: unknown;
}

export async function modelSettings(objective: Objective): Promise<ModelSettings> {
  const record = async (model: LoadedModel, output: string | null): Promise<ModelRecord> => ({
    name: basename(model.name),
    sha256: await model.fingerprint(),
    output,
  });
  const { pairEncoder, pairEncoderKind } = objective;
  const classes = objective.conditionKind === "probabilities";
  return {
    generator: await record(objective.generator, objective.generatorOutput),
    encoder: await record(objective.encoder, objective.encoderOutput),
    pairEncoder:
      pairEncoder === undefined
        ? null
        : typeof pairEncoder === "function"
          ? "function"
          : await record(pairEncoder, null),
    latent: await describeLatent(objective.latent),
    latentShape: objective.latentShape,
    imageShape: objective.imageShape,
    conditionSize: objective.conditionSize,
    generatorRange: objective.range,
    ...(classes ? { encoderKind: objective.encoderKind } : {}),
    ...(classes && pairEncoderKind ? { pairEncoderKind } : {}),
    preprocess: objective.stages,
    ...(objective.augment ? { augment: objective.augment } : {}),
    energy: describeEnergy(objective.energy),
  };
}

/** {@link modelSettings} as far as training pairs depend on them: a range counts where a stage takes it into account. */
export async function pairModelSettings(objective: Objective): Promise<Record<string, unknown>> {
  const { generatorRange, ...settings } = await modelSettings(objective);
  return countsRange(objective.stages) ? { ...settings, generatorRange } : settings;
}

/** Whether what the encoder receives depends on the generator's range. */
export function countsRange(stages: readonly Stage[]): boolean {
  return stages.some(({ kind }) => kind === "clip");
}

/** Settings of a file that may be from before there were kinds and ranges, with what it took them for. */
export async function withFormerKinds(
  stored: Record<string, unknown>,
  objective: Objective,
): Promise<Record<string, unknown>> {
  const range = countsRange(objective.stages) ? { generatorRange: defaultRange } : {};
  if (objective.conditionKind !== "probabilities" || stored["encoderKind"] !== undefined)
    return { ...range, ...stored };
  /** Log-probabilities come through a softmax as they are: they were taken for the logits that they are, too. */
  const former = (facts: OutputFacts, kind: EncoderKind): EncoderKind => {
    const was = formerKind(facts);
    return was === "logits" && kind === "log-probabilities" ? kind : was;
  };
  const { encoder, encoderOutput, encoderKind, pairEncoder, pairEncoderKind } = objective;
  const kinds: Record<string, EncoderKind> = {
    encoderKind: former(await encoder.facts(encoderOutput), encoderKind),
  };
  if (pairEncoderKind !== undefined && typeof pairEncoder === "object")
    kinds["pairEncoderKind"] = former(await pairEncoder.facts(pairEncoder.outputs[0]!.name), pairEncoderKind);
  return { ...range, ...kinds, ...stored };
}

/** The first setting in which a file differs from what is wanted, in words; null when they agree. Names of files do not count. */
export function settingsDifference(
  stored: Record<string, unknown>,
  wanted: Record<string, unknown>,
): string | null {
  for (const key of new Set([...Object.keys(wanted), ...Object.keys(stored)])) {
    const [was, is] = [canonical(stored[key]), canonical(wanted[key])];
    if (was !== is) return `${key} was ${short(was)}, is ${short(is)}`;
  }
  return null;
}

function short(json: string): string {
  return json.length > 200 ? `${json.slice(0, 200)}…` : json;
}

/** JSON with sorted keys, without the names of model files. */
function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_, item: unknown) => {
      if (item === null || typeof item !== "object" || Array.isArray(item)) return item;
      const entries = Object.entries(item).filter(([key]) => !(key === "name" && "sha256" in item));
      return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
    }) ?? "nothing"
  );
}
