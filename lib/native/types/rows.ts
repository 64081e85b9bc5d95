/** Arithmetic over rows of numbers, off the JavaScript thread. Sums run in double and in the rows' order. */
import type { NativeJob, Owned } from "./values.js";

type Floats = Float32Array | Owned<Float32Array>;
type Features = Owned<Float32Array> | Owned<Float64Array>;

export interface NativeMoments {
  /** [d] */ mean: Float64Array;
  /** [d] */ std: Float64Array;
}

/** What is wrong with a row that is to be a condition. */
export interface NativeConditionFault {
  readonly what: "notFinite" | "negative" | "sum" | "direction";
  readonly row: number;
  /** "notFinite": of the number among all. */
  readonly index: number;
  /** The number, the row's sum, or its length. */
  readonly value: number;
}

/** Images side by side: lib/image's GridOptions, filled in. */
export interface NativeSheetLayout {
  n: number;
  channels: number;
  height: number;
  width: number;
  columns: number;
  gap: number;
  scale: number;
  low: number;
  high: number;
  background: readonly number[];
}

export interface NativeFeatureStatistics {
  readonly n: number;
  readonly d: number;
  /** [d] */
  readonly mean: Float64Array;
  /** The rows less their mean, [n, d]. */
  readonly centred: Float64Array;
  /** tr Σ */
  readonly trace: number;
}

/** The same as it is given to a call. */
export interface NativeFeatureInput {
  n: number;
  d: number;
  mean: Owned<Float64Array>;
  centred: Owned<Float64Array>;
  trace: number;
}

export interface NativeRowFunctions {
  /** The index of the first number that is not finite; −1 where all are. */
  firstNotFinite(data: Floats): NativeJob<number>;
  /** The same, and copies the numbers to place `at` of an array that nobody else has. */
  copyFinite(data: Floats, into: Owned<Float32Array>, at: number): NativeJob<number>;
  /**
   * Mean and deviation, over n, of each column of rows [n, d]; `running`: by Welford's update, which large means do not
   * disturb, else in two passes.
   */
  columnMoments(rows: Floats, n: number, d: number, running: boolean): NativeJob<NativeMoments>;
  /** Columns begin … begin + size − 1 of rows [n, d], and the others in their order. */
  splitColumns(
    rows: Floats,
    n: number,
    d: number,
    begin: number,
    size: number,
  ): NativeJob<{ part: Float32Array; rest: Float32Array }>;
  /** (x − low)·scale + base */
  rescale(data: Floats, low: number, scale: number, base: number): NativeJob<Float32Array>;
  /** start + Σ x² */
  sumOfSquares(data: Floats, start: number): NativeJob<number>;
  /** Makes conditions [n, m] of rows, in place: −0 becomes 0, directions get the length 1. Null where nothing is wrong. */
  makeConditions(
    rows: Owned<Float32Array>,
    n: number,
    m: number,
    kind: "raw" | "probabilities" | "unit",
  ): NativeJob<NativeConditionFault | null>;
  /** For every row of [n, m] the number of earlier ones with the same bytes. */
  equalRowsBefore(rows: Floats, n: number, m: number): NativeJob<Uint32Array>;
  /** Pixels [height, width, 3] of a picture of all images. */
  drawSheet(images: Floats, layout: NativeSheetLayout): NativeJob<Uint8Array>;
  /** The same on the JavaScript thread. */
  drawSheetNow(images: Floats, layout: NativeSheetLayout): Uint8Array;
  /** 8-bit RGB [h·w, 3] → planes [3, h·w] between low and high, or their luma [h·w]. */
  pixelsToFloats(
    pixels: Uint8Array | Owned<Uint8Array>,
    low: number,
    high: number,
    luma: boolean,
  ): NativeJob<Float32Array>;
  /** @throws ERR_INVALID_ARGUMENT for a column whose mean is not finite */
  featureStatistics(rows: Features, n: number, d: number): NativeJob<NativeFeatureStatistics>;
  /** `root` [d, d] is Σ_b^½ where it is known; where it had to be made it comes back, and else null. */
  frechetDistance(
    a: NativeFeatureInput,
    b: NativeFeatureInput,
    root: Owned<Float64Array> | null,
  ): NativeJob<{ distance: number; root: Float64Array | null }>;
  meanPairwiseDistance(rows: Features, n: number, d: number): NativeJob<number>;
  /**
   * For every row of scores [n, classes] a class that is drawn, by random number first + row of the seed, and the most
   * probable one.
   */
  drawClasses(
    scores: Floats,
    n: number,
    classes: number,
    kind: "logits" | "probabilities",
    seed: bigint,
    first: number,
  ): NativeJob<{ drawn: Uint32Array; likeliest: Uint32Array }>;
}
