/** Loading and running the user's models. Both generator and encoder stay frozen. */
import { check } from "../options/check.js";
import { deviceError, type Device } from "../native/devices.js";
import { placement, requireForModels } from "../native/placement.js";
import type { ModelDeviceId } from "../native/types/devices.js";
import { ArgumentError, ModelError, Tr0nError, invalid } from "../base/errors.js";
import { runJob, throwIfAborted } from "../native/job.js";
import type { Adaptation } from "./adaptation.js";
import { formatOf, modelSource, openSource } from "./source.js";
import { native } from "../native/binding.js";
import { modelOptions, type Model, type ModelOptions } from "./interface.js";
import { OnnxModel } from "./onnx-model.js";
import { TorchModel } from "./torch-model.js";

export { fits } from "./values.js";
export { OnnxModel, TorchModel };

/**
 * Loads and checks an ONNX or TorchScript model. A TorchScript model is run a few times on zeros to find its shapes.
 *
 * @param source a path, a file URL, or the model's bytes: they are copied at once, which holds the event loop where they
 *   are hundreds of megabytes; a path does not
 * @throws ModelError ERR_MODEL_NOT_FOUND, ERR_MODEL_INVALID (empty, truncated, neither format, refused by the runtime),
 *   ERR_MODEL_CODE (TorchScript with operators that do more than compute, without `allowCode`),
 *   ERR_MODEL_UNSUPPORTED (operators the runtime does not have; TorchScript without tensor outputs; ONNX
 *   that nests too deeply or makes values larger than the memory there is),
 *   ERR_RUN_FAILED (TorchScript that fails on every shape that was tried); Tr0nError ERR_RUNTIME_MISSING; AbortError;
 *   ArgumentError
 */
export async function loadModel(source: string | URL | Uint8Array, options?: ModelOptions): Promise<Model> {
  const o = check(modelOptions, options, { name: "options", prefix: "options." });
  const { threads = 0, simplify, allowRandom, straightThrough, allowCode, allowFallback, deviceMemory } = o;
  const from = modelSource(source, o.baseDirectory);
  throwIfAborted("loadModel", o.signal);

  const found = await formatOf(from);
  if (o.format !== undefined && o.format !== found)
    throw new ModelError(
      "ERR_MODEL_INVALID",
      `${from.name}: expected ${o.format === "onnx" ? "an ONNX model" : "a TorchScript archive"}, got ${
        found === "torchscript" ? "a zip archive (TorchScript?)" : "something that is no zip archive"
      }`,
    );
  const open = { name: from.name, threads: threads || native().threads() };
  if (found === "torchscript") {
    const device = torchDevice("options.device", o.device);
    for (const option of [
      "simplify",
      "allowRandom",
      "straightThrough",
      "allowFallback",
      "deviceMemory",
    ] as const)
      if (options?.[option] !== undefined)
        throw new ArgumentError(`options.${option}: only for ONNX; libtorch differentiates TorchScript`);
    if (o.baseDirectory !== undefined)
      throw new ArgumentError(
        "options.baseDirectory: only for ONNX; a TorchScript archive holds all weights",
      );
    const outputs = typeof o.output === "string" ? [o.output] : o.output;
    const inputShapes = o.inputShapes && shapesByInput(from.name, o.inputShapes);
    const model = await runJob("loadModel", o.signal, () =>
      native().openTorchModel(from.native, {
        ...open,
        ...(inputShapes ? { inputShapes } : {}),
        ...(o.inputs ? { inputs: o.inputs } : {}),
        ...(device === null ? {} : { cudaDevice: device }),
        allowCode,
      }),
    );
    return new TorchModel(from, model, device === null ? "cpu" : `cuda:${device}`, o.inputs, outputs);
  }
  if (allowCode)
    throw new ArgumentError("options.allowCode: only for TorchScript; an ONNX model has no code to allow");
  const adaptation: Adaptation = {
    ...(o.output === undefined ? {} : { outputs: typeof o.output === "string" ? [o.output] : o.output }),
    ...(o.inputs && Object.keys(o.inputs).length > 0 ? { inputs: o.inputs } : {}),
    ...(o.inputShapes && Object.keys(o.inputShapes).length > 0 ? { inputShapes: o.inputShapes } : {}),
  };
  const device = await onnxDevice("options.device", o.device, o.signal);
  try {
    const place = { device: device ?? "cpu", allowFallback, deviceMemory };
    const opened = await openSource(from, adaptation, {
      ...open,
      what: "loadModel",
      signal: o.signal,
      place,
    });
    return new OnnxModel(from, opened, threads, {
      simplify,
      allowRandom,
      straightThrough,
      device,
      allowFallback,
      deviceMemory,
    });
  } catch (error) {
    throw deviceError("options.device", error);
  }
}

