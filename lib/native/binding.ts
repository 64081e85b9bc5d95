/**
 * The only file that loads the addon, and its whole surface, typed. Everything long runs on tr0n's own threads and
 * comes back as a {@link NativeJob}; errors carry one of the codes of errors.ts.
 */
import { createRequire } from "node:module";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Tr0nError } from "../base/errors.js";

/** A running native job. `cancel` makes `promise` reject with ERR_ABORTED within one step; it never rejects late. */
export interface NativeJob<T> {
  readonly promise: Promise<T>;
  cancel(): void;
}

export type NativeArray = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;

/**
 * An array that nobody outside of lib/ has, or ever will: it is used where it lies. All other arrays are copied before a call
 * returns, because their owners may overwrite, transfer or resize them while a job runs.
 */
export interface Owned<T extends NativeArray> {
  readonly owned: T;
}

export interface NativeTensor {
  readonly data: NativeArray;
  readonly shape: readonly number[];
}

/** A tensor that is given to a call. */
export interface NativeInput {
  readonly data: NativeArray | Owned<NativeArray>;
  readonly shape: readonly number[];
}

export interface NativeValueInfo {
  readonly name: string;
  /** null where symbolic. */
  readonly shape: readonly (number | null)[];
  /** The symbolic names, null where fixed or anonymous. */
  readonly symbols: readonly (string | null)[];
  /** "float32", "float64", "int64", "int32", "bool", "uint8", "float16", … */
  readonly type: string;
}

export interface NativeSessionOptions {
  /** ONNX Runtime's intra-op threads. */
  threads?: number;
  /** A name for error messages: the file, or what the graph is for. */
  name?: string;
  /** What the model's file must be, as lib/base/file-state.ts says it. */
  state?: string;
  /** Inputs of the model's bytes that are constants in files: read once, and shared by all sessions on the same files. */
  weights?: readonly NativeFileWeight[];
  /** Whether matrices are rearranged for the kernels of products when the session opens. Default true. */
  packWeights?: boolean;
}

/** An initializer whose numbers are a range of a file, little-endian and row-major. */
export interface NativeFileWeight {
  readonly name: string;
  /** ONNX's number of the element type. */
  readonly elemType: number;
  readonly shape: readonly number[];
  readonly file: string;
  /** What the file must be; "" for anything. */
  readonly state: string;
  readonly offset: number;
}

export interface NativeTorchOptions {
  /** Threads of a run. */
  threads?: number;
  /** A name for error messages. */
  name?: string;
  /** Shapes by input, batch axis included; null where any size serves. */
  inputShapes?: Record<string, readonly (number | null)[]>;
  /** A CUDA device by libtorch's number. Default: the CPU. */
  device?: number;
  /** The code may do more than compute. Default false. */
  allowCode?: boolean;
}

/** A TorchScript model in libtorch. Reference counted like a session. A call ends soon after it was cancelled. */
export interface NativeTorchModel {
  readonly inputs: readonly NativeValueInfo[];
  readonly outputs: readonly NativeValueInfo[];
  /** JSON: native/torch/summary.h. */
  readonly summary: string;
  run(inputs: Record<string, NativeInput>): NativeJob<Record<string, NativeTensor>>;
  /** Cotangents are float32, and so are the gradients: of all float inputs. */
  vjp(
    inputs: Record<string, NativeInput>,
    cotangents: Record<string, NativeInput>,
  ): NativeJob<{ outputs: Record<string, NativeTensor>; gradients: Record<string, NativeTensor> }>;
  /** A model on the same weights with one output "columns" [n, F + K]; null: what the last linear layer reads. */
  withFeatures(output: string, features: string | null): NativeJob<NativeTorchModel>;
  dispose(): void;
}

/** An ONNX Runtime session. Reference counted: dispose() waits for no one, running jobs finish first. */
export interface NativeSession {
  readonly inputs: readonly NativeValueInfo[];
  readonly outputs: readonly NativeValueInfo[];
  run(
    inputs: Record<string, NativeInput>,
    outputs?: readonly string[],
  ): NativeJob<Record<string, NativeTensor>>;
  dispose(): void;
}

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

/** A device that is kept open. */
export interface NativeDevice {
  readonly id: DeviceId;
  /** Loads every kernel and runs one; null for the CPU. */
  probe(): NativeJob<{
    readonly kernels: number;
    /** By file: "sm_89" or "compute_80 (PTX)". */
    readonly images: Readonly<Record<string, string>>;
  } | null>;
  dispose(): void;
}

