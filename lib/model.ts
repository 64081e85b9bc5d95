/** Loading and running the user's models. Both generator and encoder stay frozen. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { reason } from "./atomic-write.js";
import {
  checkBoolean,
  checkChoice,
  checkDevice,
  checkInteger,
  checkOptions,
  checkSignal,
  shapeText,
} from "./check.js";
import type { Device } from "./devices.js";
import { differentiateSimplified } from "./differentiate-model.js";
import { ArgumentError, ModelError, describe, invalid } from "./errors.js";
import { Lifetime, runJob, throwIfAborted } from "./job.js";
import { modelSource, readGraph, type Source } from "./model-source.js";
import { native, type NativeSession, type NativeTensor, type NativeValueInfo } from "./native.js";
import { decodeModel, externalFiles, type Graph } from "./onnx/index.js";
import { checkTensor, elementCount, type Tensor } from "./tensor.js";
import { openGraph } from "./weights.js";

export interface ModelOptions {
  /** Default: found out from the content. TorchScript is not available in this version. */
  format?: "onnx" | "torchscript";
  /** Default "auto". */
  device?: Device;
  /** Threads for `run` and `vjp` of this model, 1 … 1024. Default: all that tr0n may use. */
  threads?: number;
  /** Input shapes for TorchScript, which carries none. ONNX models declare their own. */
  inputShapes?: Record<string, number[]>;
  /** Fold the model by ONNX Runtime's optimiser before it is differentiated for `vjp`. Default true. */
  simplify?: boolean;
  /** Let `vjp` differentiate a model that draws random numbers of its own at every run. Default false. */
  allowRandom?: boolean;
  signal?: AbortSignal;
}

export interface RunOptions {
  signal?: AbortSignal;
}

/** An input or output of a model. */
export interface ValueInfo {
  readonly name: string;
  /** null where symbolic. */
  readonly shape: readonly (number | null)[];
  /** "float32", "int64", … */
  readonly type: string;
}

/**
 * A frozen model. Several calls may run at the same time; none blocks the event loop.
 *
 * Tensors are float32 on this side: inputs that the model declares as float64, integer or bool are converted (integer
 * inputs must hold whole numbers), and all outputs come as float32.
 */
export interface Model extends Disposable {
  readonly format: "onnx" | "torchscript";
  /** The file, or what the model is called in messages. */
  readonly name: string;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /**
   * All outputs by name. A single tensor serves a model with one input.
   *
   * @throws ArgumentError for missing, unknown or misshapen inputs, ModelError ERR_RUN_FAILED, AbortError
   */
  run(inputs: Tensor | Record<string, Tensor>, options?: RunOptions): Promise<Record<string, Tensor>>;
  /**
   * Outputs, and Jᵀ·cotangent with respect to every float32 input. Cotangents have their outputs' shapes; outputs
   * without one count as zero. A single tensor serves a model with one output. The first call differentiates the model.
   *
   * @throws as run(), and ModelError ERR_NO_GRADIENT naming the operator, ERR_MODEL_UNSUPPORTED for a model that draws
   *   random numbers on the way to a seeded output
   */
  vjp(
    inputs: Tensor | Record<string, Tensor>,
    cotangents: Tensor | Record<string, Tensor>,
    options?: RunOptions,
  ): Promise<{ outputs: Record<string, Tensor>; gradients: Record<string, Tensor> }>;
  /** SHA-256 of the model's bytes, external data included, in hex: how files remember their models. */
  fingerprint(): Promise<string>;
  /** Cancels running calls, which reject with ERR_DISPOSED, and frees the model. Later calls do nothing. */
  dispose(): void;
}

/**
 * Loads and checks a model.
 *
 * @param source a path, a file URL, or the model's bytes (copied)
 * @throws ModelError ERR_MODEL_NOT_FOUND, ERR_MODEL_INVALID (empty, truncated, no ONNX, refused by the runtime),
 *   ERR_MODEL_UNSUPPORTED (TorchScript); AbortError; ArgumentError
 */
