import { ArgumentError } from "../../base/errors.js";
import { object } from "../../options/describe.js";
import type { Spec } from "../../options/family.js";
import { defineEnergy, dot } from "./kind.js";

export interface CosineEnergy {
  readonly kind: "cosine";
}

/**
 * E = −cos(c, f(x)), between −1 and 1. Conditions have any length but 0 and are normalised (sums of several are not). With a sampler that has
 * a target density its `fidelity` says how much it counts against the prior: 1 is very little, 100 a lot.
 */
function make(): CosineEnergy {
  return Object.freeze({ kind: "cosine" });
}

const options = object({});

export const cosine = defineEnergy({
  kind: "cosine",
  is: "the negative cosine of condition and encoder output",
  options,
  make,
  word: "cosine",
  check: make,
  term: {
    condition: "unit",
    linear: true,
    emit: (b, { output: f, condition: c, conditionKind }) => {
      const norm = (x: string): string => b.op("Sqrt", [b.op("Add", [dot(b, x, x), b.scalar(1e-12, x)])]);
      // Unit conditions come normalised, and sums of them must not be: E is linear in c.
      const length = conditionKind === "unit" ? norm(f) : b.op("Mul", [norm(c), norm(f)]);
      return b.op("Neg", [b.op("Div", [dot(b, c, f), length])]);
    },
    checkFits: ({ name, size, conditionKind }) => {
      if (size < 2 && conditionKind === "unit")
        throw new ArgumentError(
          `energy: cosine() compares directions, but ${name} gives 1 number, which has none but its sign; use ` +
            "energy.squaredError()",
          { code: "ERR_SHAPE_MISMATCH" },
        );
    },
  },
  describe: (energy: CosineEnergy) => ({ ...energy }),
  restore: make,
  build: make as (spec: Spec<"cosine", typeof options>) => CosineEnergy,
});
