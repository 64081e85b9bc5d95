/** Priors p(z) over a generator's latent. */
import { checkInteger, checkNumber, checkOptions, shapeText } from "../base/check.js";
import { ArgumentError, invalid } from "../base/errors.js";
import { loadedModel } from "../model/model.js";
import type { Model } from "../model/interface.js";
import { checkTensor, copyTensor, knownElementCount, type Tensor } from "../base/tensor.js";

/** A factorised prior over `dim` numbers. Plain data: it can be compared, logged and stored. */
export type SimpleLatent =
  | { readonly kind: "normal"; readonly dim: number; readonly std: number }
  | { readonly kind: "truncatedNormal"; readonly dim: number; readonly bound: number; readonly std: number }
  | { readonly kind: "uniform"; readonly dim: number; readonly low: number; readonly high: number };

/** The rows of a table, each as likely as the others. */
export interface TableLatent {
  readonly kind: "table";
  readonly dim: number;
  /** [rows, dim] */
  readonly table: Tensor;
}

/** What a model makes of draws of another prior. */
export interface MappedLatent {
  readonly kind: "mapped";
  readonly dim: number;
  readonly base: SimpleLatent;
  readonly mapping: Model;
}

/** A prior over one input of a generator. */
export type GroupLatent = SimpleLatent | TableLatent | MappedLatent;

/** Independent groups, one for each input of the generator; a latent is their numbers side by side. */
export interface ProductLatent {
  readonly kind: "product";
  readonly dim: number;
  /** By the names of the generator's inputs, in the order in which a latent holds them. */
  readonly groups: Readonly<Record<string, GroupLatent>>;
}

/** A prior over a generator's latent. */
export type Latent = GroupLatent | ProductLatent;

const dims = { min: 1, max: 2 ** 24 };

export const latent = {
  /** N(0, std²) in each of `dim` dimensions; `std` is 1 by default. */
  normal(dim: number, options?: { std?: number }): SimpleLatent {
    const o = checkOptions("latent.normal options", options, ["std"]);
    return Object.freeze({
      kind: "normal",
      dim: checkInteger("dim", dim ?? Number.NaN, 0, dims),
      std: checkNumber("std", o.std, 1, { above: 0 }),
    });
  },
  /** N(0, std²), redrawn beyond ±`bound` (in units of z). BigGAN: dim 128, bound 2. */
  truncatedNormal(dim: number, bound: number, options?: { std?: number }): SimpleLatent {
    const o = checkOptions("latent.truncatedNormal options", options, ["std"]);
    const std = checkNumber("std", o.std, 1, { above: 0 });
    return Object.freeze({
      kind: "truncatedNormal",
      dim: checkInteger("dim", dim ?? Number.NaN, 0, dims),
      bound: checkNumber("bound", bound ?? Number.NaN, 0, { min: std / 100 }),
      std,
    });
  },
  /** Uniform on [low, high], by default [-1, 1]. */
  uniform(dim: number, low = -1, high = 1): SimpleLatent {
    checkNumber("low", low, 0);
    if (!(checkNumber("high", high, 0) > low))
      throw new ArgumentError(`high: expected a number above low (${low}), got ${high}`);
    return Object.freeze({
      kind: "uniform",
      dim: checkInteger("dim", dim ?? Number.NaN, 0, dims),
      low,
      high,
    });
  },
  /**
   * Uniform over the rows of a table [rows, dim], such as BigGAN's class embeddings. Its numbers are copied.
   *
   * A table has no density. Pairs, and samples that start at the prior, take its rows; wherever a density is asked for
   * (resample's weights and its candidates from the prior, MALA's accept step, the prior's energy, the entropy of the
   * training report) a normal with the mean and standard deviation of each column of the table stands in, so that
   * samples lie between rows. The hybrid and Langevin samplers, which need no density, move it by Adam.
   */
  table(table: Tensor): TableLatent {
    checkTensor("table", table, { finite: true });
    if (table.shape.length !== 2 || table.shape.includes(0))
      throw new ArgumentError(`table: expected the shape [rows, dim], got ${shapeText(table.shape)}`, {
        code: "ERR_SHAPE_MISMATCH",
      });
    const dim = checkInteger("dim", table.shape[1]!, 0, dims);
    return Object.freeze({ kind: "table", dim, table: copyTensor(table) });
  },
  /**
   * w = mapping(z) with z from `base`, for a generator that takes w: StyleGAN's mapping network as a model of its own.
   * Translator, energy and sampler work in w. A generator's input [batch, layers, w] gets w in every layer.
   *
   * The density of w is not known. Pairs, and samples that start at the prior, are draws through the mapping; wherever a
   * density is asked for, a normal stands in whose mean and standard deviation of each dimension are estimated from
   * 10,000 draws.
   *
   * @param options.dim numbers of w, where the model's output does not tell
   * @throws ArgumentError for a mapping that does not take `base`
   */
  mapped(mapping: Model, base: SimpleLatent, options?: { dim?: number }): MappedLatent {
    const o = checkOptions("latent.mapped options", options, ["dim"]);
    const model = loadedModel("mapping", mapping);
    const checked = checkSimple("base", base);
    const [input] = model.inputs;
    const row = input?.shape.slice(1) ?? [];
    const known = knownElementCount(row);
    const fits = row.includes(null) ? checked.dim % known === 0 : checked.dim === known;
    if (model.inputs.length !== 1 || row.length === 0 || !fits)
      throw new ArgumentError(
        `mapping: expected a model with one input [batch, ${checked.dim}] for the base's draws, got ` +
          `${model.inputs.map((value) => `${value.name} ${shapeText(value.shape)}`).join(", ")} in ${model.name}`,
        { code: "ERR_SHAPE_MISMATCH" },
      );
    const told = model.outputs[0]?.shape.slice(1) ?? [null];
    const size = told.includes(null) ? undefined : knownElementCount(told);
    if (o.dim === undefined && size === undefined)
      throw new ArgumentError(`mapping: the output of ${model.name} does not tell its size; pass { dim }`);
    const dim = checkInteger("dim", o.dim, size ?? 0, dims);
    if (size !== undefined && dim !== size)
      throw invalid("dim", `${size}, the numbers that ${model.name} gives`, dim);
    return Object.freeze({ kind: "mapped", dim, base: checked, mapping });
  },
  /**
   * Independent groups for a generator with several inputs, by their names: BigGAN's
   * `latent.product({ z: latent.truncatedNormal(128, 2), y: latent.table(embeddings) })`.
   */
  product(groups: Record<string, GroupLatent>): ProductLatent {
    if (
      groups === null ||
      typeof groups !== "object" ||
      Array.isArray(groups) ||
      Object.keys(groups).length === 0
    )
      throw invalid("groups", "latents by the names of the generator's inputs", groups);
    const checked = Object.entries(groups).map(
      ([name, group]) => [name, checkGroup(`groups.${name}`, group)] as const,
    );
    const dim = checked.reduce((sum, [, group]) => sum + group.dim, 0);
    return Object.freeze({
      kind: "product",
      dim: checkInteger("dim", dim, 0, dims),
      groups: Object.freeze(Object.fromEntries(checked)),
    });
  },
  /**
   * The groups of a hierarchical generator (NVAE: the noise of each of its scales), each N(0, temperature²). `sizes`
   * are the groups' numbers by the names of the generator's inputs. The paper takes temperature 0.6 for NVAE on FFHQ.
   */
  hierarchical(sizes: Record<string, number>, options?: { temperature?: number }): ProductLatent {
    const o = checkOptions("latent.hierarchical options", options, ["temperature"]);
    const std = checkNumber("temperature", o.temperature, 1, { above: 0 });
    if (sizes === null || typeof sizes !== "object")
      throw invalid("sizes", "numbers by the names of the generator's inputs", sizes);
    return latent.product(
      Object.fromEntries(Object.entries(sizes).map(([name, size]) => [name, latent.normal(size, { std })])),
    );
  },
};

