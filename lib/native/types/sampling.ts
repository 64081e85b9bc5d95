/** A sampling run, as the addon takes it. */
import type { DeviceId } from "./devices.js";
import type { NativeLatentSource, NativeObjective } from "./pipeline.js";
import type { NativePrior } from "./prior.js";
import type { NativeTranslator } from "./translator.js";
import type { Owned } from "./values.js";

export interface NativeSamplerConfig {
  start: "resample" | "translator" | "mode" | "prior";
  kernel: "none" | "mala" | "langevin" | "hybrid";
  steps: number;
  priorWeight?: number;
  groups?: readonly NativeUpdateGroup[];
  seed: bigint;
  /** Numbers of the sampler's own, by the names of its options (lib/sampling/samplers). */
  [option: string]: unknown;
}

/** The next `size` dimensions of a latent, and how langevin and hybrid move them. */
export interface NativeUpdateGroup {
  size: number;
  rule: "sgld" | "adam" | "fixed" | "kept";
  learningRate?: number;
  momentum?: number;
  noise?: number;
  clip?: number;
  bound?: number;
}

export interface NativeSampleRequest {
  objective: NativeObjective;
  translator: NativeTranslator | null;
  /** Where to compute without a translator, whose device it is otherwise. Default the CPU. */
  device?: DeviceId;
  prior: NativePrior;
  config: NativeSamplerConfig;
  /**
   * For a translator with an auxiliary head: where its y lies in the latent, and the deviations [auxiliary] about it of
   * candidates' y, which "resample" needs.
   */
  auxiliary?: { begin: number; stds?: Float32Array | null };
  /** [B, m] */ conditions: Float32Array | Owned<Float32Array>;
  /** [B, m], the translator's, where they are not the objective's. */ translatorConditions?: Float32Array | Owned<Float32Array>;
  conditionCount: number;
  /** [B] */ streams: Uint32Array;
  count: number;
  first?: number;
  /** [B·count, d]: stand in for draws of the prior where chains start there. */
  starts?: Float32Array;
  /** What is drawn where chains start at the prior; absent where `prior` is not only its stand-in. */
  source?: NativeLatentSource;
  /** Progress carries copies of energies (and of latents where `latents` is true) every `every` steps and at the end. */
  every?: number;
  latents?: boolean;
}

export interface NativeSampleProgress {
  step: number;
  steps: number;
  energies: Float32Array;
  latents?: Float32Array;
}

export interface NativeSampleResult {
  /** [B·count, d] */ latents: Float32Array;
  /** [B·count] */ energies: Float32Array;
  /** [B] */ ess: Float32Array;
  /** [B] */ candidates: Uint32Array;
  /** [B] */ acceptance: Float32Array;
  /** [B] */ stepSizes: Float32Array;
  /** [steps + 1, B] */ trace: Float32Array;
  forwards: number;
  gradients: number;
}
