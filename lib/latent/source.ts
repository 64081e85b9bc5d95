/**
 * Draws of a latent's prior, and the factorised density that samplers take for it: the prior's own, and where it has none
 * (tables, mapped latents) a normal with its moments.
 */
import { runJob, runJobWithProgress } from "../native/job.js";
import { groups as kinds, type GroupLatent } from "./kinds/groups.js";
import type { Density, Draws, OpenMapping } from "./kinds/kind.js";
import { latentGroups, type Latent } from "./latent.js";
import { momentsOf, type Moments } from "./moments.js";
import { native } from "../native/binding.js";
import type { NativePrior } from "../native/types/prior.js";
import type { NativeRowMap } from "../native/types/pipeline.js";

export type { OpenMapping };

/** A group as it is drawn: numbers of a factorised prior, from `baseBegin` on, become numbers of a latent. */
interface DrawnGroup {
  readonly latent: GroupLatent;
  readonly begin: number;
  readonly draws: Draws;
  readonly baseBegin: number;
}

/** Draws from which the moments of a mapped latent are estimated. */
const momentDraws = 10_000;
/** The stream of those draws, which no condition has. */
const momentStream = 2 ** 32 - 1;
/** Rows drawn at a time: JavaScript moves their numbers, and must get on in between. */
const blockRows = 2048;

export class LatentSource {
  private constructor(
    private readonly groups: readonly DrawnGroup[],
    private readonly size: number,
    private readonly base: NativePrior,
    /** The density of samplers, factorised; a function of the latent alone. */
    readonly density: NativePrior,
    /** [d], of the prior: where a translator's log standard deviations start. */
    readonly stds: Float64Array,
  ) {}

  /** @throws what opening and running a mapping network throws */
  static async create(prior: Latent, open: OpenMapping, signal?: AbortSignal): Promise<LatentSource> {
    let baseBegin = 0;
    const groups: DrawnGroup[] = [];
    for (const { latent, begin } of latentGroups(prior)) {
      const draws = await kinds.of(latent).draws(latent, open);
      groups.push({ latent, begin, draws, baseBegin });
      baseBegin += draws.base.dim;
    }
    const base = joined(groups.map(({ draws }) => draws.base));
    const plain = groups.every(({ draws }) => !draws.rows);
    const stds = new Float64Array(prior.dim);
    if (plain) {
      for (const { draws, begin } of groups) stds.fill(draws.base.std, begin, begin + draws.base.dim);
      return new LatentSource(groups, prior.dim, base, base, stds);
    }
    const drawing = new LatentSource(groups, prior.dim, base, base, stds);
    const elements = new Float32Array(4 * prior.dim);
    for (const group of groups) {
      const { latent, begin, draws } = group;
      if (!draws.rows) {
        fillElements(elements, draws.base, begin);
        stds.fill(draws.base.std, begin, begin + latent.dim);
        continue;
      }
      const moments = draws.moments?.() ?? (await drawing.estimate(group, signal));
      for (let j = 0; j < latent.dim; j++)
        elements.set([moments.mean[j]!, moments.std[j]!, -Infinity, Infinity], 4 * (begin + j));
      stds.set(moments.std, begin);
    }
    const density: NativePrior = { kind: "elements", dim: prior.dim, elements };
    return new LatentSource(groups, prior.dim, base, density, stds);
  }

  /** Whether draws are those of the density. */
  get exact(): boolean {
    return this.density === this.base;
  }

  /** Latents [n, d], number `first` … of a stream of a seed: a function of these alone. `pairs`: for training. */
  async draw(
    seed: number | bigint,
    stream: number,
    first: number,
    n: number,
    { pairs = false, signal }: { pairs?: boolean; signal?: AbortSignal } = {},
  ): Promise<Float32Array> {
    const draw = (at: number, rows: number): Promise<Float32Array> =>
      runJob("drawing latents", signal, () =>
        native().drawPrior(this.base, BigInt(seed), stream, at, rows, pairs),
      );
    if (this.exact) return draw(first, n);
    const out = new Float32Array(n * this.size);
    for (let at = 0; at < n; at += blockRows) {
      const rows = Math.min(blockRows, n - at);
      const base = await draw(first + at, rows);
      for (const group of this.groups)
        place(await groupRows(group, base, rows, signal), out, at, rows, this.size, group.begin);
    }
    return out;
  }

  /** Pairs `first` … `first + n − 1` of a seed: latents, and what a map makes of them. */
  async pairs(
    map: NativeRowMap,
    seed: number | bigint,
    first: number,
    n: number,
    signal?: AbortSignal,
    onProgress?: (rows: number) => void,
  ): Promise<{ z: Float32Array; outputs: { data: Float32Array; shape: number[] }[] }> {
    if (this.exact)
      return runJobWithProgress("making pairs", signal, onProgress, (report) =>
        map.pairs(this.density, BigInt(seed), first, n, report),
      );
    const z = await this.draw(seed, 0, first, n, { pairs: true, signal });
    const outputs = await runJob("making pairs", signal, () => map.run(z, n));
    onProgress?.(n);
    return { z, outputs };
  }

  private async estimate(group: DrawnGroup, signal?: AbortSignal): Promise<Moments> {
    const parts: Float32Array[] = [];
    for (let at = 0; at < momentDraws; at += blockRows) {
      const rows = Math.min(blockRows, momentDraws - at);
      const base = await runJob("drawing latents", signal, () =>
        native().drawPrior(this.base, 0n, momentStream, at, rows),
      );
      parts.push(await groupRows(group, base, rows, signal));
    }
    return momentsOf(parts, group.latent.dim);
  }
}

/** One prior of several side by side. */
function joined(parts: readonly Density[]): NativePrior {
  if (parts.length === 1) return parts[0]!.native;
  const elements = new Float32Array(4 * parts.reduce((sum, part) => sum + part.dim, 0));
  let at = 0;
  for (const part of parts) {
    fillElements(elements, part, at);
    at += part.dim;
  }
  return { kind: "elements", dim: elements.length / 4, elements };
}

/** Puts a density's dimensions into elements [·, 4] from number `begin` on. */
function fillElements(elements: Float32Array, { element, dim }: Density, begin: number): void {
  for (let at = begin; at < begin + dim; at++) elements.set(element, 4 * at);
}

/** A group's numbers [n, dim] from rows of the base. */
async function groupRows(
  { draws, baseBegin }: DrawnGroup,
  rows: Float32Array,
  n: number,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const { base } = draws;
  const width = rows.length / n;
  const own = new Float32Array(n * base.dim);
  for (let i = 0; i < n; i++)
    own.set(rows.subarray(i * width + baseBegin, i * width + baseBegin + base.dim), i * base.dim);
  return (await draws.rows?.(own, n, signal)) ?? own;
}

/** Puts [n, width] into rows `at` … of [·, size], from column `begin` on. */
function place(
  from: Float32Array,
  to: Float32Array,
  at: number,
  n: number,
  size: number,
  begin: number,
): void {
  const width = from.length / n;
  for (let i = 0; i < n; i++) to.set(from.subarray(i * width, (i + 1) * width), (at + i) * size + begin);
}
