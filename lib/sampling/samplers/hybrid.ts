/** The paper's sampler. */
import { number, object, option, withDefault, type TypeOf } from "../../options/describe.js";
import { defineSampler } from "../definition.js";
import { nativeUpdate, updateOptions } from "./langevin.js";

/** @internal */
export const hybridOptions = object({
  ...updateOptions.form.properties,
  steps: {
    ...withDefault(updateOptions.form.properties.steps, 100),
    is: "steps T (`num_hybrid_iters` in the paper's code)",
  },
  weightLearningRate: option(number({ above: 0 }), "Adam's rate for the mixture weights", { default: 5e-3 }),
});

/** Options of the paper's sampler. */
export type HybridOptions = TypeOf<typeof hybridOptions>;

/** @internal */
export const hybrid = defineSampler({
  kind: "hybrid",
  is:
    "The paper's sampler: all K component means at once by momentum SGD with noise, their weights by Adam. The latent is the " +
    "weighted mean. The translator's auxiliary group is one vector a chain.",
  options: hybridOptions,
  start: "mode",
  kernel: "hybrid",
  priorWeight: 0,
  native: nativeUpdate,
});
