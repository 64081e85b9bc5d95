/**
 * Draws of a latent's prior, and the factorised density that samplers take for it: the prior's own, and where it has none
 * (tables, mapped latents) a normal with its moments.
 */
import { runJob, runJobWithProgress } from "../native/job.js";
import { latentGroups, latentStd, type GroupLatent, type Latent, type SimpleLatent } from "./latent.js";
import { native, type NativePrior, type NativeRowMap } from "../native/binding.js";

/** Opens a mapping network: draws of its base → rows of w. */
export type OpenMapping = (latent: GroupLatent & { kind: "mapped" }) => Promise<NativeRowMap>;

/** Mean and standard deviation of every dimension of a group. */
interface Moments {
  readonly mean: Float64Array;
  readonly std: Float64Array;
}

/** A group as it is drawn: `base` numbers of a factorised prior, from `baseBegin` on, become numbers of a latent. */
interface DrawnGroup {
  readonly latent: GroupLatent;
  readonly begin: number;
  readonly base: SimpleLatent;
  readonly baseBegin: number;
  readonly map: NativeRowMap | null;
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
      const base = baseOf(latent);
      const map = latent.kind === "mapped" ? await open(latent) : null;
      groups.push({ latent, begin, base, baseBegin, map });
      baseBegin += base.dim;
    }
    const base = joined(groups.map((group) => group.base));
    const plain = groups.every((group) => group.latent === group.base);
    const stds = new Float64Array(prior.dim);
    if (plain) {
      for (const { base: latent, begin } of groups) stds.fill(latentStd(latent), begin, begin + latent.dim);
      return new LatentSource(groups, prior.dim, base, base, stds);
    }
    const drawing = new LatentSource(groups, prior.dim, base, base, stds);
    const elements = new Float32Array(4 * prior.dim);
    for (const group of groups) {
      const { latent, begin } = group;
      if (latent.kind !== "table" && latent.kind !== "mapped") {
        elements.set(simpleElements(latent), 4 * begin);
        stds.fill(latentStd(latent), begin, begin + latent.dim);
        continue;
      }
      const moments =
        latent.kind === "table"
          ? momentsOf([latent.table.data], latent.dim)
          : await drawing.estimate(group, signal);
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

/** What a group's draws are made of. */
function baseOf(latent: GroupLatent): SimpleLatent {
  switch (latent.kind) {
    case "table":
      return { kind: "uniform", dim: 1, low: 0, high: latent.table.shape[0]! };
    case "mapped":
      return latent.base;
    default:
      return latent;
  }
}

/** One prior of several side by side. */
function joined(parts: readonly SimpleLatent[]): NativePrior {
  if (parts.length === 1) return { ...parts[0]! };
  const elements = new Float32Array(4 * parts.reduce((sum, part) => sum + part.dim, 0));
  let at = 0;
  for (const part of parts) {
    elements.set(simpleElements(part), at);
    at += 4 * part.dim;
  }
  return { kind: "elements", dim: elements.length / 4, elements };
}

/** (mean, std, low, high) of every dimension, as the addon has them. */
function simpleElements(latent: SimpleLatent): Float32Array {
  const element =
    latent.kind === "normal"
      ? [0, latent.std, -Infinity, Infinity]
      : latent.kind === "truncatedNormal"
        ? [0, latent.std, -latent.bound, latent.bound]
        : [0, Infinity, latent.low, latent.high];
  const out = new Float32Array(4 * latent.dim);
  for (let at = 0; at < out.length; at += 4) out.set(element, at);
  return out;
}

/** A group's numbers [n, dim] from rows of the base. */
async function groupRows(
  { latent, base, baseBegin, map }: DrawnGroup,
  rows: Float32Array,
  n: number,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const width = rows.length / n;
  const own = new Float32Array(n * base.dim);
  for (let i = 0; i < n; i++)
    own.set(rows.subarray(i * width + baseBegin, i * width + baseBegin + base.dim), i * base.dim);
  if (map) {
    const [w] = await runJob("mapping latents", signal, () => map.run(own, n));
    return w!.data;
  }
  if (latent.kind !== "table") return own;
  const { data, shape } = latent.table;
  const out = new Float32Array(n * latent.dim);
  for (let i = 0; i < n; i++) {
    const row = Math.min(Math.floor(own[i]!), shape[0]! - 1);
    out.set(data.subarray(row * latent.dim, (row + 1) * latent.dim), i * latent.dim);
  }
  return out;
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

/**
 * Moments of the columns of parts [·, dim]. A column that (nearly) stands still gets a thousandth of the widest one's
 * deviation: a density needs some.
 */
function momentsOf(parts: readonly Float32Array[], dim: number): Moments {
  const count = parts.reduce((sum, part) => sum + part.length, 0) / dim;
  const mean = new Float64Array(dim);
  const std = new Float64Array(dim);
  for (const part of parts) for (let i = 0; i < part.length; i++) mean[i % dim]! += part[i]! / count;
  for (const part of parts)
    for (let i = 0; i < part.length; i++) std[i % dim]! += (part[i]! - mean[i % dim]!) ** 2 / count;
  for (let j = 0; j < dim; j++) std[j] = Math.sqrt(std[j]!);
  const least = Math.max(1e-3 * std.reduce((a, b) => Math.max(a, b), 0), 1e-6);
  return { mean, std: std.map((value) => Math.max(value, least)) };
}