export type DeviceId = "cpu" | `cuda:${number}`;

/** What the CUDA driver has, found without opening a device. */
export interface NativeCudaInventory {
  /** The driver's library. */
  readonly driver: string;
  /** The newest CUDA that the driver supports, "13.0"; null where there is no driver. */
  readonly version: string | null;
  /** Why there is no device; null where there is one. */
  readonly problem: string | null;
  readonly emulated: boolean;
  readonly devices: readonly {
    readonly id: `cuda:${number}`;
    readonly name: string;
    /** Bytes. */
    readonly memory: number;
    readonly computeCapability: string;
    readonly multiprocessors: number;
    /** Why it cannot be used; null where it can. */
    readonly problem: string | null;
  }[];
  /** How the kernels of this build were made, or why there are none. */
  readonly kernels: string;
  /** Embedded images by file. */
  readonly images: Readonly<Record<string, readonly string[]>>;
}

export interface NativeMixture {
  /** [n, K] */ logits: Float32Array;
  /** [n, K, d] */ means: Float32Array;
  /** [d] or [K, d] */ stds: Float32Array;
  /** [n, auxiliary] */ y: Float32Array;
}

export interface NativeTranslator {
  readonly device: DeviceId;
  readonly parameters: readonly { name: string; shape: number[]; offset: number; size: number }[];
  /** A copy of all parameters, flat, in the order of `parameters`. */
  values(): Float32Array;
  /** The same, made off the JavaScript thread. */
  copyValues(): NativeJob<Float32Array>;
  setValues(values: Float32Array): void;
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
  beta1?: number;
  beta2?: number;
  epsilon?: number;
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
  heldOut(z: Float32Array, c: Float32Array, y: Float32Array | null, n: number): NativeJob<NativeHeldOut>;
  dispose(): void;
}

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
}

/** A TorchScript model in a pipeline. */
export interface NativeTorchSegment {
  model: NativeTorchModel;
  /** Shape of one row. */
  inputShape: readonly number[];
  output: string;
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
   * `onProgress` gets the rows done.
   */
  pairs(
    prior: NativePrior,
    seed: bigint,
    first: number,
    n: number,
    onProgress?: (rows: number) => void,
  ): NativeJob<{ z: Float32Array; outputs: { data: Float32Array; shape: number[] }[] }>;
  dispose(): void;
}

export interface NativeSamplerConfig {
  start: "resample" | "translator" | "mode" | "prior";
  kernel: "none" | "mala" | "langevin" | "hybrid";
  steps: number;
  fidelity?: number;
  priorWeight?: number;
  candidates?: number;
  maxCandidates?: number;
  priorFraction?: number;
  minEss?: number;
  pilotChains?: number;
  stepSize?: number;
  targetAccept?: number;
  maxDrift?: number;
  adapt?: boolean | "pilot";
  pilotSteps?: number;
  /** Of resampling and `steps` steps each. */
  rounds?: number;
  /** Numbers of the one group where there are no `groups`. */
  learningRate?: number;
  momentum?: number;
  noise?: number;
  clip?: number;
  bound?: number;
  groups?: readonly NativeUpdateGroup[];
  weightLearningRate?: number;
  seed: bigint;
}

/** The next `size` dimensions of a latent, and how langevin and hybrid move them. */
export interface NativeUpdateGroup {
  size: number;
  rule: "sgld" | "adam" | "fixed";
  learningRate?: number;
  momentum?: number;
  noise?: number;
  clip?: number;
  bound?: number;
}

export interface NativeSampleRequest {
  objective: NativeObjective;
  translator: NativeTranslator | null;
  /** Where to compute without a translator, whose device it is otherwise. Default the CPU. */
  device?: DeviceId;
  prior: NativePrior;
  config: NativeSamplerConfig;
  /**
   * For a translator with an auxiliary head: where its y lies in the latent, and the deviations [auxiliary] about it of
   * candidates' y, which "resample" needs.
   */
  auxiliary?: { begin: number; stds?: Float32Array | null };
  /** [B, m] */ conditions: Float32Array;
  /** [B, m], the translator's, where they are not the objective's. */ translatorConditions?: Float32Array;
  conditionCount: number;
  /** [B] */ streams: Uint32Array;
  count: number;
  first?: number;
  /** [B·count, d]: stand in for draws of the prior where chains start there. */
  starts?: Float32Array;
  /** Progress carries copies of energies (and of latents where `latents` is true) every `every` steps and at the end. */
  every?: number;
  latents?: boolean;
}

