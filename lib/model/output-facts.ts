import type { Bounds, InputScaling } from "../onnx/index.js";

/** What a model's code says about an output, beyond its shape. */
export interface OutputFacts {
  /** The operator that makes its numbers, by its name in ONNX ("Softmax") where it has one; null where it is unknown. */
  readonly maker: string | null;
  /** What makes one run differ from the next, in words; null when nothing does. */
  readonly random: string | null;
  /** Its numbers come from a linear layer. */
  readonly linear: boolean;
  /** The model's class says that it is a classifier. */
  readonly classifier: boolean;
  /** Between which numbers it lies, where its last operators tell. */
  readonly bounds: Bounds | null;
  /** The scaling that the model makes of its input's numbers first; null where it makes none, undefined where nobody can tell. */
  readonly scaling: InputScaling | null | undefined;
  /**
   * Why it has no gradient with respect to any input, as its operators tell; null where it has one, or nobody knows before
   * it is tried. undefined where operators do not tell and only a trial does. `unknown`: an operator without a rule is what
   * stops it, so that an optimiser may yet help.
   */
  readonly stop: GradientBarrier | null | undefined;
  /** Whether activations on the way are quantised by scales that every run finds in its whole batch. */
  readonly scalesByBatch: boolean;
  /** Operations of the whole model for one row, counted from shapes; null where nobody can tell. */
  readonly rowFlops: number | null;
}

export interface GradientBarrier {
  readonly message: string;
  readonly unknown: boolean;
}
