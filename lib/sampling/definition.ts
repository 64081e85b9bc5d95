/** What a sampler is: each is one file in samplers/, which has its options and what it hands to the native side. */
import type { Checked, ObjectShape } from "../options/describe.js";
import type { Kind } from "../options/kinds.js";
import type { Latent } from "../latent/latent.js";
import type { NativeSamplerConfig } from "../native/types/sampling.js";
import type { StepSize } from "./step-sizes.js";

/** What a run has beside the sampler's options. */
export interface SamplerContext {
  readonly prior: Latent;
  /** Name of the group of the translator's auxiliary head. */
  readonly auxiliary: string | undefined;
  /** MALA's step sizes that training found. */
  readonly found: readonly StepSize[];
}

/** Where chains start. "resample" draws candidates and weighs them. */
type NativeStart = NativeSamplerConfig["start"];

export interface SamplerDefinition<
  K extends string = string,
  O extends ObjectShape = ObjectShape,
> extends Kind<K, O> {
  /** Where chains start: a word, or the option that has it. */
  readonly start: NativeStart | ((options: Checked<O>) => NativeStart);
  /** The native steps; "none" for a sampler that makes none. */
  readonly kernel: NativeSamplerConfig["kernel"];
  /** Weight of the prior where the energy has no prior() terms: 1 with a target density, else 0. */
  readonly priorWeight: 0 | 1;
  /** Options as the addon takes them, which knows what to do where a number is left out. Default: as they are. */
  readonly native?: (options: Checked<O>, context: SamplerContext) => Readonly<Record<string, unknown>>;
}

export function defineSampler<K extends string, O extends ObjectShape>(
  definition: SamplerDefinition<K, O>,
): SamplerDefinition<K, O> {
  return definition;
}
