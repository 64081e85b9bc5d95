/** Samples by text against references of p(z)·exp(−λE): accuracy and Fréchet distance in the judge's features. */
import type { Recipe } from "../../lib/evaluate/options.js";
import {
  featureStatistics,
  frechetDistance,
  meanPairwiseDistance,
  type FeatureStatistics,
} from "../../lib/evaluate/frechet.js";
import { tensor, type Tr0n } from "../../lib/index.js";
import { wantedBy, type Wanted } from "../prompts.js";
import type { Judge } from "./judge.js";
import type { Row, RowName } from "./rows.js";
import { tempered, type Target } from "./tempering.js";

export interface ReferenceSizes {
  /** Prior draws of each of the two pools. */
  readonly pool: number;
  readonly samples: number;
  readonly reference: number;
}

/** Reference samples of each prompt; JSON-able. */
export interface Reference {
  /** By prompt, [reference, d], and an independent set [samples, d] for the floor. */
  readonly truth: readonly number[][];
  readonly independent: readonly number[][];
  /** By prompt, of `truth`. */
  readonly ancestors: readonly number[];
  readonly stages: readonly number[];
  readonly acceptance: readonly number[];
  readonly seconds: number;
}

/** p(z)·exp(−fidelity·E(z, text)) of a Tr0n with the prior N(0, I). */
export async function textTarget(
  tr0n: Tr0n,
  prompts: readonly string[],
  fidelity: number,
  seed: number,
): Promise<Target> {
  const objective = await tr0n.objective.native(false);
  const size = tr0n.conditionSize;
  const embeddings = await tr0n.textEncoder!([...prompts]);
  const conditions = Float32Array.from(embeddings.data);
  return {
    width: tr0n.latentSize,
    fidelity,
    conditions: prompts.length,
    normals: async (list, first, n) =>
      (await tr0n.drawPrior(n, { seed: 1_000_000 * seed + list, first })).data,
    energies: async (z, condition) => {
      const rows = new Float32Array(condition.length * size);
      condition.forEach((c, i) => rows.set(conditions.subarray(c * size, (c + 1) * size), i * size));
      return objective.energy(z, rows, condition.length).promise;
    },
    // The cosine energy of all conditions from one run of the models: both vectors have length 1.
    allEnergies: async (z, n) => {
      const { data } = await tr0n.encode(tensor(z, [n, tr0n.latentSize]));
      const out = new Float32Array(n * prompts.length);
      for (let i = 0; i < n; i++)
        for (let c = 0; c < prompts.length; c++) {
          let sum = 0;
          for (let j = 0; j < size; j++) sum -= data[i * size + j]! * conditions[c * size + j]!;
          out[i * prompts.length + c] = sum;
        }
      return out;
    },
  };
}

/** Two independent sets, each from a pool of its own. */
export async function textReference(
  tr0n: Tr0n,
  prompts: readonly string[],
  fidelity: number,
  seed: number,
  { pool, samples, reference }: ReferenceSizes,
  onProgress?: (phase: string, done: number, total: number) => void,
): Promise<Reference> {
  const started = performance.now();
  // As many particles in both, so that both populations have the same quality.
  const particles = Math.max(samples, reference);
  const run = async (own: number) =>
    tempered(await textTarget(tr0n, prompts, fidelity, own), { particles, pool, seed: own, onProgress });
  const truth = await run(2 * seed);
  const other = await run(2 * seed + 1);
  const d = tr0n.latentSize;
  return {
    truth: truth.latents.map((z) => spread(z, d, reference)),
    independent: other.latents.map((z) => spread(z, d, samples)),
    ancestors: truth.ancestors,
    stages: truth.ladders.map((ladder) => ladder.length),
    acceptance: truth.acceptance,
    seconds: (performance.now() - started) / 1000,
  };
}

/** `count` rows at equal distances: neighbours descend from the same draws. */
function spread(z: Float32Array, d: number, count: number): number[] {
  const n = z.length / d;
  return Array.from({ length: count }, (_, i) => Math.floor((i * n) / count)).flatMap((row) => [
    ...z.subarray(row * d, (row + 1) * d),
  ]);
}

interface Truth {
  readonly wanted: Wanted;
  readonly statistics: FeatureStatistics;
}

/** Compares ways to sample with one reference. */
export class TextTable {
  private readonly truth: Truth[] = [];
  private floor = Number.NaN;
  private diversity = Number.NaN;

  constructor(
    private readonly tr0n: Tr0n,
    private readonly judge: Judge,
    private readonly prompts: readonly string[],
    private readonly samples: number,
    private readonly seed: number,
  ) {}

  /** The reference's own row; its accuracy is that of both sets. */
  async prepare(reference: Reference): Promise<Row> {
    const { tr0n, judge, prompts, samples } = this;
    let right = 0;
    let total = 0;
    const d = tr0n.latentSize;
    for (const [i, prompt] of prompts.entries()) {
      const wanted = wantedBy(prompt);
      const z = tensor(reference.truth[i]!, [reference.truth[i]!.length / d, d]);
      const judged = await judge.judge((latents) => tr0n.generate(latents), z, wanted);
      right += judged.right;
      total += z.shape[0]!;
      const rows = { data: judged.features, n: z.shape[0]!, d: judge.width };
      this.truth.push({ wanted, statistics: await featureStatistics(rows) });
    }
    const sets = reference.independent.map((z) => Float32Array.from(z));
    const own = await this.compare(sets);
    this.floor = own.fd;
    this.diversity = own.diversity;
    return {
      recipe: "exact",
      accuracy: (right + own.right) / (total + prompts.length * samples),
      fd: own.fd,
      fdOverFloor: 1,
      diversity: 1,
      forwards: null,
      gradients: null,
      secondsPer1000: null,
    };
  }

  async row(recipe: Recipe): Promise<Row> {
    const { prompts, samples, seed } = this;
    const tr0n = recipe.tr0n ?? this.tr0n;
    const text = [...prompts];
    await tr0n.sample({ text: prompts[0]! }, { count: 1, sampler: recipe.sampler, seed }); // prepares
    const started = performance.now();
    const drawn = await tr0n.sample({ text }, { count: samples, sampler: recipe.sampler, seed });
    const seconds = (performance.now() - started) / 1000;
    const total = prompts.length * samples;
    const size = samples * tr0n.latentSize;
    const sets = prompts.map((_, i) => drawn.latents.data.slice(i * size, (i + 1) * size));
    const { right, fd, diversity } = await this.compare(sets);
    return {
      recipe: recipe.name as RowName,
      accuracy: right / total,
      fd,
      fdOverFloor: fd / this.floor,
      diversity: diversity / this.diversity,
      forwards: drawn.evaluations.forwards / total,
      gradients: drawn.evaluations.gradients / total,
      secondsPer1000: (1000 * seconds) / total,
    };
  }

  private async compare(
    sets: readonly Float32Array[],
  ): Promise<{ right: number; fd: number; diversity: number }> {
    const { tr0n, judge } = this;
    let [right, fd, diversity] = [0, 0, 0];
    for (const [i, z] of sets.entries()) {
      const { wanted, statistics } = this.truth[i]!;
      const latents = tensor(z, [z.length / tr0n.latentSize, tr0n.latentSize]);
      const judged = await judge.judge((rows) => tr0n.generate(rows), latents, wanted);
      const rows = { data: judged.features, n: latents.shape[0]!, d: judge.width };
      right += judged.right;
      fd += (await frechetDistance(await featureStatistics(rows), statistics)) / sets.length;
      diversity += (await meanPairwiseDistance(rows)) / sets.length;
    }
    return { right, fd, diversity };
  }
}
