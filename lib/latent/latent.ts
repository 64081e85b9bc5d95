/** Priors p(z) over a generator's latent, and their parts. What a kind of prior is stands in its file in kinds/. */
import { ArgumentError } from "../base/errors.js";
import { densityOf, type SimpleLatent } from "./kinds/factorised.js";
import { checkGroup, groups, type GroupLatent, type GroupLatentSpec } from "./kinds/groups.js";
import { latent, latents, type Latent, type LatentSpec } from "./kinds/index.js";
import type { Surroundings } from "./kinds/kind.js";
import type { ProductLatent } from "./kinds/product.js";

export { latent, type GroupLatent, type GroupLatentSpec, type Latent, type LatentSpec, type SimpleLatent };
export type { LabelLatent } from "./kinds/label.js";
export type { MappedLatent } from "./kinds/mapped.js";
export type { NormalLatent } from "./kinds/normal.js";
export type { ProductLatent } from "./kinds/product.js";
export type { TableLatent } from "./kinds/table.js";
export type { TruncatedNormalLatent } from "./kinds/truncated-normal.js";
export type { UniformLatent } from "./kinds/uniform.js";

/** A latent's parts in their order; a latent that is no product is one, with no name. */
export function latentGroups(prior: Latent): { name: string | null; latent: GroupLatent; begin: number }[] {
  if (!isProduct(prior)) return [{ name: null, latent: prior, begin: 0 }];
  let begin = 0;
  return Object.entries(prior.groups).map(([name, group]) => {
    const at = begin;
    begin += group.dim;
    return { name, latent: group, begin: at };
  });
}

export function isProduct(prior: Latent | undefined): prior is ProductLatent {
  return prior?.kind === "product";
}

/** Numbers of the part for one input of the generator; undefined where there is none. */
export function sizeFor(prior: Latent | undefined, input: string): number | undefined {
  return prior && latentGroups(prior).find(({ name }) => name === null || name === input)?.latent.dim;
}

/**
 * Checks a latent that came from a caller or a file and gives it back as one of the above.
 *
 * @throws ArgumentError
 */
export function checkLatent(name: string, value: unknown): Latent {
  const given = value as Latent | undefined;
  if (isProduct(given)) return latent.product(given.groups);
  if (!groups.find(value)) throw new ArgumentError(`${name}: expected one of ${latents.known}`);
  return checkGroup(name, value);
}

/** The prior that a configuration describes. @throws ArgumentError, FileError for a file of it that cannot be read */
export async function latentFromSpec(spec: LatentSpec, surroundings: Surroundings): Promise<Latent> {
  return latents.of(spec).build(spec, surroundings);
}

/** The standard deviation of one dimension. */
export function latentStd(prior: SimpleLatent): number {
  return densityOf(prior).std;
}

/** What moves a group by default in samplers that need no density. */
export function groupRule(prior: GroupLatent): "sgld" | "adam" | "kept" {
  return groups.of(prior).rule ?? "sgld";
}

/** How many classes a group's one number stands for; undefined where it is no label. */
export function groupClasses(prior: GroupLatent): number | undefined {
  return groups.of(prior).classes?.(prior);
}

/** Whether one draw goes into every layer of an input [batch, layers, dim]. */
export function fillsLayers(prior: GroupLatent): boolean {
  return groups.of(prior).layered ?? false;
}

/** The half-width of a group's support around 0; undefined where it has none. */
export function groupBound(prior: GroupLatent): number | undefined {
  return groups.of(prior).bound(prior);
}

/** The half-width of the whole support around 0; undefined where a dimension has none or groups differ. */
export function latentBound(prior: Latent): number | undefined {
  return commonBound(latentGroups(prior).map((group) => group.latent));
}

/** The same of some groups. */
export function commonBound(parts: readonly GroupLatent[]): number | undefined {
  const bounds = new Set(parts.map(groupBound));
  return bounds.size === 1 ? [...bounds][0] : undefined;
}
