import type { Recipe } from "./recipe.js";
import { sampler } from "../sampling/sampler.js";

/** Step size of the plain Langevin recipe: drift h·∇, noise √(2h). */
const h = 0.1;

/** Ways to sample that are worth comparing, by the names that the command line takes. */
export const recipes = {
  /** The default: 1 of 16 candidates by importance, then 4 MALA steps. */
  resample: { name: "resample + MALA (default)" },
  /** λ = 10: obedience before diversity. */
  "fidelity-10": { name: "fidelity 10", sampler: sampler.resample({ fidelity: 10 }) },
  "fidelity-3": { name: "fidelity 3", sampler: sampler.resample({ fidelity: 3 }) },
  /** Importance resampling alone, which needs no gradient. */
  "resample-only": { name: "resample only", sampler: sampler.resample({ steps: 0 }) },
  /** 20 MALA steps from one draw of the translator. */
  mala: { name: "translator + 20 MALA", sampler: sampler.mala() },
  /** The translator's draws as they are. */
  translator: { name: "translator only", sampler: sampler.direct() },
  /** Unconditional samples. */
  prior: { name: "prior (no condition)", sampler: sampler.direct({ start: "prior" }) },
  /** As many MALA steps as the default takes, without a translator. */
  naive: { name: "naive: prior + 4 MALA", sampler: sampler.mala({ start: "prior", steps: 4 }) },
  /** Langevin steps without accept or reject. Its drift has the prior only where the energy has a prior() term. */
  langevin: {
    name: "translator + 20 Langevin",
    sampler: sampler.langevin({ steps: 20, momentum: 0, learningRate: h, noise: Math.sqrt(2 * h), clip: 10 }),
  },
  /** The paper's update rule for one latent a chain. */
  sgld: { name: "translator + 50 SGLD", sampler: sampler.langevin({ steps: 50 }) },
  /** The paper's sampler. */
  hybrid: { name: "hybrid (paper)", sampler: sampler.hybrid() },
} as const satisfies Record<string, Recipe>;

export type RecipeName = keyof typeof recipes;

export const recipeNames = Object.keys(recipes) as RecipeName[];
