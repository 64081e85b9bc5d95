/** Options that several samplers have. */
import { integer, number, option, words, type TypeOf } from "../../options/describe.js";

/** The largest number of steps: step numbers are 24 bits of the random counter. */
export const maxSteps = 2 ** 24 - 1;

/** @internal */
export const starts = words("translator", "mode", "prior");

/**
 * Where chains start: one draw of the translator, the mean of its heaviest component, or one draw of the prior. What the
 * translator puts beyond a bounded prior's support is moved to the nearest point of it.
 */
export type Start = TypeOf<typeof starts>;

/** @internal */
export const stepCount = integer({ min: 0, max: maxSteps });

/** @internal */
export const start = option(starts, "where chains start", { default: "translator" });

/** @internal */
export const fidelity = option(number({ min: 0 }), "λ, the weight of the energy against the prior", {
  more:
    "The target is p(z)·exp(−λE): 1 with crossEntropy() is the exact conditional p(z|c); larger values trade diversity for " +
    "obedience.",
  default: 1,
});
