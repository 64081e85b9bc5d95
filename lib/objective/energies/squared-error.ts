import { object } from "../../options/describe.js";
import type { Spec } from "../../options/family.js";
import { defineEnergy, dot } from "./kind.js";

export interface SquaredErrorEnergy {
  readonly kind: "squaredError";
}

/** E = ‖c − f(x)‖², summed over the features. */
function make(): SquaredErrorEnergy {
  return Object.freeze({ kind: "squaredError" });
}

const options = object({});

export const squaredError = defineEnergy({
  kind: "squaredError",
  is: "the squared distance of condition and encoder output",
  options,
  make,
  word: "squared-error",
  check: make,
  term: {
    condition: "raw",
    linear: false,
    emit: (b, { output, condition }) => {
      const difference = b.op("Sub", [condition, output]);
      return dot(b, difference, difference);
    },
  },
  describe: (energy: SquaredErrorEnergy) => ({ ...energy }),
  restore: make,
  build: make as (spec: Spec<"squaredError", typeof options>) => SquaredErrorEnergy,
});
