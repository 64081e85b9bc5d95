/** How latents are drawn for a condition: the samplers by name, and what one means for a run. */
import { invalid } from "../base/errors.js";
import type { Latent } from "../latent/latent.js";
import type { NativeSamplerConfig } from "../native/types/sampling.js";
import { check, checkValue } from "../options/check.js";
import { byHand, named } from "../options/describe.js";
import { kindsInFile, type Chosen, type KindSpec, type Makers } from "../options/kinds.js";
import type { SamplerDefinition } from "./definition.js";
import { stepCount } from "./samplers/common.js";
import { samplers } from "./samplers/index.js";
import type { StepSize } from "./step-sizes.js";

export type { Start } from "./samplers/common.js";
export type { DirectOptions } from "./samplers/direct.js";
export type { HybridOptions } from "./samplers/hybrid.js";
export type { GroupUpdate, LangevinOptions } from "./samplers/langevin.js";
export type { MalaOptions } from "./samplers/mala.js";
export type { ResampleOptions } from "./samplers/resample.js";

/** A sampler with all its options. Plain data. */
export type Sampler = Chosen<typeof samplers>;

export const sampler: Makers<typeof samplers, Sampler> = Object.fromEntries(
  Object.values(samplers as Readonly<Record<string, SamplerDefinition>>).map(({ kind, options: shape }) => [
    kind,
    (options?: object) =>
      Object.freeze({
        kind,
        options: Object.freeze(check(shape, options, { name: `sampler.${kind} options` })),
      }) as Sampler,
  ]),
) as Makers<typeof samplers, Sampler>;

/** @throws ArgumentError unless `value` is one of the above; its options are checked again. */
export function checkSampler(name: string, value: unknown): Sampler {
  const given = value as Sampler | null | undefined;
  if (given === undefined) return sampler.resample();
  if (given !== null && typeof given === "object" && Object.hasOwn(sampler, String(given.kind)))
    return (sampler[given.kind] as (options?: object) => Sampler)(given.options);
  throw invalid(name, `one of sampler.${Object.keys(sampler).join("(), sampler.")}()`, value);
}

/**
 * Callers make one with {@link sampler}; a configuration file has its kind and options.
 *
 * @internal
 */
export const samplerShape = byHand<Sampler, KindSpec<typeof samplers>>(
  "Sampler",
  checkSampler,
  named("sampler", () => kindsInFile(samplers)),
);

function definition({ kind }: Sampler): SamplerDefinition {
  return samplers[kind] as SamplerDefinition<string, never> as SamplerDefinition;
}

/** Steps that will run: the call's own number, else the sampler's. */
export function samplerSteps(chosen: Sampler, steps: number | undefined): number {
  if (chosen.kind === "direct") {
    if (steps !== undefined && steps !== 0)
      throw invalid("steps", "0 or nothing, for sampler.direct() takes no steps", steps);
    return 0;
  }
  return steps === undefined ? chosen.options.steps : checkValue(stepCount, steps, "steps");
}

function startOf(chosen: Sampler): NativeSamplerConfig["start"] {
  const { start } = definition(chosen);
  return typeof start === "function" ? start(chosen.options) : start;
}

/** Whether chains start at draws of the prior. */
export function startsAtPrior(chosen: Sampler): boolean {
  return startOf(chosen) === "prior";
}

/** Whether the sampler reads the translator. */
export function needsTranslator(chosen: Sampler): boolean {
  return !startsAtPrior(chosen);
}

/** Whether the sampler weighs candidates by the translator's density, which a deterministic one does not have. */
export function needsDensity(chosen: Sampler): boolean {
  return startOf(chosen) === "resample";
}

/**
 * As the addon wants it. `priorTerms` is the summed weight of the energy's prior() terms, null without one: then the
 * weight is the sampler's own. `auxiliary` is the group of the translator's auxiliary head, `found` MALA's step sizes of
 * its training.
 */
export function nativeSampler(
  chosen: Sampler,
  steps: number,
  priorTerms: number | null,
  prior: Latent,
  seed: number,
  auxiliary?: string,
  found: readonly StepSize[] = [],
): NativeSamplerConfig {
  const { kernel, priorWeight, native } = definition(chosen);
  const own: Readonly<Record<string, unknown>> =
    native?.(chosen.options, { prior, auxiliary, found }) ?? chosen.options;
  return {
    ...own,
    steps,
    seed: BigInt(seed),
    start: startOf(chosen),
    kernel: steps > 0 ? kernel : "none",
    priorWeight: priorTerms ?? priorWeight,
  };
}
