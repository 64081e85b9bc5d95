/** The translator's network and its training, as the addon has them. */
import type { DeviceId } from "./devices.js";
import type { NativeJob, Owned } from "./values.js";

export interface NativeTranslatorConfig {
  condition: number;
  hidden: number;
  latent: number;
  components: number;
  depth?: number;
  auxiliary?: number;
  bound?: number;
  componentStds?: boolean;
  deterministic?: boolean;
  initialLogStd?: number;
}

interface NativeMixture {
  /** [n, K] */ logits: Float32Array;
  /** [n, K, d] */ means: Float32Array;
  /** [d] or [K, d] */ stds: Float32Array;
  /** [n, auxiliary] */ y: Float32Array;
}

interface NativeHeadTurn {
  factors: Float64Array;
  centres: Float64Array;
}

export interface NativeTranslator {
  readonly device: DeviceId;
  readonly parameters: readonly { name: string; shape: number[]; offset: number; size: number }[];
  /** A copy of all parameters, flat, in the order of `parameters`. */
  values(): Float32Array;
  /** The same, made off the JavaScript thread. */
  copyValues(): NativeJob<Float32Array>;
  setValues(values: Float32Array): void;
  /** The same, off the JavaScript thread. */
  assignValues(values: Float32Array | Owned<Float32Array>): NativeJob<void>;
  /** Output j of a head becomes factor·output + centre (j counts anew in each component); z's log deviations are set. */
  calibrate(turns: {
    z: NativeHeadTurn;
    y?: NativeHeadTurn;
    /** [d] */ logStds?: Float32Array;
  }): NativeJob<void>;
  forward(c: Float32Array, n: number): NativeJob<NativeMixture>;
  /** log q(z_i | c_i). */
  logDensity(c: Float32Array, z: Float32Array, n: number): NativeJob<Float64Array>;
  /** `count` draws for each of n conditions: [n, count, d]. Stream = row of c. */
  draw(c: Float32Array, n: number, count: number, seed: bigint): NativeJob<Float32Array>;
  /** Mean loss and its gradient with respect to every parameter. */
  loss(
    c: Float32Array,
    z: Float32Array,
    y: Float32Array | null,
    n: number,
    alpha: number,
  ): NativeJob<{ loss: number; gradients: Float32Array }>;
  dispose(): void;
}

export interface NativeTrainerConfig {
  epochs: number;
  batch: number;
  learningRate: number;
  clip?: number;
  alpha?: number;
  /** "relaxed": mean energy of relaxed draws; createTrainer then needs an objective with a gradient. Default "latent". */
  loss?: "latent" | "relaxed";
  temperature?: number;
  /** "relaxed": where the auxiliary head's y begins in the objective's latent. */
  auxiliaryBegin?: number;
  sampleLabels?: boolean;
  noise?: "none" | "isotropic" | "adaptive" | "covariance";
  noiseScale?: number;
  noiseCovariance?: Float32Array;
  seed: bigint;
}

export interface NativeTrainerProgress {
  step: number;
  steps: number;
  epoch: number;
  loss: number;
  learningRate: number;
  gradientNorm: number;
}

export interface NativeTrainerState {
  step: number;
  /** The translator's parameters, flat. */
  values: Float32Array;
  firstMoment: Float32Array;
  secondMoment: Float32Array;
}

export interface NativeHeldOut {
  /** Mean −log q, a deterministic translator's squared error, or the relaxed energy. */
  loss: number;
  /** [auxiliary], mean (y − ŷ)² of each number. */
  residuals: Float64Array;
}

export interface NativeTrainer {
  readonly steps: number;
  /** Runs at most `count` further steps; resolves with the last progress. */
  run(count: number, onProgress?: (p: NativeTrainerProgress) => void): NativeJob<NativeTrainerProgress>;
  step(): number;
  state(): NativeJob<NativeTrainerState>;
  /** Sets the translator's parameters, too. */
  setState(state: NativeTrainerState): NativeJob<void>;
  /** What other pairs say; y may be null, and then there are no residuals. */
  heldOut(
    z: Float32Array | Owned<Float32Array>,
    c: Float32Array | Owned<Float32Array>,
    y: Float32Array | Owned<Float32Array> | null,
    n: number,
  ): NativeJob<NativeHeldOut>;
  dispose(): void;
}