export interface NativeSampleProgress {
  step: number;
  steps: number;
  energies: Float32Array;
  latents?: Float32Array;
}

export interface NativeSampleResult {
  /** [B·count, d] */ latents: Float32Array;
  /** [B·count] */ energies: Float32Array;
  /** [B] */ ess: Float32Array;
  /** [B] */ candidates: Uint32Array;
  /** [B] */ acceptance: Float32Array;
  /** [B] */ stepSizes: Float32Array;
  /** [steps + 1, B] */ trace: Float32Array;
  forwards: number;
  gradients: number;
}

/** Live native objects and bytes: what the leak tests watch. */
export interface NativeCounters {
  sessions: number;
  translators: number;
  trainers: number;
  objectives: number;
  rowMaps: number;
  torchModels: number;
  devices: number;
  jobs: number;
  /** GPUs that are open in this process. They are closed a moment after the last object on them is gone. */
  openGpus: number;
}

export interface NativeBinding {
  /** The path of ONNX Runtime's shared library; opened when the first session is made. */
  setOnnxRuntime(path: string): void;
  onnxRuntimeVersion(): string | null;
  /** The path of the module with libtorch; opened when the first TorchScript model is. */
  setTorchModule(path: string): void;
  torchVersion(): string | null;
  /** Resolves with the version. */
  openOnnxRuntime(): NativeJob<string>;
  openTorch(): NativeJob<string>;
  /** "auto", "cpu", "cuda" or "cuda:N" → the device that is meant. @throws ERR_DEVICE_UNAVAILABLE */
  resolveDevice(device: string): DeviceId;
  cudaInventory(): NativeCudaInventory;
  openDevice(device: DeviceId): NativeJob<NativeDevice>;
  threads(): number;
  setThreads(count: number): void;
  counters(): NativeCounters;
  /** The rules that this process knows whose keys begin so. */
  blockRules(prefix: string): NativeBlockRule[];
  /** Rules that were found elsewhere; what is known already stands. A rule that does not fit its runner is not used. */
  learnBlockRules(rules: readonly NativeBlockRule[]): void;
  /** Test hooks: forgets all rules; and rows that models have been run on by row maps and objectives, probes included. */
  forgetBlockRules(): void;
  rowsRun(): number;
  /** Gives freed memory back to the system where the allocator can. */
  trim(): void;
  /** Whether constants of an ONNX model, at any place in it, have their numbers in other files. */
  hasExternalData(
    source: string | Uint8Array | Owned<Uint8Array>,
    options?: NativeSessionOptions,
  ): NativeJob<boolean>;
  /** Resolves with a session. A model that {@link hasExternalData} is refused: openGraph() of weights.ts opens it. */
  openSession(
    source: string | Uint8Array | Owned<Uint8Array>,
    options?: NativeSessionOptions,
  ): NativeJob<NativeSession>;
  /** Resolves with a model whose shapes have been found by running it. */
  openTorchModel(
    source: string | Uint8Array | Owned<Uint8Array>,
    options?: NativeTorchOptions,
  ): NativeJob<NativeTorchModel>;
  /**
   * Resolves with the model as ONNX Runtime's optimiser leaves it at level "basic", weights included. It writes a file
   * below the system's temporary folder for a moment.
   */
  simplify(
    source: string | Uint8Array | Owned<Uint8Array>,
    options?: Omit<NativeSessionOptions, "threads">,
  ): NativeJob<Uint8Array>;
  createTranslator(
    config: NativeTranslatorConfig,
    seed: bigint,
    device?: DeviceId,
    precision?: "fp32" | "tf32",
  ): NativeTranslator;
  createTrainer(
    translator: NativeTranslator,
    config: NativeTrainerConfig,
    z: Float32Array | Owned<Float32Array>,
    c: Float32Array | Owned<Float32Array>,
    y: Float32Array | Owned<Float32Array> | null,
    n: number,
    objective?: NativeObjective,
  ): NativeTrainer;
  /** Covariance [m, m] of rows [n, m] about their mean, over n − 1. */
  covariance(rows: Float32Array | Owned<Float32Array>, n: number, m: number): NativeJob<Float32Array>;
  createObjective(config: NativeObjectiveConfig): NativeObjective;
  createAugmentedObjective(config: NativeAugmentedObjectiveConfig): NativeObjective;
  /** Test hook: parameters [copies, 11] of a draw, as lib/objective/augment.ts names them. */
  drawAugmentation(
    policy: NativeAugmentation,
    seed: bigint,
    stream: number,
    index: number,
    step: number,
  ): Float32Array;
  createRowMap(config: NativeRowMapConfig): NativeRowMap;
  sample(
    request: NativeSampleRequest,
    onProgress?: (p: NativeSampleProgress) => void,
  ): NativeJob<NativeSampleResult>;
  drawPrior(
    prior: NativePrior,
    seed: bigint,
    stream: number,
    first: number,
    n: number,
    pairs?: boolean,
  ): NativeJob<Float32Array>;
  priorEntropy(prior: NativePrior): number;
  /** The instruction set of the kernels: "avx512", "avx2", "neon" or "portable". */
  instructions(): string;
  /** Operations a second in registers, with all of tr0n's threads, once a run. */
  measureArithmetic(runs: number): NativeJob<Float64Array>;
  /** Bytes read and written a second by a copy of so many bytes. */
  measureCopy(bytes: number, runs: number): NativeJob<Float64Array>;
  /** Operations a second of [m, k]·[n, k]ᵀ, whose result is checked first. */
  measureProduct(m: number, n: number, k: number, runs: number): NativeJob<Float64Array>;
  /** Test hooks: the raw generator. */
  philox(counter: readonly number[], key: readonly number[]): number[];
}

