/** What a configuration describes, as the library takes it. */
import { augmentation, type Augmentation } from "../objective/augment.js";
import type { Condition, WeightedCondition } from "../condition/condition.js";
import type { ConditionNoise } from "../translator/noise.js";
import { readJsonRows } from "../base/read-matrix.js";
import { sampler, type Sampler } from "../sampling/sampler.js";
import { tensor } from "../base/tensor.js";
import type { ConditionSpec, RunConfig, SamplerSpec } from "./config.js";

/** null for none, undefined where nothing is said. */
export function buildAugmentation(spec: RunConfig["augment"]): Augmentation | null | undefined {
  return spec && augmentation.policy(spec);
}

export function buildSampler({ kind, ...options }: SamplerSpec): Sampler {
  return (sampler[kind] as (options: object) => Sampler)(options);
}

export function buildNoise(
  spec: NonNullable<RunConfig["translator"]>["conditionNoise"],
): ConditionNoise | undefined {
  if (spec?.kind !== "covariance") return spec as ConditionNoise | undefined;
  if (spec.covariance === undefined) return { kind: "covariance", from: "pairs", scale: spec.scale };
  const rows = spec.covariance;
  return { kind: "covariance", covariance: tensor(rows.flat(), [rows.length, rows[0]!.length]) };
}

/** @throws FileError for a file of an embedding that cannot be read or is none */
export async function buildCondition(spec: ConditionSpec): Promise<Condition> {
  if ("all" in spec) {
    const parts = spec.all.map(async (part): Promise<Condition | WeightedCondition> =>
      "condition" in part
        ? { ...part, condition: await buildCondition(part.condition) }
        : buildCondition(part),
    );
    return { all: await Promise.all(parts) };
  }
  if (!("embedding" in spec)) return spec;
  const { embedding } = spec;
  if (typeof embedding === "string") return { embedding: await readJsonRows(embedding) };
  const rows = (Array.isArray(embedding[0]) ? embedding : [embedding]) as number[][];
  return { embedding: tensor(rows.flat(), [rows.length, rows[0]!.length]) };
}