export async function loadModel(source: string | URL | Uint8Array, options?: ModelOptions): Promise<Model> {
  const o = checkOptions("options", options, [
    "format",
    "device",
    "threads",
    "inputShapes",
    "simplify",
    "allowRandom",
    "signal",
  ]);
  if (o.format !== undefined) checkChoice("options.format", o.format, "onnx", ["onnx", "torchscript"]);
  checkDevice("options.device", o.device);
  const threads = checkInteger("options.threads", o.threads, 0, { min: 1, max: 1024 });
  const simplify = checkBoolean("options.simplify", o.simplify, true);
  const allowRandom = checkBoolean("options.allowRandom", o.allowRandom, false);
  checkSignal("options.signal", o.signal);
  const from = modelSource(source);
  throwIfAborted("loadModel", o.signal);

  const head = await from.head();
  const found = looksLikeZip(head) ? "torchscript" : "onnx";
  if (o.format === "torchscript" || found === "torchscript") {
    if (o.format !== undefined && o.format !== found)
      throw new ModelError(
        "ERR_MODEL_INVALID",
        `${from.name}: expected ${o.format === "onnx" ? "an ONNX model" : "a TorchScript archive"}, got ${
          found === "torchscript" ? "a zip archive (TorchScript?)" : "something that is no zip archive"
        }`,
      );
    throw new ModelError(
      "ERR_MODEL_UNSUPPORTED",
      `${from.name}: this is a TorchScript archive, which needs tr0n's TorchScript module; this version does not have ` +
        `it yet. Export the model to ONNX (torch.onnx.export)`,
    );
  }
  if (o.inputShapes !== undefined)
    throw new ArgumentError(
      "options.inputShapes: only for TorchScript; an ONNX model declares its own shapes",
    );
  if (head.length === 0)
    throw new ModelError("ERR_MODEL_INVALID", `${from.name}: expected an ONNX model, got an empty file`);
  const session = await runJob("loadModel", o.signal, () =>
    native().openSession(from.native, { name: from.name, threads: threads || native().threads() }),
  );
  return new OnnxModel(from, session, threads, { simplify, allowRandom });
}

/** Bytes that are hashed before the event loop has its turn. */
const hashedAtOnce = 1 << 20;

function looksLikeZip(head: Uint8Array): boolean {
  return head[0] === 0x50 && head[1] === 0x4b && (head[2] === 3 || head[2] === 5 || head[2] === 7);
}

/** The ONNX model behind every {@link Model}; the rest of lib uses what the interface does not show. */
export class OnnxModel implements Model {
  readonly format = "onnx";
  readonly name: string;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  private readonly lifetime: Lifetime;
  private readonly gradientSessions = new Map<string, Promise<NativeSession>>();
  private hash: Promise<string> | undefined;

  constructor(
    private readonly source: Source,
    private readonly session: NativeSession,
    /** Threads of a run; 0: all that tr0n may use. */
    private readonly threads: number,
    private readonly options: { readonly simplify: boolean; readonly allowRandom: boolean },
  ) {
    this.name = source.name;
    this.inputs = session.inputs.map(publicInfo);
    this.outputs = session.outputs.map(publicInfo);
    this.lifetime = new Lifetime(`the model ${source.name}`);
  }

  async run(inputs: Tensor | Record<string, Tensor>, options?: RunOptions): Promise<Record<string, Tensor>> {
    const o = checkOptions("options", options, ["signal"]);
    checkSignal("options.signal", o.signal);
    this.lifetime.check();
    const feeds = this.feeds("inputs", inputs, this.session.inputs);
    return this.lifetime.run("run", o.signal, async (signal) =>
      floats(await runJob("run", signal, () => this.session.run(feeds))),
    );
  }

  async vjp(
    inputs: Tensor | Record<string, Tensor>,
    cotangents: Tensor | Record<string, Tensor>,
    options?: RunOptions,
  ): Promise<{ outputs: Record<string, Tensor>; gradients: Record<string, Tensor> }> {
    const o = checkOptions("options", options, ["signal"]);
    checkSignal("options.signal", o.signal);
    this.lifetime.check();
    const feeds = this.feeds("inputs", inputs, this.session.inputs);
    const seeds = this.feeds("cotangents", cotangents, this.session.outputs, true);
    const seeded = Object.keys(seeds);
    if (seeded.length === 0)
      throw new ArgumentError("cotangents: expected at least one output's cotangent, got none");
    for (const name of seeded) feeds[`grad_${name}`] = seeds[name]!;
    return this.lifetime.run("vjp", o.signal, async (signal) => {
      const session = await this.gradientSession(seeded);
      const results = await runJob("vjp", signal, () => session.run(feeds));
      const all = floats(results);
      const outputs: Record<string, Tensor> = {};
      const gradients: Record<string, Tensor> = {};
      for (const { name } of this.outputs) if (all[name]) outputs[name] = all[name];
      // A cotangent with other rows than its output may have been broadcast instead of refused.
      for (const name of seeded) {
        const [got, wanted] = [seeds[name]!.shape, outputs[name]!.shape];
        if (!fits(got, wanted))
          throw new ArgumentError(
            `cotangents.${name}: expected the shape ${shapeText(wanted)} of this output, got ${shapeText(got)}`,
            { code: "ERR_SHAPE_MISMATCH" },
          );
      }
      for (const { name } of this.inputs) if (all[`grad_${name}`]) gradients[name] = all[`grad_${name}`]!;
      return { outputs, gradients };
    });
  }