/** Of TorchScript, which names no axes. @throws ArgumentError */
function shapesByInput(
  name: string,
  shapes: NonNullable<ModelOptions["inputShapes"]>,
): Record<string, readonly (number | null)[]> {
  return Object.fromEntries(
    Object.entries(shapes).map(([key, shape]) => {
      if (typeof shape === "number")
        throw new ArgumentError(
          `options.inputShapes.${key}: expected the shape of an input, such as [null, 3, 64, 64], got ${shape}: ${name} is TorchScript, ` +
            "which has no names of axes",
        );
      return [key, shape];
    }),
  );
}

/** The device that the option means; null where it says nothing. @throws Tr0nError ERR_DEVICE_UNAVAILABLE */
async function onnxDevice(
  name: string,
  device: Device | undefined,
  signal: AbortSignal | undefined,
): Promise<ModelDeviceId | null> {
  if (device === undefined) return null;
  const place = await placement(name, device, signal);
  requireForModels(name, place);
  return place.models;
}

/** The number of a CUDA device of libtorch's, which knows what it has; null for the CPU. */
function torchDevice(name: string, device: Device | undefined): number | null {
  if (device === "webgpu")
    throw new Tr0nError(
      "ERR_DEVICE_UNAVAILABLE",
      `${name}: TorchScript does not run on "webgpu", only on the CPU and on CUDA; export the model to ONNX for that`,
    );
  const cuda = device === undefined ? null : /^cuda(?::(\d{1,2}))?$/.exec(device);
  return cuda ? Number(cuda[1] ?? 0) : null;
}

/** What can be said for several models at once, and the format that it means something to. */
const shared = { allowCode: "torchscript", straightThrough: "onnx" } as const;
type SharedModelOptions = { readonly [K in keyof typeof shared]?: boolean | undefined };

/** Loads several models, each with those of the {@link SharedModelOptions} that are for its format. */
export class ModelsLoader {
  private readonly wanted: readonly (keyof typeof shared)[];
  private readonly formats = new Set<string>();

  constructor(options: SharedModelOptions) {
    this.wanted = (Object.keys(shared) as (keyof typeof shared)[]).filter((name) => options[name]);
  }

  /** What was asked for and meant nothing to any model so far. */
  get unused(): readonly (keyof typeof shared)[] {
    return this.wanted.filter((name) => !this.formats.has(shared[name]));
  }

  /** @throws what loadModel throws */
  async load(source: string, options: ModelOptions): Promise<Model> {
    if (this.wanted.length === 0) return loadModel(source, options);
    const from = modelSource(source);
    const format = await formatOf(from);
    this.formats.add(format);
    const own = this.wanted.filter((name) => shared[name] === format).map((name) => [name, true]);
    return loadModel(source, { ...options, ...Object.fromEntries(own) });
  }
}

/** A model of either format, with what {@link Model} does not show. */
export type LoadedModel = OnnxModel | TorchModel;

/**
 * The model behind the interface.
 *
 * @throws ArgumentError when `value` did not come from loadModel, Tr0nError ERR_DISPOSED
 */
export function loadedModel(name: string, value: unknown): LoadedModel {
  if (!(value instanceof OnnxModel || value instanceof TorchModel))
    throw invalid(name, "a Model from loadModel()", value);
  value.checkUsable();
  return value;
}
