/** Models as the addon opens them: sessions of ONNX Runtime, TorchScript in libtorch. */
import type { ModelDeviceId } from "./devices.js";
import type { NativeInput, NativeJob, NativeTensor, NativeValueInfo } from "./values.js";

export interface NativeSessionOptions {
  /** ONNX Runtime's intra-op threads. */
  threads?: number;
  /** A name for error messages: the file, or what the graph is for. */
  name?: string;
  /** What the model's file must be, as lib/base/file-state.ts says it. */
  state?: string;
  /** Inputs of the model's bytes that are constants in files: read once, and shared by all sessions on the same files. */
  weights?: readonly NativeFileWeight[];
  /** Where it runs: "cpu", "cuda:N" or "webgpu". Default "cpu". @throws ERR_DEVICE_UNAVAILABLE */
  device?: ModelDeviceId;
  /** Whether a GPU may round the factors of products for its tensor cores. Default false. */
  tf32?: boolean;
  /** Bytes of a CUDA device that values of runs may take. Default: all there are. */
  deviceMemory?: number;
  /** Whether matrices are rearranged for the kernels of products when the session opens. Default true. */
  packWeights?: boolean;
  /** Whether what follows from weights alone is computed when the session opens; else only where it is small. Default true. */
  foldWeights?: boolean;
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
  /** Whether it stays in memory for other sessions once this one has it in another form. Default true. */
  readonly shared?: boolean;
}

export interface NativeTorchOptions {
  /** Threads of a run. */
  threads?: number;
  /** A name for error messages. */
  name?: string;
  /** Shapes by input, batch axis included; null where any size serves. */
  inputShapes?: Record<string, readonly (number | null)[]>;
  /** Inputs that are constants: a number for all of an input, or float32 numbers. */
  inputs?: Record<string, number | NativeInput>;
  /** A CUDA device by libtorch's number. Default: the CPU. */
  cudaDevice?: number;
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

interface NativeAssignedNode {
  /** As the runtime calls it: "CPUExecutionProvider". */
  readonly provider: string;
  readonly name: string;
  readonly domain: string;
  readonly opType: string;
}

/** An ONNX Runtime session. Reference counted: dispose() waits for no one, running jobs finish first. */
export interface NativeSession {
  readonly inputs: readonly NativeValueInfo[];
  readonly outputs: readonly NativeValueInfo[];
  run(
    inputs: Record<string, NativeInput>,
    outputs?: readonly string[],
  ): NativeJob<Record<string, NativeTensor>>;
  /** Which of the runtime's providers got which nodes; null on the CPU, or where the runtime does not tell. */
  assigned(): readonly NativeAssignedNode[] | null;
  dispose(): void;
}
