/** The prior, as the addon takes it. */


export interface NativePrior {
  kind: "normal" | "truncatedNormal" | "uniform" | "elements";
  dim: number;
  std?: number;
  bound?: number;
  low?: number;
  high?: number;
  /**
   * [dim, 4], kind "elements": mean, std, low and high of every dimension. A std of Infinity is uniform on [low, high];
   * otherwise these are symmetric about the mean or infinite.
   */
  elements?: Float32Array;
}