/** A latent's parts in their order; a latent that is no product is one, with no name. */
export function latentGroups(prior: Latent): { name: string | null; latent: GroupLatent; begin: number }[] {
  if (prior.kind !== "product") return [{ name: null, latent: prior, begin: 0 }];
  let begin = 0;
  return Object.entries(prior.groups).map(([name, group]) => {
    const at = begin;
    begin += group.dim;
    return { name, latent: group, begin: at };
  });
}

/**
 * Checks a latent that came from a caller or a file and gives it back as one of the above.
 *
 * @throws ArgumentError
 */
export function checkLatent(name: string, value: unknown): Latent {
  const given = value as Latent | null;
  return given?.kind === "product" ? latent.product(given.groups) : checkGroup(name, value);
}

function checkGroup(name: string, value: unknown): GroupLatent {
  const given = value as GroupLatent | null;
  switch (given?.kind) {
    case "table":
      return latent.table(given.table);
    case "mapped":
      return latent.mapped(given.mapping, given.base, { dim: given.dim });
    default:
      return checkSimple(name, value);
  }
}

/** @throws ArgumentError unless it is a normal, truncated normal or uniform latent */
export function checkSimple(name: string, value: unknown): SimpleLatent {
  const given = value as SimpleLatent | null;
  switch (given?.kind) {
    case "normal":
      return latent.normal(given.dim, { std: given.std });
    case "truncatedNormal":
      return latent.truncatedNormal(given.dim, given.bound, { std: given.std });
    case "uniform":
      return latent.uniform(given.dim, given.low, given.high);
    default:
      throw new ArgumentError(
        `${name}: expected one of ${Object.keys(latent)
          .map((kind) => `latent.${kind}()`)
          .join(", ")}`,
      );
  }
}

/** The standard deviation of one dimension. */
export function latentStd(prior: SimpleLatent): number {
  switch (prior.kind) {
    case "normal":
      return prior.std;
    case "uniform":
      return (prior.high - prior.low) / Math.sqrt(12);
    case "truncatedNormal": {
      // Var = std²·(1 − 2·b·φ(b) / (2Φ(b) − 1)) with b = bound / std; the mass by Simpson's rule.
      const b = prior.bound / prior.std;
      if (b > 8) return prior.std;
      const density = (x: number): number => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
      const moment = (f: (x: number) => number): number => {
        const n = 400;
        const h = (2 * b) / n;
        let sum = f(-b) + f(b);
        for (let i = 1; i < n; i++) sum += f(-b + i * h) * (i % 2 === 1 ? 4 : 2);
        return (sum * h) / 3;
      };
      return prior.std * Math.sqrt(moment((x) => x * x * density(x)) / moment(density));
    }
  }
}

/** The half-width of a group's support around 0; undefined where it has none. */
export function groupBound(prior: GroupLatent): number | undefined {
  switch (prior.kind) {
    case "truncatedNormal":
      return prior.bound;
    case "uniform":
      return Math.max(Math.abs(prior.low), Math.abs(prior.high));
    default:
      return undefined;
  }
}

/** The half-width of the whole support around 0; undefined where a dimension has none or groups differ. */
export function latentBound(prior: Latent): number | undefined {
  return commonBound(latentGroups(prior).map((group) => group.latent));
}

/** The same of some groups. */
export function commonBound(groups: readonly GroupLatent[]): number | undefined {
  const bounds = new Set(groups.map(groupBound));
  return bounds.size === 1 ? [...bounds][0] : undefined;
}
