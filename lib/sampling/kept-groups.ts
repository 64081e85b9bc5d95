/** The groups of a latent that no step moves. */
import { groupRule, latentGroups, type Latent } from "../latent/latent.js";
import type { NativeUpdateGroup } from "../native/types/sampling.js";

/** The groups for samplers that move all others alike; undefined where those are all. */
export function keptGroups(prior: Latent): NativeUpdateGroup[] | undefined {
  const groups = latentGroups(prior).map(({ latent }): NativeUpdateGroup => ({
    size: latent.dim,
    rule: groupRule(latent) === "kept" ? "kept" : "sgld",
  }));
  return groups.some(({ rule }) => rule === "kept") ? groups : undefined;
}
