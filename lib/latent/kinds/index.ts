/** All priors, as callers make them and configurations describe them. */
import {
  Family,
  factories,
  type Factories,
  type FamilyKind,
  type Made,
  type Specs,
} from "../../options/family.js";
import type { Surroundings } from "./kind.js";
import * as list from "./list.js";

/** A prior over a generator's latent. */
export type Latent = Made<typeof list>;

/** What a configuration has for one. */
export type LatentSpec = Specs<typeof list>;

export const latent: Factories<typeof list> = factories(list);

interface LatentKind extends FamilyKind {
  build(spec: LatentSpec, surroundings: Surroundings): Latent | Promise<Latent>;
}

export const latents = new Family<LatentKind, LatentSpec>("latent", list);
