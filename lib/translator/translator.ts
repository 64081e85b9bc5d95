/** q(z|c): the trainable part, a thin view of the native class. */
import { checkInteger, checkNumber, checkOptions, checkSeed, checkSignal, shapeText } from "../base/check.js";
import {
  checkDevice,
  computeDeviceOption,
  precisionOption,
  type ComputeDevice,
  type Precision,
} from "../native/devices.js";
import { ArgumentError, FileError, Tr0nError, invalid } from "../base/errors.js";
import { Lifetime, callNative, runJob } from "../native/job.js";
import { native } from "../native/binding.js";
import type { DeviceId } from "../native/types/devices.js";
import type { NativeTranslator } from "../native/types/translator.js";
import { splitTables } from "../latent/description.js";
import {
  checkFinite,
  decodeSafetensors,
  encodeSafetensors,
  findTensor,
  safetensorsParts,
  type Safetensors,
} from "../base/safetensors.js";
import { takeFinite } from "../native/rows.js";
import { checkTensor, type Tensor } from "../base/tensor.js";
import { Trainer, type TrainerOptions } from "./trainer.js";
import { translatorOnnx } from "./onnx-export.js";
import {
  checkParameters,
  logStdShape,
  parameterCount,
  type Stds,
  translatorShape,
  type TranslatorShape,
} from "./shape.js";
import { check } from "../options/check.js";
import { drawnSeed, seedShape } from "../options/common.js";
import { object, option, type TypeOf } from "../options/describe.js";
import { nameInFile, shapeOfTensors } from "./tensors.js";

/** @internal */
export const translatorOptions = object(
  {
    ...translatorShape.form.properties,
    initialLogStd: option(logStdShape, "where the log standard deviations start", {
      more: "0 is right for a prior N(0, I).",
      default: 0,
    }),
    seed: option(seedShape, "decides the first weights", { default: drawnSeed }),
    device: computeDeviceOption,
    precision: precisionOption,
  },
  ...translatorShape.form.rules,
);

export type TranslatorOptions = TypeOf<typeof translatorOptions>;

/** The output of the mixture head for n conditions. */
export interface MixtureTensors {
  /** [n, K], the logits of the mixture's weights; 0 where the translator is deterministic. */
  readonly logits: Tensor;
  /** [n, K, d] */
  readonly means: Tensor;
  /** [d], shared by all components, or [K, d]; 0 where the translator is deterministic. */
  readonly stds: Tensor;
  /** [n, auxiliary]; null without an auxiliary head. */
  readonly y: Tensor | null;
}

/**
 * The translator network: c ∈ R^m → a mixture of K normals in R^d, by default with shared standard deviations.
 *
 *     a₁ = relu(W₁c + b₁);  a₂ = a₁ + relu(W₂a₁ + b₂);  logits, means and y are linear in a₂
 *
 * With `depth` n there are n such residual blocks, called shared2, shared3, … With a `rank` r each component has a code of r
 * numbers, linear in the last block, and means are linear in the code: z_codes and z_basis take the place of z_layer.
 */
export class Translator implements TranslatorShape, Disposable {
  readonly condition!: number;
  readonly latent!: number;
  readonly components!: number;
  readonly hidden!: number;
  readonly depth!: number;
  readonly rank!: number;
  readonly bound!: number;
  readonly auxiliary!: number;
  readonly stds!: Stds;
  readonly deterministic!: boolean;
  /** Where it computes. */
  readonly device: DeviceId;
  readonly precision: Precision;
  private readonly lifetime = new Lifetime("the translator");
  private readonly handle: NativeTranslator;

  /**
   * A GPU is opened by the first call that needs it.
   *
   * @throws ArgumentError; Tr0nError ERR_OUT_OF_MEMORY for a network that is too large, ERR_DEVICE_UNAVAILABLE saying what
   *   was tried. Later calls on a GPU: ERR_OUT_OF_MEMORY, ERR_KERNEL_FAILED, ERR_DEVICE_LOST; the parameters are on the host
   *   as well and can be read and saved all the same
   */
  constructor(options: TranslatorOptions) {
    const { initialLogStd, seed, device, precision, ...shape } = check(translatorOptions, options, {
      name: "options",
    });
    checkParameters(shape);
    Object.assign(this, shape);
    this.precision = precision;
    this.device = checkDevice("device", device);
    this.handle = callNative(() =>
      native().createTranslator(
        { ...shape, componentStds: shape.stds === "component", initialLogStd },
        BigInt(seed),
        this.device,
        this.precision,
      ),
    );
  }