const here = typeof __filename === "string" ? __filename : fileURLToPath(import.meta.url);
const requireHere = createRequire(here);

/** The folder of tr0n's package.json: the nearest above this file, which lies in dist/, or in a room of lib/. */
export const packageRoot = nearestPackage(dirname(here));

function nearestPackage(folder: string): string {
  const above = dirname(folder);
  return above === folder || existsSync(join(folder, "package.json")) ? folder : nearestPackage(above);
}

let binding: NativeBinding | undefined;

/** The addon, loaded at the first call. */
export function native(): NativeBinding {
  if (binding) return binding;
  const candidates = [
    process.env["TR0N_ADDON"],
    join(packageRoot, "build", "Release", "tr0n.node"),
    join(packageRoot, "build", "Debug", "tr0n.node"),
  ].filter((path): path is string => Boolean(path));
  const attempts: string[] = [];
  for (const path of candidates) {
    if (!existsSync(path)) {
      attempts.push(`${path}: not there`);
      continue;
    }
    try {
      binding = requireHere(path) as NativeBinding;
      break;
    } catch (error) {
      attempts.push(`${path}: ${(error as Error).message}`);
    }
  }
  if (!binding)
    throw new Tr0nError(
      "ERR_RUNTIME_MISSING",
      `tr0n's native addon cannot be loaded. Tried:\n  ${attempts.join("\n  ")}\n` +
        `To build it (needs a C++17 compiler and CMake ≥ 3.15): npm rebuild tr0n --foreground-scripts`,
    );
  binding.setOnnxRuntime(onnxRuntimePath());
  binding.setTorchModule(torchModulePath());
  return binding;
}

/** Where onnxruntime-node keeps its shared library; TR0N_ONNXRUNTIME names another. */
function onnxRuntimePath(): string {
  const override = process.env["TR0N_ONNXRUNTIME"];
  if (override) return override;
  const library =
    process.platform === "win32"
      ? "onnxruntime.dll"
      : process.platform === "darwin"
        ? "libonnxruntime.1.dylib"
        : "libonnxruntime.so.1";
  let root: string;
  try {
    root = dirname(requireHere.resolve("onnxruntime-node/package.json"));
  } catch {
    return library; // let the system's loader search; its error says what was tried
  }
  return join(root, "bin", "napi-v6", process.platform, process.arch, library);
}

/** Where `npm run build:torchscript` puts the module; TR0N_TORCHSCRIPT_MODULE names another file. */
export function torchModulePath(): string {
  return (
    process.env["TR0N_TORCHSCRIPT_MODULE"] ?? join(packageRoot, "build", "Release", "tr0n_torchscript.so")
  );
}
