/** The default sampler: importance resampling among candidates, then MALA. */
import { invalid } from "../../base/errors.js";
import { integer, number, object, option, withDefault, type TypeOf } from "../../options/describe.js";
import { defineSampler } from "../definition.js";
import { malaOptions, nativeMala } from "./mala.js";

const most = 2 ** 20;

/** @internal */
export const resampleOptions = object(
  {
    ...malaOptions.form.properties,
    steps: {
      ...withDefault(malaOptions.form.properties.steps, {
        from: ({ fidelity }: { fidelity: number }) => (fidelity >= 3 ? 16 : 4),
        words: "4, or 16 where fidelity ≥ 3",
      }),
      is: "MALA steps after resampling, in each round",
      more: "0 needs no gradient.",
    },
    rounds: option(integer({ min: 1, max: 4096 }), "rounds of resampling and steps", {
      more:
        "From the second on the present state is one of the candidates, beside as many fresh ones as in the first, which leaves " +
        "the target as it is.",
      default: 1,
    }),
    candidates: option(integer({ min: 1, max: most }), "M, candidates drawn per chain", { default: 16 }),
    maxCandidates: option(
      integer({ min: 1, max: most }),
      "number up to which M is doubled while the effective sample size is below `minEss`",
      {
        more: "At least `candidates`.",
        default: {
          from: ({ candidates }: { candidates: number }) => Math.max(256, candidates),
          words: "256, or candidates if that is more",
        },
      },
    ),
    minEss: option(number({ min: 0 }), "effective sample size that is asked for; 0 never doubles", {
      default: 4,
    }),
    priorFraction: option(number({ min: 0, max: 1 }), "α, the share of candidates that come from the prior", {
      default: 0.1,
    }),
  },
  ({ candidates, maxCandidates }, name) => {
    if (Number(maxCandidates) < Number(candidates))
      throw invalid(
        name("maxCandidates"),
        `an integer ≥ ${String(candidates)}, the candidates, and ≤ ${most}`,
        maxCandidates,
      );
  },
);

/** Options of the default sampler. */
export type ResampleOptions = TypeOf<typeof resampleOptions>;

/** @internal */
export const resample = defineSampler({
  kind: "resample",
  is:
    "The default: importance resampling among draws of the translator and the prior, then a few MALA steps. Its target is " +
    "p(z)·exp(−λE); the effective sample size it reports says how well the translator covers it. For an " +
    "auxiliary group, candidates are drawn from a normal around the head's output; its deviations were measured on held-out pairs.",
  options: resampleOptions,
  start: "resample",
  kernel: "mala",
  priorWeight: 1,
  native: nativeMala,
});
