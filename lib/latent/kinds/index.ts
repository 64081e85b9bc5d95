/** The index of all priors, as callers make them and configurations describe them. */
import { Kinds, factories, type Factories, type Kind, type Made } from "../../base/kinds.js";
import { groupKinds } from "./groups.js";
import { hierarchical } from "./hierarchical.js";
import type { Surroundings } from "./kind.js";
import { product } from "./product.js";

const latentKinds = { ...groupKinds, product, hierarchical };

/** A prior over a generator's latent. */
export type Latent = Made<typeof latentKinds>;

/** What a configuration has for one. */
export type LatentSpec = Parameters<(typeof latentKinds)[keyof typeof latentKinds]["build"]>[0];

export const latent: Factories<typeof latentKinds> = factories(latentKinds);

export const latents = new Kinds<
  Kind & { build(spec: LatentSpec, surroundings: Surroundings): Latent | Promise<Latent> }
>("latent", latentKinds);
