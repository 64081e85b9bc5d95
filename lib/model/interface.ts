/** The interface of models, the same for both formats. */
import { invalid } from "../base/errors.js";
import { checkTensor, copyTensor, isTensor, type Tensor } from "../base/tensor.js";
import { allowFallbackOption, deviceMemoryOption, deviceOption } from "../native/devices.js";
import type { ModelDeviceId } from "../native/types/devices.js";
import { signal } from "../options/common.js";
import {
  boolean,
  byHand,
  either,
  integer,
  list,
  nothing,
  number,
  object,
  oneOrMore,
  option,
  path,
  record,
  text,
  words,
  type TypeOf,
} from "../options/describe.js";

/** What an input can be fixed to; in a file numbers, or a .npy, .safetensors or JSON file of them. @internal */
export const fixedValue = either(
  number(),
  byHand<Tensor, string | readonly number[]>("Tensor", checkFixed, either(path(), list(number()))),
);

/** A copy: it belongs to the model. */
function checkFixed(name: string, value: unknown): Tensor {
  if (!isTensor(value)) throw invalid(name, "a number or a Tensor", value);
  checkTensor(name, value);
  return copyTensor(value);
}

/** @internal */
export const modelOptions = object({
  format: option(words("onnx", "torchscript"), "format of the file", {
    otherwise: "found out from the content",
  }),
  device: option(deviceOption.shape, "where the model runs, here and in whatever it is joined into", {
    more:
      'For TorchScript "auto" is the CPU, and "cuda:N" a device of a libtorch that was built with CUDA; it does not run on ' +
      "webgpu.",
    otherwise: "by itself the CPU; in a Tr0n an ONNX model runs on that one's device",
  }),
  allowFallback: allowFallbackOption,
  deviceMemory: deviceMemoryOption,
  threads: option(integer({ min: 1, max: 1024 }), "threads for `run` and `vjp` of this model", {
    otherwise: "all that tr0n may use",
  }),
  inputShapes: option(
    record(
      either(integer({ min: 1 }), list(either(integer({ min: 1 }), nothing()), { least: 0 })),
      "an object of shapes by input name, and of sizes by the name of an axis",
    ),
    "sizes of inputs: by input a shape, the batch's size first, null where it stays as it is or any serves; by the name of an " +
      "axis a number",
    {
      more:
        "For an ONNX model that leaves sizes open: { height: 64, width: 64 }, or { image: [null, 3, 64, 64] }. TorchScript " +
        "carries no shapes, nor names of axes; whether its batch is free is found out.",
      otherwise:
        "as an ONNX model declares them; of TorchScript guessed from the model's first operators, and tried",
    },
  ),
  inputs: option(
    record(fixedValue, "an object of values by input name"),
    "inputs that are fixed: a number for all of an input, or its numbers",
    {
      more:
        "{ truncation: 0.7, class: 207, noise: tensor(…) }. They are inputs no longer. A value without an axis for rows, or with one " +
        "row, is every row's. A number fills the whole input.",
      otherwise: "none: all inputs are given in each run",
    },
  ),
  output: option(oneOrMore(text("an output's name")), "the outputs that are used, one or several", {
    more:
      "What only others need is left out, and so are inputs that nothing reads then: CLIP with both towers in a file is an image " +
      'encoder with "image_embeds" and a text encoder with "text_embeds".',
    otherwise: "all",
  }),
  simplify: option(
    boolean(),
    "fold the model by ONNX Runtime's optimiser before it is differentiated, for `vjp` and in pipelines",
    { default: true },
  ),
  allowCode: option(boolean(), "TorchScript: the file is trusted, and its code may do more than compute", {
    more:
      "Else code is held against a list of operators before any of it runs, and ERR_MODEL_CODE names what is not on it. For " +
      "files that you made, or whose maker you would give a program to run for you.",
    default: false,
  }),
  allowRandom: option(
    boolean(),
    "let `vjp` differentiate a model that draws random numbers of its own at every run",
    {
      default: false,
    },
  ),
  straightThrough: option(
    boolean(),
    "take rounding for the identity in the gradient: quantised activations, Round, casts to whole numbers",
    {
      more:
        "The straight-through estimator, as quantisation-aware training has it: the gradient is 0 only where a number is cut off " +
        "by the range of its quantised type. Outputs stay those of the quantised model. Without it a gradient through quantised " +
        "activations is refused. Only for ONNX.",
      default: false,
    },
  ),
  baseDirectory: option(
    path(),
    "for an ONNX model given as bytes: the folder that its external data lies in",
    {
      more: "A model in a file has the file's folder. Only regular files are read whose real path lies below the folder.",
      otherwise: "none, and a model that has any is refused (ERR_MODEL_UNSUPPORTED)",
    },
  ),
  signal,
});

export type ModelOptions = TypeOf<typeof modelOptions>;

/** @internal */
export const runOptions = object({ signal });

export type RunOptions = TypeOf<typeof runOptions>;

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
  /** The device that it was loaded with; null where an ONNX model follows the Tr0n that it is part of. */
  readonly device: ModelDeviceId | null;
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
