/** The figures that depend on the samples alone: accuracy, Fréchet distance, diversity. */
import { native } from "../native/binding.js";
import { runJob } from "../native/job.js";
import type { ExactSet } from "./exact.js";
import {
  featureStatistics,
  frechetDistance,
  meanPairwiseDistance,
  type FeatureStatistics,
} from "./frechet.js";
import type { EvaluationRow } from "./report.js";

/** One class's samples of a recipe, mapped. */
export interface SampleSet {
  readonly features: Float32Array;
  readonly latents: Float32Array;
  readonly hits: number;
}

/** What recipes of one class are compared with. */
export interface Truth {
  readonly statistics: FeatureStatistics;
  /** The exact set that stands where a recipe's samples stand. */
  readonly independent: SampleSet;
  /** FD and diversity of that set. */
  readonly floor: number;
  readonly diversity: number;
}

/** Splits every exact set into the first `samples` rows and the rest, the reference. */
export async function splitExact(
  sets: readonly ExactSet[],
  samples: number,
  width: number,
  signal?: AbortSignal,
): Promise<Truth[]> {
  const truth: Truth[] = [];
  for (const set of sets) {
    const d = set.latents.length / set.hits.length;
    const rest = {
      data: set.features.subarray(samples * width),
      n: set.hits.length - samples,
      d: width,
    };
    const statistics = await featureStatistics(rest, signal);
    const independent: SampleSet = {
      features: set.features.subarray(0, samples * width),
      latents: set.latents.subarray(0, samples * d),
      hits: set.hits.subarray(0, samples).reduce((sum, hit) => sum + hit, 0),
    };
    const own = { data: independent.features, n: samples, d: width };
    truth.push({
      statistics,
      independent,
      floor: await frechetDistance(await featureStatistics(own, signal), statistics, signal),
      diversity: await meanPairwiseDistance(own, signal),
    });
  }
  return truth;
}

type Quality = Pick<
  EvaluationRow,
  "recipe" | "accuracy" | "fd" | "fdOverFloor" | "diversity" | "relativeDiversity" | "latentRms" | "perClass"
>;

/** The figures that depend on the samples alone. `sets[i]` is compared with `truth[i]`. */
export async function compare(
  recipe: string,
  sets: readonly SampleSet[],
  truth: readonly Truth[],
  classes: readonly number[],
  width: number,
  signal?: AbortSignal,
): Promise<Quality> {
  const perClass: Quality["perClass"][number][] = [];
  const diversities: number[] = [];
  let squares = 0;
  let numbers = 0;
  for (const [index, set] of sets.entries()) {
    const n = set.features.length / width;
    const rows = { data: set.features, n, d: width };
    const { statistics, floor, independent } = truth[index]!;
    const fd =
      set === independent
        ? floor
        : await frechetDistance(await featureStatistics(rows, signal), statistics, signal);
    perClass.push({ class: classes[index]!, accuracy: set.hits / n, fd });
    diversities.push(await meanPairwiseDistance(rows, signal));
    const before = squares;
    squares = await runJob("evaluate", signal, () => native().sumOfSquares({ owned: set.latents }, before));
    numbers += set.latents.length;
  }
  const fd = mean(perClass.map((p) => p.fd));
  const diversity = mean(diversities);
  return {
    recipe,
    accuracy: mean(perClass.map((p) => p.accuracy)),
    fd,
    fdOverFloor: fd / mean(truth.map((t) => t.floor)),
    diversity,
    relativeDiversity: diversity / mean(truth.map((t) => t.diversity)),
    latentRms: Math.sqrt(squares / numbers),
    perClass,
  };
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The mean of the numbers that are finite; null where none is. */
export function finiteMean(values: readonly number[]): number | null {
  const finite = values.filter(Number.isFinite);
  return finite.length > 0 ? mean(finite) : null;
}
