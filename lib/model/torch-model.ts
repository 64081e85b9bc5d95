/** TorchScript models: libtorch runs them, its autograd differentiates them. */
import { check } from "../options/check.js";
import { ArgumentError, ModelError } from "../base/errors.js";
import { Lifetime, runJob } from "../native/job.js";
import { checkVjp } from "./vjp-arguments.js";
import { functionChange } from "./adaptation.js";
import type { FixedValue } from "../onnx/index.js";
import { hashSource, type OpenedSource, type Source } from "./source.js";
import { feed, floats, publicInfo } from "./values.js";
import { runOptions, type Model, type RunOptions, type ValueInfo } from "./interface.js";
import type { DeviceId } from "../native/types/devices.js";
import type { NativeTorchModel } from "../native/types/models.js";
import type { NativeValueInfo } from "../native/types/values.js";
import type { OutputFacts } from "./output-facts.js";
import type { Tensor } from "../base/tensor.js";
import { outputFacts, parseSummary, type TorchSummary } from "./torch-summary.js";

/** A TorchScript model in libtorch; the rest of lib uses what {@link Model} does not show. */
export class TorchModel implements Model {
  readonly format = "torchscript";
  readonly name: string;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly declaredInputs: readonly NativeValueInfo[];
  readonly declaredOutputs: readonly NativeValueInfo[];
  /** What the model's code says. */
  readonly summary: TorchSummary;
  private readonly lifetime: Lifetime;
  private hash: Promise<string> | undefined;

  constructor(
    private readonly source: Source,
    private readonly model: NativeTorchModel,
    readonly device: DeviceId = "cpu",
    /** Inputs that are constants; the model has them. */
    private readonly fixed: Readonly<Record<string, FixedValue>> = {},
    /** The outputs that are used; default: all. */
    used?: readonly string[],
  ) {
    for (const output of used ?? [])
      if (!model.outputs.some(({ name }) => name === output))
        throw new ArgumentError(
          `options.output: ${source.name} has no output ${JSON.stringify(output)}; it has ` +
            model.outputs.map(({ name }) => JSON.stringify(name)).join(", "),
        );
    this.name = source.name;
    this.inputs = model.inputs.map(publicInfo);
    this.declaredInputs = model.inputs;
    this.declaredOutputs = model.outputs.filter(({ name }) => used?.includes(name) ?? true);
    this.outputs = this.declaredOutputs.map(publicInfo);
    this.summary = parseSummary(model.summary);
    this.lifetime = new Lifetime(`the model ${source.name}`);
  }

  /**
   * What native objectives take. It lives as long as anything native uses it, and is disposed of with this model.
   *
   * @throws Tr0nError ERR_DISPOSED
   */
  get native(): NativeTorchModel {
    this.lifetime.check();
    return this.model;
  }

  async run(inputs: Tensor | Record<string, Tensor>, options?: RunOptions): Promise<Record<string, Tensor>> {
    const o = check(runOptions, options, { name: "options", prefix: "options." });
    this.lifetime.check();
    const feeds = feed(this.name, "inputs", inputs, this.model.inputs);
    return this.lifetime.run("run", o.signal, async (signal) =>
      this.used(floats(await runJob("run", signal, () => this.model.run(feeds)))),
    );
  }

  async vjp(
    inputs: Tensor | Record<string, Tensor>,
    cotangents: Tensor | Record<string, Tensor>,
    options?: RunOptions,
  ): Promise<{ outputs: Record<string, Tensor>; gradients: Record<string, Tensor> }> {
    const { name, lifetime, model } = this;
    // Cotangents are float32 on the way in, whatever the outputs are.
    const outputs = this.declaredOutputs.map((output) => ({ ...output, type: "float32" }));
    const values = { name, lifetime, inputs: model.inputs, outputs };
    const { feeds, seeds, signal: ended } = checkVjp(values, inputs, cotangents, options);
    if (!this.inputs.some(({ type }) => type.startsWith("float")))
      throw new ModelError("ERR_NO_GRADIENT", `${this.name}: it has no float input to differentiate`);
    return lifetime.run("vjp", ended, async (signal) => {
      const { outputs, gradients } = await runJob("vjp", signal, () => this.model.vjp(feeds, seeds));
      return { outputs: this.used(floats(outputs)), gradients: floats(gradients) };
    });
  }

  private used(outputs: Record<string, Tensor>): Record<string, Tensor> {
    return Object.fromEntries(this.outputs.map(({ name }) => [name, outputs[name]!]));
  }

  fingerprint(): Promise<string> {
    this.lifetime.check();
    this.hash ??= this.computeFingerprint().catch((error: unknown) => {
      this.hash = undefined;
      throw error;
    });
    return this.hash;
  }

  get givenAsBytes(): boolean {
    return typeof this.source.native !== "string";
  }

  /** What was done to it that nobody asked for. */
  get decided(): OpenedSource["decided"] {
    const { widened } = this.summary;
    return widened > 0
      ? [
          {
            value: "run in float32",
            reason: `${widened} of the tensors of ${this.name} are in half precision, for which libtorch has hardly any operators on the CPU`,
            certain: true,
          },
        ]
      : [];
  }

  /** libtorch is given whole numbers as the model declares them: there is no other view of it. */
  withFloatEdges(): TorchModel {
    return this;
  }

  /** Its code does not tell. */
  async classCounts(): Promise<ReadonlyMap<string, number>> {
    return new Map();
  }

  async facts(output: string): Promise<OutputFacts> {
    return outputFacts(this.summary, output);
  }

  /**
   * The model with one output "columns" [n, F + K]: features, then `output`, each row flat. Features are another output,
   * or by default what the last linear layer before `output` reads. The caller disposes of it.
   *
   * @throws ArgumentError for an output that there is not, ModelError ERR_MODEL_UNSUPPORTED where there is no such layer
   */
  withFeatures(output: string, features?: string, signal?: AbortSignal): Promise<NativeTorchModel> {
    return runJob("evaluate", signal, () => this.native.withFeatures(output, features ?? null));
  }

  /** @throws Tr0nError ERR_DISPOSED */
  checkUsable(): void {
    this.lifetime.check();
  }

  dispose(): void {
    if (this.lifetime.dispose()) this.model.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  private async computeFingerprint(): Promise<string> {
    const inputs = Object.keys(this.fixed).length > 0 ? { inputs: this.fixed } : {};
    const all = this.outputs.length === this.model.outputs.length;
    const outputs = all ? {} : { outputs: this.outputs.map(({ name }) => name) };
    return hashSource(this.source, [], functionChange({ ...inputs, ...outputs }));
  }
}
