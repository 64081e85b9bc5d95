import type { Sampler } from "../sampling/sampler.js";
import type { Tr0n } from "../tr0n/tr0n.js";

/** A way to sample, and its name in the report. */
export interface Recipe {
  name: string;
  /** Default: sampler.resample(). */
  sampler?: Sampler;
  /** A Tr0n with another translator, prior weight or energy over the same generator and encoder. Default: the evaluated one. */
  tr0n?: Tr0n;
}