  /** Name and shape of every parameter. Names are those of the paper's PyTorch code; weights of linear layers are [out, in]. */
  get parameters(): readonly { readonly name: string; readonly shape: readonly number[] }[] {
    return this.native.parameters.map(({ name, shape }) => ({ name, shape }));
  }

  /** A copy of all parameters by name. */
  values(): Record<string, Tensor> {
    return this.byName(this.native.values());
  }

  /**
   * Sets all parameters.
   *
   * @throws ArgumentError when one is missing, unknown, misshapen or not finite; nothing is changed then
   */
  setValues(values: Record<string, Tensor>): void {
    const parameters = this.native.parameters;
    if (values === null || typeof values !== "object")
      throw invalid("values", "an object of Tensors by name", values);
    for (const name of Object.keys(values))
      if (!parameters.some((parameter) => parameter.name === name))
        throw new ArgumentError(
          `values: unknown parameter ${JSON.stringify(name)}; known are ${parameters.map((p) => p.name).join(", ")}`,
        );
    const flat = new Float32Array(parameters.reduce((sum, parameter) => sum + parameter.size, 0));
    for (const { name, shape, offset } of parameters) {
      checkTensor(`values.${name}`, values[name] ?? null, { finite: true });
      const given = values[name]!;
      if (given.shape.length !== shape.length || given.shape.some((dim, axis) => dim !== shape[axis]))
        throw new ArgumentError(
          `values.${name}: expected the shape ${shapeText(shape)}, got ${shapeText(given.shape)}`,
          { code: "ERR_SHAPE_MISMATCH" },
        );
      flat.set(given.data, offset);
    }
    callNative(() => this.native.setValues(flat));
  }

  /** The mixture for conditions c [n, m]. */
  async forward(c: Tensor, options?: { signal?: AbortSignal }): Promise<MixtureTensors> {
    const n = this.rows("c", c, this.condition);
    const { components: k, latent: d } = this;
    const mixture = await this.job("forward", options, () => this.native.forward(c.data, n));
    return {
      logits: { data: mixture.logits, shape: [n, k] },
      means: { data: mixture.means, shape: [n, k, d] },
      stds: { data: mixture.stds, shape: this.stds === "component" ? [k, d] : [d] },
      y: this.auxiliary > 0 ? { data: mixture.y, shape: [n, this.auxiliary] } : null,
    };
  }

  /**
   * log q(z_i|c_i) for z [n, d] and c [n, m].
   *
   * @throws ArgumentError where the translator is deterministic: it has no density
   */
  async logProb(z: Tensor, c: Tensor, options?: { signal?: AbortSignal }): Promise<Float64Array> {
    if (this.deterministic)
      throw new ArgumentError(
        "logProb: a deterministic translator has no density; forward() gives its points as `means`",
      );
    const n = this.pairs(z, c);
    return this.job("logProb", options, () => this.native.logDensity(c.data, z.data, n));
  }

  /**
   * Draws [n, count, d] of the mixture: `count` (default 1) for each of the conditions c [n, m]. The `seed` (default
   * random) decides them. A deterministic translator gives the same point each time.
   */
  async sample(
    c: Tensor,
    options?: { count?: number; seed?: number; signal?: AbortSignal },
  ): Promise<Tensor> {
    const o = checkOptions("options", options, ["count", "seed", "signal"]);
    const n = this.rows("c", c, this.condition);
    const count = checkInteger("count", o.count, 1, { min: 1, max: 2 ** 32 - 1 });
    if (n * count * this.latent > 2 ** 31)
      throw new Tr0nError(
        "ERR_OUT_OF_MEMORY",
        `count: expected at most 2^31 numbers in one result, got ${n} × ${count} × ${this.latent}`,
      );
    const seed = checkSeed("seed", o.seed);
    const data = await this.job("sample", { signal: o.signal }, () =>
      this.native.draw(c.data, n, count, BigInt(seed)),
    );
    return { data, shape: [n, count, this.latent] };
  }

