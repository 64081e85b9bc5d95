import type { Target } from "./targets/target.js";

/** Options of differentiation: which gradient is wanted, and in what form. */
export interface DifferentiateOptions {
  /** Inputs to differentiate with respect to. Default: all float inputs. */
  wrt?: string[];
  /** Outputs that are differentiated. Default: all float outputs. */
  outputs?: string[];
  /**
   * Where the cotangents come from. "input" (default): an input `grad_<output>` for each output. "ones": they are all ones
   * and part of the graph; where each row of a batch has its own energy, each row gets its own gradient.
   */
  seed?: "input" | "ones";
  /** Keep the graph's own outputs. Default true. */
  keepOutputs?: boolean;
  /** Prefix of the names of cotangents and gradients. Default "grad_"; to differentiate a gradient, choose another one. */
  prefix?: string;
  /** Accept operators that draw random numbers on the way to a differentiated output. Default false. */
  allowRandom?: boolean;
  /**
   * Take the gradient of rounding for the identity: of Round, of casts to integers and of quantised numbers, where that of what
   * is cut off by a quantised type's range is 0. Default false: quantising is refused, and other rounding has the gradient 0.
   */
  straightThrough?: boolean;
  /** Where the result is to run: its forms are those that run there. Default "cpu", which any runtime runs. */
  target?: Target;
}
