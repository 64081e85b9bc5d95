/**
 * The addon's whole surface, typed. Everything long runs on tr0n's own threads and comes back as a {@link NativeJob};
 * errors carry one of the codes of base/errors.ts.
 */
import type { NativeConfigField } from "./config.js";
import type { DeviceId, NativeInventory, ModelDeviceId, NativeDevice, NativeProviders } from "./devices.js";
import type { NativeSession, NativeSessionOptions, NativeTorchModel, NativeTorchOptions } from "./models.js";
import type { NativeAugmentation, NativeAugmentedObjectiveConfig, NativeBlockRule, NativeLatentSource, NativeObjective, NativeObjectiveConfig, NativeRowMap, NativeRowMapConfig } from "./pipeline.js";
import type { NativePrior } from "./prior.js";
import type { NativeRowFunctions } from "./rows.js";
import type { NativeSampleProgress, NativeSampleRequest, NativeSampleResult } from "./sampling.js";
import type { NativeTrainer, NativeTrainerConfig, NativeTranslator, NativeTranslatorConfig } from "./translator.js";
import type { NativeJob, Owned } from "./values.js";

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
  /** Devices that are open and that only ONNX Runtime knows: WebGPU's. */
  runtimeDevices: number;
}

export interface NativeBinding extends NativeRowFunctions {
  configFields(): NativeConfigField[];
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
  /** By kinds of devices beside the CPU. */
  deviceInventories(): readonly NativeInventory[];
  openDevice(device: DeviceId): NativeJob<NativeDevice>;
  /** Opens ONNX Runtime and the Vulkan loader. */
  modelProviders(): NativeJob<NativeProviders>;
  /** Opens what runs models on a device; resolves with why that does not work, null where it does. */
  tryModelDevice(device: ModelDeviceId): NativeJob<string | null>;
  threads(): number;
  setThreads(count: number): void;
  counters(): NativeCounters;
  /** Bytes of models' values that went between the host and devices since the process began. */
  crossings(): { toDevice: number; toHost: number };
  /**
   * Bytes of what sessions on the CPU have: values and what they made of weights (in use, with what waits to be used again, and
   * the most in use at once), and weights of files. `restart` counts the most anew.
   */
  modelMemory(restart?: boolean): { live: number; held: number; most: number; weights: number };
  /** The rules that this process knows whose keys begin so. */
  blockRules(prefix: string): NativeBlockRule[];
  /** Rules that were found elsewhere; what is known already stands. A rule that does not fit its runner is not used. */
  learnBlockRules(rules: readonly NativeBlockRule[]): void;
  /** Test hooks: forgets all rules; and rows that models have been run on by row maps and objectives, probes included. */
  forgetBlockRules(): void;
  rowsRun(): number;
  /** Gives freed memory back to the system where the allocator can. */
  trim(): void;
  /** Ends jobs and waits a while for what is inside of libraries: nothing runs any more afterwards. For a process that exits. */
  prepareExit(): void;
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
  /** The same, left in a file `into`, which is not there yet. */
  simplify(
    source: Owned<Uint8Array>,
    options: Omit<NativeSessionOptions, "threads"> & { into: string },
  ): NativeJob<null>;
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
  /** `scale` (1) times the covariance [m, m] of rows [n, m] about their mean, over n − 1. */
  covariance(
    rows: Float32Array | Owned<Float32Array>,
    n: number,
    m: number,
    scale?: number,
  ): NativeJob<Float32Array>;
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
    prior: NativeLatentSource,
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
