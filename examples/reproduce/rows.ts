/** What all settings of the reproduction report, and how they are composed. */
import type { Recipe } from "../../lib/evaluate/options.js";
import { sampler, type MalaOptions, type ResampleOptions } from "../../lib/index.js";
import type { Tr0n } from "../../lib/tr0n/tr0n.js";

/** One way to sample, measured in one setting with one seed; JSON-able. */
export interface Row {
  readonly recipe: RowName;
  readonly accuracy: number;
  readonly fd: number;
  readonly fdOverFloor: number;
  /** Of the reference: 1. */
  readonly diversity: number;
  /** Null where it is not defined: sequential Monte Carlo has no cost of one sample. */
  readonly forwards: number | null;
  readonly gradients: number | null;
  readonly secondsPer1000: number | null;
}

/** A gradient counts as so many forward passes where evaluations are made equal: rounded up, in favour of naive starts. */
export const gradientCost = 3;

export const rowNames = {
  exact: "exact",
  prior: "prior, no condition",
  translator: "translator alone (no Langevin)",
  resampleOnly: "translator + resampling (no Langevin)",
  steps: "translator + the same steps (no resampling)",
  stepsEqual: "translator + steps, equal evaluations (no resampling)",
  naiveSteps: "prior + the same steps (naive)",
  naiveEqual: "prior + steps, equal evaluations (naive)",
  naiveResample: "resampling from the prior, equal evaluations (naive)",
  deterministic: "deterministic translator, equal evaluations",
  official: "official settings",
  ours: "ours",
} as const;
export type RowName = keyof typeof rowNames;

export interface Translators {
  readonly ours: Tr0n;
  readonly deterministic: Tr0n;
  readonly official: Tr0n;
}

/** Of the default sampler at a fidelity. */
export interface Ours {
  readonly fidelity: number;
  readonly steps: number;
  /** As they came out: evaluations a sample. */
  readonly forwards: number;
  readonly gradients: number;
}

export const oursRecipe = (tr0n: Tr0n, fidelity: number): Recipe => ({
  name: "ours",
  tr0n,
  sampler: sampler.resample({ fidelity }),
});

/** All other rows, for what ours took: naive ones get at least as many evaluations. */
export function ablation(t: Translators, { fidelity, steps, forwards, gradients }: Ours): Recipe[] {
  const mala = (options: MalaOptions & { start?: "prior" }): Recipe["sampler"] =>
    sampler.mala({ fidelity, ...options });
  const resample = (options: ResampleOptions): Recipe["sampler"] =>
    sampler.resample({ fidelity, ...options });
  const candidates = Math.ceil(forwards);
  const equalSteps = Math.ceil(forwards / gradientCost + gradients) - 1;
  const rows: [RowName, Tr0n, Recipe["sampler"]][] = [
    ["prior", t.ours, sampler.direct({ start: "prior" })],
    ["translator", t.ours, sampler.direct()],
    ["resampleOnly", t.ours, resample({ steps: 0 })],
    ["steps", t.ours, mala({ steps })],
    ["stepsEqual", t.ours, mala({ steps: equalSteps })],
    ["naiveSteps", t.ours, mala({ steps, start: "prior" })],
    ["naiveEqual", t.ours, mala({ steps: equalSteps, start: "prior" })],
    ["naiveResample", t.ours, resample({ candidates, priorFraction: 1, minEss: 0, steps })],
    ["deterministic", t.deterministic, mala({ steps: equalSteps })],
    ["official", t.official, sampler.hybrid()],
  ];
  return rows.map(([name, tr0n, chosen]) => ({ name, tr0n, sampler: chosen }));
}
