import { check } from "../../options/check.js";
import { number, object, option } from "../../options/describe.js";
import type { Spec } from "../../options/family.js";
import { defineEnergy } from "./kind.js";

export interface PriorEnergy {
  readonly kind: "prior";
  readonly weight: number;
}

const options = object({ weight: option(number({ min: 0 }), "weight", { default: 1 }) });

/**
 * weight · −log p(z): ½‖z‖²/σ² for a normal prior. Samplers add it themselves: without such a term its weight is 1 in
 * resample() and mala(), whose target is p(z)·exp(−λE), and 0 in langevin() and hybrid(). Terms given here replace
 * that default; `energy.prior(0)` switches it off.
 */
function make(weight = 1): PriorEnergy {
  return Object.freeze({ kind: "prior", ...check(options, { weight }, { name: "energy.prior" }) });
}

export const prior = defineEnergy({
  kind: "prior",
  is: "the prior: weight · −log p(z)",
  options,
  make,
  check: (_: string, { weight }: PriorEnergy) => make(weight),
  prior: ({ weight }) => weight,
  describe: (energy) => ({ ...energy }),
  restore: (stored: PriorEnergy) => make(stored.weight),
  build: ({ weight }: Spec<"prior", typeof options>) => make(weight),
});