  fingerprint(): Promise<string> {
    this.lifetime.check();
    this.hash ??= this.computeFingerprint().catch((error: unknown) => {
      this.hash = undefined;
      throw error;
    });
    return this.hash;
  }

  /**
   * The model as a graph, read again from its source. Large weights that lie in other files stay there: openGraph() finds
   * them.
   *
   * @throws ModelError when it cannot be read, has changed since it was loaded, or has over 2 GB in one file
   */
  async graph(signal?: AbortSignal): Promise<Graph> {
    this.lifetime.check();
    return readGraph(this.source, signal);
  }

  /** @throws Tr0nError ERR_DISPOSED */
  checkUsable(): void {
    this.lifetime.check();
  }

  dispose(): void {
    if (!this.lifetime.dispose()) return;
    this.session.dispose();
    for (const session of this.gradientSessions.values())
      session.then(
        (opened) => opened.dispose(),
        () => undefined,
      );
    this.gradientSessions.clear();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** One session for each set of seeded outputs. */
  private gradientSession(seeded: readonly string[]): Promise<NativeSession> {
    const key = JSON.stringify([...seeded].sort());
    let session = this.gradientSessions.get(key);
    if (!session) {
      session = this.openGradientSession(seeded);
      this.gradientSessions.set(key, session);
      session.catch(() => this.gradientSessions.delete(key));
    }
    return session;
  }

  private async openGradientSession(seeded: readonly string[]): Promise<NativeSession> {
    const graph = await this.graph();
    const wrt = this.inputs.filter((input) => input.type === "float32").map((input) => input.name);
    if (wrt.length === 0)
      throw new ModelError("ERR_NO_GRADIENT", `${this.name}: it has no float32 input to differentiate`);
    const { simplify, allowRandom } = this.options;
    const { graph: differentiated } = await differentiateSimplified(
      graph,
      { wrt, outputs: [...seeded], allowRandom },
      { name: this.name, simplify },
    );
    const session = await openGraph(differentiated, {
      name: `${this.name} (gradient)`,
      threads: this.threads || native().threads(),
      what: "vjp",
    });
    if (this.lifetime.disposed) session.dispose();
    this.lifetime.check();
    return session;
  }

  /** Checks tensors against what the session declares and converts them to its types. */
  private feeds(
    what: "inputs" | "cotangents",
    given: Tensor | Record<string, Tensor>,
    declared: readonly NativeValueInfo[],
    partial = false,
  ): Record<string, NativeTensor> {
    if (given === null || typeof given !== "object" || Array.isArray(given) || ArrayBuffer.isView(given))
      throw invalid(what, "a Tensor or an object of Tensors by name", given);
    const side = what === "inputs" ? "input" : "output";
    let named = given as Record<string, Tensor>;
    if (given.data instanceof Float32Array && Array.isArray(given.shape)) {
      if (declared.length !== 1)
        throw new ArgumentError(
          `${what}: expected an object with a Tensor for each of ${declared.map((v) => describe(v.name)).join(", ")}, got a single Tensor`,
        );
      named = { [declared[0]!.name]: given as Tensor };
    }
    const feeds: Record<string, NativeTensor> = {};
    for (const name of Object.keys(named))
      if (!declared.some((value) => value.name === name))
        throw new ArgumentError(
          `${what}: ${this.name} has no ${side} ${describe(name)}; it has ${declared.map((v) => describe(v.name)).join(", ")}`,
        );
    for (const value of declared) {
      const tensor = named[value.name];
      if (tensor === undefined) {
        if (partial) continue;
        throw new ArgumentError(`${what}: expected a Tensor for ${describe(value.name)}, got none`);
      }
      const label = `${what}.${value.name}`;
      checkTensor(label, tensor);
      if (!fits(tensor.shape, value.shape))
        throw new ArgumentError(
          `${label}: expected the shape ${shapeText(value.shape)}, got ${shapeText(tensor.shape)}`,
          { code: "ERR_SHAPE_MISMATCH" },
        );
      if (elementCount(tensor.shape) === 0)
        throw new ArgumentError(`${label}: expected at least one row, got none`);
      feeds[value.name] = converted(label, tensor, value.type);
    }
    return feeds;
  }

  private async computeFingerprint(): Promise<string> {
    const hash = createHash("sha256");
    if (this.source.folder === null) {
      const bytes = await this.source.bytes();
      for (let at = 0; at < bytes.length; at += hashedAtOnce) {
        hash.update(bytes.subarray(at, at + hashedAtOnce));
        await new Promise((resolve) => setImmediate(resolve));
      }
      return hash.digest("hex");
    }
    const files = [this.source.native as string];
    for (const file of externalFiles(decodeModel(await this.source.bytes(), this.name)).sort())
      files.push(join(this.source.folder, file));
    for (const file of files) {
      try {
        for await (const chunk of createReadStream(file, { highWaterMark: hashedAtOnce }))
          hash.update(chunk as Buffer);
      } catch (error) {
        throw new ModelError("ERR_MODEL_NOT_FOUND", `${file}: cannot be read: ${reason(error)}`, {
          cause: error,
        });
      }
    }
    return hash.digest("hex");
  }
}

/**
 * The model behind the interface.
 *
 * @throws ArgumentError when `value` did not come from loadModel, Tr0nError ERR_DISPOSED
 */
export function onnxModel(name: string, value: unknown): OnnxModel {
  if (!(value instanceof OnnxModel)) throw invalid(name, "a Model from loadModel()", value);
  value.checkUsable();
  return value;
}

function publicInfo(value: NativeValueInfo): ValueInfo {
  return Object.freeze({ name: value.name, shape: Object.freeze([...value.shape]), type: value.type });
}

/** Whether a shape fits a declared one, null being any size. */
export function fits(shape: readonly (number | null)[], declared: readonly (number | null)[]): boolean {
  return (
    shape.length === declared.length &&
    shape.every((dim, axis) => dim === null || declared[axis] === null || dim === declared[axis])
  );
}

function converted(name: string, tensor: Tensor, type: string): NativeTensor {
  const { data, shape } = tensor;
  const whole = (low: number, high: number): void => {
    for (let i = 0; i < data.length; i++)
      if (!Number.isInteger(data[i]!) || data[i]! < low || data[i]! > high)
        throw new ArgumentError(
          `${name}: the model declares ${type}, so expected whole numbers of ${low} … ${high}, got ${data[i]} at index ${i}`,
        );
  };
  switch (type) {
    case "float32":
      return tensor;
    case "float64":
      return { data: Float64Array.from(data), shape };
    case "int64":
      whole(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
      return { data: BigInt64Array.from(data, (value) => BigInt(value)), shape };
    case "int32":
      whole(-(2 ** 31), 2 ** 31 - 1);
      return { data: Int32Array.from(data), shape };
    case "uint8":
      whole(0, 255);
      return { data: Uint8Array.from(data), shape };
    case "bool":
      return { data: Uint8Array.from(data, (value) => (value !== 0 ? 1 : 0)), shape };
    default:
      throw new ModelError(
        "ERR_MODEL_UNSUPPORTED",
        `${name}: the model declares the type ${type}, which tr0n cannot feed; float32, float64, int64, int32, uint8 and bool work`,
      );
  }
}

/** Outputs as float32 tensors. */
function floats(results: Record<string, NativeTensor>): Record<string, Tensor> {
  const out: Record<string, Tensor> = {};
  for (const [name, { data, shape }] of Object.entries(results))
    out[name] = {
      data:
        data instanceof Float32Array
          ? data
          : data instanceof BigInt64Array
            ? Float32Array.from(data, Number)
            : Float32Array.from(data),
      shape,
    };
  return out;
}