  /**
   * The mean loss of pairs, −alpha·log q(z|c) plus the auxiliary mean squared error, and its gradient with respect to
   * every parameter, for a training loop of your own. For a deterministic translator alpha·‖z − means‖²/d takes the place
   * of the negative log-likelihood.
   */
  async loss(
    z: Tensor,
    c: Tensor,
    options?: { y?: Tensor; alpha?: number; signal?: AbortSignal },
  ): Promise<{ loss: number; gradients: Record<string, Tensor> }> {
    const o = checkOptions("options", options, ["y", "alpha", "signal"]);
    const n = this.pairs(z, c);
    const y = this.auxiliaryRows(o.y, n);
    const alpha = checkNumber("alpha", o.alpha, 1, { min: 0 });
    const { loss, gradients } = await this.job("loss", { signal: o.signal }, () =>
      this.native.loss(c.data, z.data, y, n, alpha),
    );
    return { loss, gradients: this.byName(gradients) };
  }

  /** A native training loop over pairs, which runs as many steps at a time as you ask for. */
  trainer(options: TrainerOptions): Trainer {
    return new Trainer(this, options);
  }

  /**
   * The parameters as the bytes of a .safetensors file. What the tensors do not tell (the bound) goes into the metadata. The
   * caller may add `metadata` and `tensors`.
   */
  toSafetensors(metadata: Record<string, string> = {}, tensors: Record<string, Tensor> = {}): Uint8Array {
    return encodeSafetensors(
      new Map(Object.entries({ ...this.byName(this.native.values(), false), ...tensors })),
      this.metadata(metadata),
    );
  }

  /** The same in parts to be written one after the other, made off this thread. For tr0n's own modules. */
  async fileParts(
    metadata: Record<string, string>,
    tensors: Record<string, Tensor>,
    signal?: AbortSignal,
  ): Promise<Uint8Array[]> {
    const values = await runJob("save", signal, () => this.native.copyValues());
    return safetensorsParts(
      new Map(Object.entries({ ...this.byName(values, false), ...tensors })),
      this.metadata(metadata),
    );
  }

  private metadata(others: Record<string, string>): Map<string, string> {
    return new Map([...Object.entries(others), ["tr0n.bound", String(this.bound)]]);
  }

  /**
   * The network as a plain ONNX model (opset 17): c [batch, m] → logits [batch, K], means [batch, K, d], stds [d] or
   * [K, d], and y [batch, auxiliary] where there is that head. A deterministic one has only `means` and y.
   */
  toOnnx(): Uint8Array {
    return translatorOnnx(this, this.byName(this.native.values(), false));
  }

  /**
   * A translator from a file's bytes; the tensors tell its sizes. Weights of the paper's code work as well, those of w-space
   * (w_layer, …) included, once the checkpoint is converted to .safetensors; pass their `bound`, which such files do not tell.
   *
   * @throws FileError ERR_FILE_INVALID for a damaged file or tensors that are no translator's
   */
  static fromSafetensors(
    bytes: Uint8Array,
    options?: { bound?: number; device?: ComputeDevice; precision?: Precision },
  ): Translator {
    const o = checkOptions("options", options, ["bound", "device", "precision"]);
    if (!(bytes instanceof Uint8Array)) throw invalid("bytes", "the bytes of a .safetensors file", bytes);
    const file = decodeSafetensors(bytes, "bytes");
    const stored = file.metadata.get("tr0n.bound");
    const bound = o.bound ?? (stored === undefined ? 0 : Number(stored));
    if (!(Number.isFinite(bound) && bound >= 0))
      throw new FileError("ERR_FILE_INVALID", `bytes: its bound ${JSON.stringify(stored)} is no number ≥ 0`);
    // A file of a Tr0n has tensors of its latent, too.
    const { translator, tensors } = openedFile(splitTables(file).rest, "bytes", bound, o);
    try {
      const flat = new Float32Array(parameterCount(translator));
      for (const { name, data, offset } of tensors) {
        checkFinite(data, name);
        flat.set(data, offset);
      }
      callNative(() => translator.native.setValues(flat));
      return translator;
    } catch (error) {
      translator.dispose();
      throw error;
    }
  }

  /** The addon's object. @throws Tr0nError ERR_DISPOSED */
  get native(): NativeTranslator {
    this.lifetime.check();
    return this.handle;
  }

