import { invalid } from "../../base/errors.js";
import { checkValue } from "../../options/check.js";
import { either, object, record, required } from "../../options/describe.js";
import type { Spec } from "../../options/family.js";
import { checkGroup, groups as kinds, type GroupLatent } from "./groups.js";
import { size, type Surroundings } from "./kind.js";

/** Independent groups, one for each input of the generator; a latent is their numbers side by side. */
export interface ProductLatent {
  readonly kind: "product";
  readonly dim: number;
  /** By the names of the generator's inputs, in the order in which a latent holds them. */
  readonly groups: Readonly<Record<string, GroupLatent>>;
}

const options = object({
  groups: required(record(either(...kinds.inFile)), "independent priors by the generator's inputs"),
});

/**
 * Independent groups for a generator with several inputs, by their names: BigGAN's
 * `latent.product({ z: latent.truncatedNormal(128, 2), y: latent.table(embeddings) })`.
 */
function make(groups: Record<string, GroupLatent>): ProductLatent {
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
    dim: checkValue(size, dim, "dim"),
    groups: Object.freeze(Object.fromEntries(checked)),
  });
}

export const product = {
  kind: "product",
  is: "independent priors, one for each input of the generator",
  options,
  make,
  async build(spec: Spec<"product", typeof options>, surroundings: Surroundings): Promise<ProductLatent> {
    const built: Record<string, GroupLatent> = {};
    for (const [name, group] of Object.entries(spec.groups))
      built[name] = await kinds.of(group).build(group, surroundings.of(name));
    return make(built);
  },
} as const;
