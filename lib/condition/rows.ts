/** Conditions as numbers. */

/** Conditions in the form that the native side takes. */
export interface ConditionRows {
  /** [B, m], what the energy takes. */
  readonly data: Float32Array;
  /** [B, m], what the translator takes, where that is something else: a function of `data`. */
  readonly translator?: Float32Array;
  readonly count: number;
  readonly size: number;
}
