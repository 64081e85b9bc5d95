/** What files remember of the models that were joined, and how a file's differs from what is there. */
import { basename } from "node:path";
import type { Augmentation } from "./augment.js";
import { formerKind, type EncoderKind } from "./encoder-kind.js";
import { describeEnergy } from "./energy.js";
import { defaultRange, type Range } from "../base/range.js";
import { describeLatent, type LatentDescription } from "../latent/description.js";
import type { LoadedModel } from "../model/model.js";
import type { Objective } from "./objective.js";
import type { OutputFacts } from "../model/output-facts.js";
import { describeStages, readsRange, type StageDescription } from "./stages.js";

/** A model as files remember it. */
export interface ModelRecord {
  /** The file's name without its folder: for messages only. */
  readonly name: string;
  readonly sha256: string;
  readonly output: string | null;
}

/** Everything that conditions, energies and latents mean, as JSON. */
export interface ObjectiveRecord {
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
  readonly preprocess: readonly StageDescription[];
  /** Absent where there is none, as in files from before there was any. */
  readonly augment?: Augmentation;
  readonly energy: unknown;
}

export async function objectiveRecord(objective: Objective): Promise<ObjectiveRecord> {
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
    preprocess: describeStages(objective.stages),
    ...(objective.augment ? { augment: objective.augment } : {}),
    energy: describeEnergy(objective.energy),
  };
}

/** {@link objectiveRecord} as far as training pairs depend on them: a range counts where a stage takes it into account. */
export async function pairsRecord(objective: Objective): Promise<Record<string, unknown>> {
  const { generatorRange, ...settings } = await objectiveRecord(objective);
  return readsRange(objective.stages) ? { ...settings, generatorRange } : settings;
}

/** Settings of a file that may be from before there were kinds and ranges, with what it took them for. */
export async function withFormerKinds(
  stored: Record<string, unknown>,
  objective: Objective,
): Promise<Record<string, unknown>> {
  const range = readsRange(objective.stages) ? { generatorRange: defaultRange } : {};
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
export function recordDifference(
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