  /** Cancels running calls and frees the network. Later calls do nothing. */
  dispose(): void {
    if (this.lifetime.dispose()) this.handle.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** n of a tensor [n, columns]; that its numbers are finite, jobs see. */
  private rows(name: string, value: Tensor, columns: number): number {
    checkTensor(name, value);
    if (value.shape.length !== 2 || value.shape[1] !== columns)
      throw new ArgumentError(`${name}: expected the shape [n, ${columns}], got ${shapeText(value.shape)}`, {
        code: "ERR_SHAPE_MISMATCH",
      });
    if (value.shape[0] === 0) throw new ArgumentError(`${name}: expected at least one row, got none`);
    return value.shape[0]!;
  }

  private pairs(z: Tensor, c: Tensor): number {
    const n = this.rows("z", z, this.latent);
    const others = this.rows("c", c, this.condition);
    if (n !== others)
      throw new ArgumentError(`c: expected as many rows as z has (${n}), got ${others}`, {
        code: "ERR_SHAPE_MISMATCH",
      });
    return n;
  }

  private auxiliaryRows(y: Tensor | undefined, n: number): Float32Array | null {
    if (this.auxiliary === 0) {
      if (y !== undefined)
        throw new ArgumentError("y: this translator has no auxiliary head, so expected none");
      return null;
    }
    if (this.rows("y", y as Tensor, this.auxiliary) !== n)
      throw new ArgumentError(`y: expected as many rows as z has (${n}), got ${(y as Tensor).shape[0]}`, {
        code: "ERR_SHAPE_MISMATCH",
      });
    return (y as Tensor).data;
  }

  private job<T>(
    what: string,
    options: { signal?: AbortSignal } | undefined,
    start: () => { promise: Promise<T>; cancel(): void },
  ): Promise<T> {
    const o = checkOptions("options", options, ["signal"]);
    checkSignal("options.signal", o.signal);
    return this.lifetime.run(what, o.signal, (signal) => runJob(what, signal, start));
  }

  /** Parts of `flat` by name: copies, or views of it. */
  private byName(flat: Float32Array, copies = true): Record<string, Tensor> {
    return Object.fromEntries(
      this.native.parameters.map(({ name, shape, offset, size: count }) => [
        name,
        { data: (copies ? flat.slice : flat.subarray).call(flat, offset, offset + count), shape },
      ]),
    );
  }
}

/** A translator of the sizes that a file tells, and where each of the file's tensors goes among its flat values. */
function openedFile(
  file: Safetensors,
  fileName: string,
  bound: number,
  { device, precision }: { device?: ComputeDevice; precision?: Precision },
): { translator: Translator; tensors: { name: string; data: Float32Array; offset: number }[] } {
  const translator = new Translator({ ...shapeOfTensors(file, fileName), bound, seed: 0, device, precision });
  try {
    const parameters = translator.native.parameters.map((p) => ({ ...p, name: nameInFile(file, p.name) }));
    for (const name of file.tensors.keys())
      if (!parameters.some((parameter) => parameter.name === name))
        throw new FileError("ERR_FILE_INVALID", `${fileName}: unexpected tensor ${JSON.stringify(name)}`);
    const tensors = parameters.map(({ name, shape, offset }) => ({
      name: `${fileName}: tensor ${JSON.stringify(name)}`,
      data: findTensor(file, fileName, name, shape),
      offset,
    }));
    return { translator, tensors };
  } catch (error) {
    translator.dispose();
    throw error;
  }
}

/**
 * The translator whose tensors a file holds, whose bytes nobody outside has.
 *
 * @throws FileError ERR_FILE_INVALID; AbortError
 */
export async function translatorFromFile(
  file: Safetensors,
  fileName: string,
  bound: number,
  place: { device?: ComputeDevice; precision?: Precision },
  signal?: AbortSignal,
): Promise<Translator> {
  const { translator, tensors } = openedFile(file, fileName, bound, place);
  try {
    const flat = new Float32Array(parameterCount(translator));
    for (const { name, data, offset } of tensors) await takeFinite(data, name, flat, offset, signal);
    await runJob("load", signal, () => translator.native.assignValues({ owned: flat }));
    return translator;
  } catch (error) {
    translator.dispose();
    throw error;
  }
}
