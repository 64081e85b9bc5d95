/**
 * Every error a user can cause is a {@link Tr0nError} with a stable `code`. The message names the argument or
 * file, what was expected and what came.
 */

/** The stable codes of errors. Adding one is a minor change, renaming one a breaking change. */
export type Tr0nErrorCode =
  | "ERR_INVALID_ARGUMENT" // a value of the wrong type, range or shape
  | "ERR_SHAPE_MISMATCH" // two things that must fit do not: latent and generator, images and encoder
  | "ERR_MODEL_NOT_FOUND" // the file does not exist or cannot be read
  | "ERR_MODEL_INVALID" // truncated, not a model, or refused by the runtime
  | "ERR_MODEL_UNSUPPORTED" // a valid model that this build cannot run
  | "ERR_MODEL_CODE" // TorchScript whose code may do more than compute, without allowCode
  | "ERR_NO_GRADIENT" // an operator without a differentiation rule lies on the gradient's path, or what does has no gradient
  | "ERR_RUN_FAILED" // the runtime failed while it ran a model
  | "ERR_OUTPUTS_DIFFER" // a model's outputs in a pipeline or a gradient are not those of its run()
  | "ERR_RUNTIME_MISSING" // the addon, ONNX Runtime or libtorch cannot be loaded
  | "ERR_DEVICE_UNAVAILABLE" // the device asked for is not there
  | "ERR_DEVICE_FALLBACK" // much of a model would run on the CPU, or not at all, on the device it is opened on
  | "ERR_KERNEL_FAILED" // a kernel on a GPU did what the GPU does not allow; the device is lost with it
  | "ERR_DEVICE_LOST" // a GPU failed: what lives on it can only be disposed of
  | "ERR_NOT_TRAINED" // sample() before train() or load()
  | "ERR_DIVERGED" // a sampler's or training's numbers are not finite
  | "ERR_FILE_INVALID" // a damaged translator, pairs or checkpoint file
  | "ERR_FILE_MISMATCH" // a sound file that belongs to other models or settings
  | "ERR_IO" // reading or writing failed: permissions, full disk
  | "ERR_OUT_OF_MEMORY" // an allocation failed, or a request that cannot fit
  | "ERR_ABORTED" // the caller's AbortSignal fired
  | "ERR_DISPOSED" // use after dispose()
  | "ERR_INTERNAL"; // a defect in tr0n: please report it

export class Tr0nError extends Error {
  readonly code: Tr0nErrorCode;
  constructor(code: Tr0nErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** A value that the caller passed is wrong by itself or does not fit the others. */
export class ArgumentError extends Tr0nError {
  constructor(
    message: string,
    options?: { cause?: unknown; code?: "ERR_INVALID_ARGUMENT" | "ERR_SHAPE_MISMATCH" },
  ) {
    super(options?.code ?? "ERR_INVALID_ARGUMENT", message, options);
  }
}

/** A model cannot be found, read, run or differentiated. */
export class ModelError extends Tr0nError {
  constructor(
    code:
      | "ERR_MODEL_NOT_FOUND"
      | "ERR_MODEL_INVALID"
      | "ERR_MODEL_UNSUPPORTED"
      | "ERR_MODEL_CODE"
      | "ERR_NO_GRADIENT"
      | "ERR_RUN_FAILED"
      | "ERR_OUTPUTS_DIFFER"
      | "ERR_DEVICE_FALLBACK",
    message: string,
    options?: { cause?: unknown },
  ) {
    super(code, message, options);
  }
}

/** A file of tr0n's own (translator, pairs, checkpoint) or its folder is damaged, foreign or cannot be written. */
export class FileError extends Tr0nError {
  constructor(
    code: "ERR_FILE_INVALID" | "ERR_FILE_MISMATCH" | "ERR_IO",
    message: string,
    options?: { cause?: unknown },
  ) {
    super(code, message, options);
  }
}

/** A sampler's energies or latents are not finite: ERR_DIVERGED. */
export class DivergenceError extends Tr0nError {
  /** Mean energy of the condition's chains at the start and after each step, and last the energy of the chain that diverged. */
  declare readonly trace: Float32Array;
  constructor(message: string, trace: Float32Array, options?: { cause?: unknown }) {
    super("ERR_DIVERGED", message, options);
    // Not enumerable: whoever prints the error wants its message, not these numbers.
    Object.defineProperty(this, "trace", { value: trace });
  }
}

/** The caller's AbortSignal fired; `cause` is the signal's reason. */
export class AbortError extends Tr0nError {
  constructor(what: string, options?: { cause?: unknown }) {
    super("ERR_ABORTED", `${what} was aborted`, options);
    this.name = "AbortError";
  }
}

/** A short, safe description of a value for an error message. */
export function describe(value: unknown): string {
  if (value === null) return "null";
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}…` : value);
  if (typeof value === "function") return `a function`;
  if (Array.isArray(value)) return `an array of length ${value.length}`;
  if (ArrayBuffer.isView(value))
    return `a ${value.constructor.name} of length ${(value as Uint8Array).length}`;
  if (typeof value === "object")
    return `an object${value.constructor?.name ? ` (${value.constructor.name})` : ""}`;
  return String(value);
}

/** The one builder of argument errors: "name: expected X, got Y". */
export function invalid(name: string, expected: string, got: unknown): ArgumentError {
  return new ArgumentError(`${name}: expected ${expected}, got ${describe(got)}`);
}
