import { checkNumber } from "../../base/check.js";
import { defineEnergy } from "./kind.js";

export interface PriorEnergy {
  readonly kind: "prior";
  readonly weight: number;
}

/**
 * weight · −log p(z): ½‖z‖²/σ² for a normal prior. Samplers add it themselves: without such a term its weight is 1 in
 * resample() and mala(), whose target is p(z)·exp(−λE), and 0 in langevin() and hybrid(). Terms given here replace
 * that default; `energy.prior(0)` switches it off.
 */
function make(weight = 1): PriorEnergy {
  return Object.freeze({ kind: "prior", weight: checkNumber("weight", weight, 1, { min: 0 }) });
}

export const prior = defineEnergy({
  kind: "prior",
  make,
  check: (_: string, { weight }: PriorEnergy) => make(weight),
  prior: ({ weight }) => weight,
  describe: (energy) => ({ ...energy }),
  restore: (stored: PriorEnergy) => make(stored.weight),
  build: ({ weight }: { kind: "prior"; weight?: number }) => make(weight),
});
