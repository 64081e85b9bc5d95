/** What a gradient is wanted of. */

export interface DifferentiateOptions {
  /** Inputs to differentiate with respect to. Default: all float inputs. */
  wrt?: string[];
  /** Outputs that are differentiated. Default: all float outputs. */
  outputs?: string[];
  /**
   * "input" (default): an input `grad_<output>` per output, its cotangent. "ones": the cotangent is all ones and
   * part of the graph, which gives every row of a batch its own gradient of a per-row energy.
   */
  seed?: "input" | "ones";
  /** Whether the graph's own outputs stay outputs. Default true. */
  keepOutputs?: boolean;
  /** Put before the names of seeds and gradients. Default "grad_"; a graph of gradients needs another one. */
  prefix?: string;
  /** Accept operators that draw random numbers on the way to a differentiated output. Default false. */
  allowRandom?: boolean;
}
