/**
 * Draws of a latent's prior, and the factorised density that samplers take for it: the prior's own, and where it has none
 * (tables, mapped latents) a normal with its moments.
 */
import { runJob, runJobWithProgress } from "../native/job.js";
import { native } from "../native/binding.js";
import type { NativeLatentGroup, NativeLatentSource, NativeRowMap } from "../native/types/pipeline.js";
import type { NativePrior } from "../native/types/prior.js";
import { groups as kinds, type GroupLatent } from "./kinds/groups.js";
import type { Density, Draws, OpenMapping } from "./kinds/kind.js";
import { latentGroups, type Latent } from "./latent.js";
import { momentsOf, type Moments } from "./moments.js";

export type { OpenMapping };

/** A group as it is drawn. */
interface DrawnGroup {
  readonly latent: GroupLatent;
  readonly begin: number;
  readonly draws: Draws;
}

/** Draws from which the moments of a mapped latent are estimated. */
const momentDraws = 10_000;
/** The stream of those draws, which no condition has. */
const momentStream = 2 ** 32 - 1;

export class LatentSource {
  private constructor(
    /** What is drawn; the density itself where the prior has one. */
    readonly drawn: NativeLatentSource,
    /** The density of samplers, factorised; a function of the latent alone. */
    readonly density: NativePrior,
    /** [d], of the prior: where a translator's log standard deviations start. */
    readonly stds: Float64Array,
  ) {}

  /** @throws what opening and running a mapping network throws, AbortError */
  static async create(prior: Latent, open: OpenMapping, signal?: AbortSignal): Promise<LatentSource> {
    const groups: DrawnGroup[] = [];
    for (const { latent, begin } of latentGroups(prior))
      groups.push({ latent, begin, draws: await kinds.of(latent).draws(latent, open) });
    const base = joined(groups.map(({ draws }) => draws.base));
    const stds = new Float64Array(prior.dim);
    if (groups.every(({ draws }) => !draws.made)) {
      for (const { draws, begin } of groups) stds.fill(draws.base.std, begin, begin + draws.base.dim);
      return new LatentSource(base, base, stds);
    }
    const elements = new Float32Array(4 * prior.dim);
    for (const group of groups) {
      const { latent, begin, draws } = group;
      if (!draws.made) {
        fillElements(elements, draws.base, begin);
        stds.fill(draws.base.std, begin, begin + latent.dim);
        continue;
      }
      const moments = await (draws.moments?.(signal) ?? estimated(base, groups, group, signal));
      for (let j = 0; j < latent.dim; j++)
        elements.set([moments.mean[j]!, moments.std[j]!, -Infinity, Infinity], 4 * (begin + j));
      stds.set(moments.std, begin);
    }
    const density: NativePrior = { kind: "elements", dim: prior.dim, elements };
    return new LatentSource({ ...base, groups: groups.map(nativeGroup) }, density, stds);
  }

  /** Whether draws are those of the density. */
  get exact(): boolean {
    return this.density === this.drawn;
  }

  /** Latents [n, d], number `first` … of a stream of a seed: a function of these alone. */
  draw(
    seed: number | bigint,
    stream: number,
    first: number,
    n: number,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<Float32Array> {
    return runJob("drawing latents", signal, () =>
      native().drawPrior(this.drawn, BigInt(seed), stream, first, n),
    );
  }

  /**
   * Pairs `first` … `first + n − 1` of a seed: latents, and what a map makes of them.
   *
   * @throws Tr0nError ERR_DIVERGED, where `finite` asks, for a number of the first output that is not finite
   */
  pairs(
    map: NativeRowMap,
    seed: number | bigint,
    first: number,
    n: number,
    {
      signal,
      onProgress,
      finite = false,
    }: { signal?: AbortSignal; onProgress?: (rows: number) => void; finite?: boolean } = {},
  ): Promise<{ z: Float32Array; outputs: { data: Float32Array; shape: number[] }[] }> {
    return runJobWithProgress("making pairs", signal, onProgress, (report) =>
      map.pairs(this.drawn, BigInt(seed), first, n, report, finite),
    );
  }
}

function nativeGroup({ latent, draws }: DrawnGroup): NativeLatentGroup {
  return { base: draws.base.dim, size: latent.dim, ...draws.made };
}

/** Moments of one group's draws; the others' numbers are left out. */
async function estimated(
  base: NativePrior,
  groups: readonly DrawnGroup[],
  group: DrawnGroup,
  signal?: AbortSignal,
): Promise<Moments> {
  const source = {
    ...base,
    groups: groups.map((other) =>
      other === group ? nativeGroup(other) : { base: other.draws.base.dim, size: 0 },
    ),
  };
  const rows = await runJob("drawing latents", signal, () =>
    native().drawPrior(source, 0n, momentStream, 0, momentDraws),
  );
  return momentsOf(rows, group.latent.dim, signal);
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
