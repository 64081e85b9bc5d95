/** What sampling gives. */
import type { Images } from "../base/image.js";
import type { Tensor } from "../base/tensor.js";

/** The result of sample() for B conditions. */
export interface Samples {
  /** [B·count, …Tr0n.imageShape], as the generator makes them and in its range: all samples of the first condition, then those of the next. */
  readonly images: Images;
  /** [B·count, …Tr0n.latentShape]: in the shape of the generator's input, or [B·count, d]. */
  readonly latents: Tensor;
  /** [B·count], E(z, c) without prior() terms and without λ; with `augment` the mean over the chain's copies. */
  readonly energies: Float32Array;
  readonly seed: number;
  /** [B], the mean effective sample size of each condition's candidates; NaN for samplers that do not resample. */
  readonly ess: Float32Array;
  /** [B], candidates for each chain, after doubling. */
  readonly candidates: Uint32Array;
  /** [B], the mean accept probability of the MALA steps; NaN for other samplers. */
  readonly acceptance: Float32Array;
  /** [B], the geometric mean of the chains' final MALA step sizes; NaN for other samplers. */
  readonly stepSizes: Float32Array;
  /** [steps + 1, B], the mean energy of each condition's chains at the start and after every step. */
  readonly trace: Tensor;
  /**
   * Rows for which the energy was computed without (`forwards`) and with its gradient (`gradients`). With `augment` the
   * encoder runs `copies` times for each.
   */
  readonly evaluations: { readonly forwards: number; readonly gradients: number };
  readonly warnings: readonly string[];
}

/** One step of a run; see {@link Tr0n.sampleSteps}. */
export interface SampleStep {
  /** 0 for the start. */
  readonly step: number;
  readonly steps: number;
  /** [B·count] */
  readonly energies: Float32Array;
  /** [B·count, …Tr0n.latentShape], where there are images. */
  readonly latents?: Tensor;
  /** [B·count, …Tr0n.imageShape], every `every` steps and at the last one. */
  readonly images?: Images;
  readonly seed: number;
}
