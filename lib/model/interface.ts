/** The interface of models, the same for both formats. */
import type { Tensor } from "../base/tensor.js";
import type { Device } from "../native/devices.js";

export interface ModelOptions {
  /** Default: found out from the content. */
  format?: "onnx" | "torchscript";
  /** Default "auto". For TorchScript "auto" is the CPU, and "cuda:N" a device of a libtorch that was built with CUDA. */
  device?: Device;
  /** Threads for `run` and `vjp` of this model, 1 … 1024. Default: all that tr0n may use. */
  threads?: number;
  /**
   * Input shapes for TorchScript, which carries none: sizes by input, the batch's first, null where any serves. Whether
   * the batch is free is found out. Default: guessed from the model's first operators, and tried. ONNX models declare
   * their own.
   */
  inputShapes?: Record<string, readonly (number | null)[]>;
  /** Fold the model by ONNX Runtime's optimiser before it is differentiated, for `vjp` and in pipelines. Default true. */
  simplify?: boolean;
  /**
   * TorchScript: the file is trusted, and its code may do more than compute. Default false: code is held against a list
   * of operators before any of it runs, and ERR_MODEL_CODE names what is not on it. For files that you made, or whose
   * maker you would give a program to run for you.
   */
  allowCode?: boolean;
  /** Let `vjp` differentiate a model that draws random numbers of its own at every run. Default false. */
  allowRandom?: boolean;
  /**
   * For an ONNX model given as bytes: the folder that its external data lies in. Default: none, and a model that has any
   * is refused (ERR_MODEL_UNSUPPORTED). A model in a file has the file's folder. Only regular files are read whose real
   * path lies below the folder.
   */
  baseDirectory?: string;
  signal?: AbortSignal;
}

export interface RunOptions {
  signal?: AbortSignal;
}

/** An input or output of a model. */
export interface ValueInfo {
  readonly name: string;
  /** The sizes; null where a size is symbolic. */
  readonly shape: readonly (number | null)[];
  /** "float32", "int64", … */
  readonly type: string;
}

/**
 * A frozen model, from loadModel(). Several calls may run at the same time; none blocks the event loop.
 *
 * All tensors are float32: inputs that the model declares as float64, integer or bool are converted (integer inputs must
 * hold whole numbers), and so are all outputs.
 */
export interface Model extends Disposable {
  readonly format: "onnx" | "torchscript";
  /** The file's path, or what messages call a model without one. */
  readonly name: string;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /**
   * Runs the model: all outputs by name. For a model with one input a single tensor is enough.
   *
   * @throws ArgumentError for missing, unknown or misshapen inputs, ModelError ERR_RUN_FAILED, AbortError
   */
  run(inputs: Tensor | Record<string, Tensor>, options?: RunOptions): Promise<Record<string, Tensor>>;
  /**
   * Runs the model forwards and backwards: all outputs, and the gradients Jᵀ·cotangent with respect to every float32 input
   * (TorchScript: every float input). A cotangent has its output's shape; that of an output without one is zero. For a
   * model with one output a single tensor is enough. The first call differentiates an ONNX model; for TorchScript
   * libtorch's autograd computes the gradient.
   *
   * @throws as run(), and ModelError ERR_NO_GRADIENT naming the operator or output, also where no path with a gradient leads from
   *   any input to a seeded output; ERR_MODEL_UNSUPPORTED for an ONNX model that draws random numbers on the way to a seeded
   *   output; ERR_OUTPUTS_DIFFER at the first call where the differentiated model's outputs are not those of run()
   */
  vjp(
    inputs: Tensor | Record<string, Tensor>,
    cotangents: Tensor | Record<string, Tensor>,
    options?: RunOptions,
  ): Promise<{ outputs: Record<string, Tensor>; gradients: Record<string, Tensor> }>;
  /** SHA-256 of the model's bytes, external data included, in hex. Translator files store it to recognise their models. */
  fingerprint(): Promise<string>;
  /** Cancels running calls, which reject with ERR_DISPOSED, and frees the model. Later calls do nothing. */
  dispose(): void;
}
