/** Metropolis-adjusted Langevin steps. */
import {
  boolean,
  either,
  integer,
  number,
  object,
  option,
  words,
  type Checked,
  type TypeOf,
} from "../../options/describe.js";
import { defineSampler, type SamplerContext } from "../definition.js";
import { keptGroups } from "../kept-groups.js";
import { stepSizeAt } from "../step-sizes.js";
import { fidelity, maxSteps, start, stepCount } from "./common.js";

/** @internal */
export const malaOptions = object({
  steps: option(stepCount, "steps T", {
    more: "Each costs one gradient, and the start one more.",
    default: 20,
  }),
  fidelity,
  stepSize: option(either(number({ above: 0 }), words("auto")), "first step size h₀, in units of the prior", {
    more:
      "Steps are made in coordinates u in which the prior is N(0, I), so that a number means the same for every latent (z = " +
      'mean + std·u for normals). "auto": what training found for the translator (TrainReport.pilot), interpolated in the ' +
      "logarithms between the measured fidelities; without a pilot run 1 / (d^⅓ / 1.36 + λ) for d dimensions.",
    default: "auto",
  }),
  targetAccept: option(
    number({ above: 0, below: 1 }),
    "accept probability that each chain's step size adapts to",
    {
      default: 0.57,
    },
  ),
  maxDrift: option(
    either(number({ min: 0 }), words("auto")),
    "norm to which the energy's part of the drift is clipped; 0 switches it off",
    {
      more: 'That part is λ·∂E/∂u; the prior\'s is never clipped. "auto": the larger of 10 and 1.25·√d. The target is the same with any.',
      default: "auto",
    },
  ),
  adapt: option(either(boolean(), words("pilot")), "adapt each chain's step size", {
    more:
      'true: while it samples. false: leave it as it is. "pilot": in a separate run of four chains for each ' +
      "condition before sampling, and keep it. The last two are strictly invariant.",
    default: true,
    flag: { value: "HOW", words: { chain: true, pilot: "pilot", none: false } },
  }),
  pilotSteps: option(integer({ min: 1, max: maxSteps }), "steps of the pilot run", { default: 50 }),
});

/** Options of the Metropolis-adjusted Langevin steps. */
export type MalaOptions = TypeOf<typeof malaOptions>;

/** @internal */
export const malaFromOneDraw = object({ ...malaOptions.form.properties, start });

/**
 * Options as the addon takes them, which has a rule for step sizes and drifts that are left out.
 * @internal
 */
export function nativeMala(
  { stepSize, maxDrift, ...rest }: Checked<typeof malaOptions>,
  { found, prior }: SamplerContext,
): Readonly<Record<string, unknown>> {
  return {
    ...rest,
    groups: keptGroups(prior),
    stepSize: stepSize === "auto" ? stepSizeAt(found, rest.fidelity) : stepSize,
    maxDrift: maxDrift === "auto" ? undefined : maxDrift,
  };
}

/** @internal */
export const mala = defineSampler({
  kind: "mala",
  is: "MALA from one draw; the prior's density is part of its target.",
  options: malaFromOneDraw,
  start: (options) => options.start,
  kernel: "mala",
  priorWeight: 1,
  native: nativeMala,
});
