/** Models one behind the other, energies and row maps, as the addon runs them. */
import type { NativeSession, NativeTorchModel } from "./models.js";
import type { NativePrior } from "./prior.js";
import type { NativeJob, Owned } from "./values.js";

/**
 * ONNX graphs in the middle of a pipeline. The gradient's graph is cut in two: what does not depend on the cotangent runs
 * with the forward pass (`recorded`), the values on the cut are kept and fed to `backward`.
 */
export interface NativeOnnxSegment {
  name: string;
  /** Shape of one row. */
  inputShape: readonly number[];
  /** input → output */
  forward: NativeSession;
  /** input → output, saved…; null with `backward` where no gradient is wanted. */
  recorded: NativeSession | null;
  /** saved…, cotangent → gradient */
  backward: NativeSession | null;
  input: string;
  output: string;
  saved: readonly string[];
  cotangent: string;
  gradient: string;
  /** Rows that it takes, where those are not the block's: it runs them in batches, the last one filled up; 0: the block's. */
  fixedBatch?: number;
}

/** Numbers begin … begin + size − 1 of a row as an input of a TorchScript model. */
export interface NativeTorchPart {
  input: string;
  begin: number;
  size: number;
  /** Of a row of the input. */
  shape: readonly number[];
  /** They go into each of shape[0] layers. */
  broadcast: boolean;
  /** The one number stands for a class, by these borders: see lib/latent/labels.ts. */
  borders?: Float32Array;
  /** The input takes a 1 among zeros. */
  oneHot?: boolean;
}

/** A TorchScript model in a pipeline. */
interface NativeTorchSegment {
  model: NativeTorchModel;
  /** What of a row goes into which of several inputs; absent: it is the only one's. */
  parts?: readonly NativeTorchPart[];
  /** Shape of one row. */
  inputShape: readonly number[];
  output: string;
  /** As of {@link NativeOnnxSegment}. */
  fixedBatch?: number;
}

export type NativeSegment = NativeOnnxSegment | NativeTorchSegment;

/** What decides in which blocks rows run; nothing is needed. */
export interface NativeRowFacts {
  /** The rule's name among {@link NativeBinding.blockRules}; several runners of one object add "/…" to it. */
  ruleKey?: string;
  /** Operations of a row, forwards, of all ONNX graphs. TorchScript models count their own. */
  rowFlops?: number;
  /** Nodes of these graphs. */
  callNodes?: number;
  /** Bytes of these graphs' weights, those in files included. */
  weightBytes?: number;
}

/** How many rows run at once: multiples of `granularity` up to `rows`, all of which give the same bits. */
export interface NativeBlockRule {
  key: string;
  granularity: number;
  rows: number;
}

/**
 * How sessions' values serve as E(z, c): (x, c) → E, and E with ∂E/∂x. x is z, or what comes out of the segments when
 * there are any. `gradient` is null where only energies are needed.
 */
export interface NativeObjectiveConfig extends NativeRowFacts {
  segments?: readonly NativeSegment[];
  energy: NativeSession;
  gradient: NativeSession | null;
  /** Names of the inputs x and c and of the outputs in both sessions. */
  input: string;
  conditionInput: string;
  energyOutput: string;
  gradientOutput: string;
  /** Shape of one row of x as the graph wants it, e.g. [64] or [64, 1, 1]. */
  inputShape: readonly number[];
  conditionShape: readonly number[];
  /** Rows the models were exported for, where the batch is fixed; 0 where it is open. */
  fixedBatch: number;
  /** Rows that the sessions take, where those are not the block's; 0 where they are. */
  headBatch?: number;
  /** Upper bound for the rows of one call into the models. */
  maxBatch: number;
}

/** An augmentation policy in pixels: native/bridge/augmentation.h. */
export interface NativeAugmentation {
  copies: number;
  height: number;
  width: number;
  shiftY: number;
  shiftX: number;
  minScale: number;
  maxScale: number;
  cutoutHeight: number;
  cutoutWidth: number;
}

/** E(z, c) as a mean over augmented copies of the generator's image. */
export interface NativeAugmentedObjectiveConfig extends NativeRowFacts {
  /** z → image, with backward passes where `transpose` is given. */
  generator: readonly NativeSegment[];
  imageShape: readonly number[];
  policy: NativeAugmentation;
  /** image, parameters → augmented */
  augment: NativeSession;
  /** parameters, grad_augmented → grad_image; null where only energies are needed. */
  transpose: NativeSession | null;
  /** (augmented image, c) → E */
  objective: NativeObjective;
  /** Rows that the generator was exported for; 0 where that is open. */
  fixedBatch: number;
  /** Upper bound for the rows of one call into the generator. */
  maxBatch: number;
}

/** Random numbers of augmentation are those of seed 0, stream 0, chain = row, step 0. */
export interface NativeObjective {
  energy(z: Float32Array, c: Float32Array, n: number): NativeJob<Float32Array>;
  evaluate(
    z: Float32Array,
    c: Float32Array,
    n: number,
  ): NativeJob<{ energies: Float32Array; gradients: Float32Array }>;
  dispose(): void;
}

/**
 * Models used row by row: latents → images, → conditions, → features; one session, or segments one behind the other.
 * Row sizes come from the outputs' shapes.
 */
export type NativeRowMapConfig = {
  fixedBatch: number;
  maxBatch: number;
} & NativeRowFacts &
  (
    | { session: NativeSession; input: string; inputShape: readonly number[]; outputs: readonly string[] }
    | { name: string; segments: readonly NativeSegment[] }
  );

export interface NativeRowMap {
  /** One array per output, [n, …]; with their row shapes. */
  run(
    rows: Float32Array | Owned<Float32Array>,
    n: number,
  ): NativeJob<{ data: Float32Array; shape: number[] }[]>;
  /**
   * Draws n latents of the prior (chains first … first + n − 1 of the pair stream, Purpose::pair) and maps them.
   * `onProgress` gets the rows done. ERR_DIVERGED for a number of the first output that is not finite, where `finite` asks.
   */
  pairs(
    prior: NativeLatentSource,
    seed: bigint,
    first: number,
    n: number,
    onProgress?: (rows: number) => void,
    finite?: boolean,
  ): NativeJob<{ z: Float32Array; outputs: { data: Float32Array; shape: number[] }[] }>;
  dispose(): void;
}

/** What a latent is made of: a factorised prior, whose numbers become those of the latent group by group. */
export interface NativeLatentSource extends NativePrior {
  /** Of all the prior's numbers, in their order; absent where they are the latent. */
  groups?: readonly NativeLatentGroup[];
}

/** The next `base` numbers of the prior become the latent's next `size`. */
export interface NativeLatentGroup {
  base: number;
  /** 0: they are left out. */
  size: number;
  /** [rows, size]: the row that one number in [0, rows] points to. */
  table?: Owned<Float32Array>;
  rows?: number;
  /** What the numbers go through, with one output; without it and a table they are the latent's own. */
  map?: NativeRowMap;
}
