/** TorchScript models: libtorch runs them, its autograd differentiates them. */
import { check } from "../options/check.js";
import { ModelError } from "../base/errors.js";
import { Lifetime, runJob } from "../native/job.js";
import { checkVjp } from "./vjp-arguments.js";
import { hashSource, type Source } from "./source.js";
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
  ) {
    this.name = source.name;
    this.inputs = model.inputs.map(publicInfo);
    this.outputs = model.outputs.map(publicInfo);
    this.declaredInputs = model.inputs;
    this.declaredOutputs = model.outputs;
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
      floats(await runJob("run", signal, () => this.model.run(feeds))),
    );
  }

  async vjp(
    inputs: Tensor | Record<string, Tensor>,
    cotangents: Tensor | Record<string, Tensor>,
    options?: RunOptions,
  ): Promise<{ outputs: Record<string, Tensor>; gradients: Record<string, Tensor> }> {
    const { name, lifetime, model } = this;
    // Cotangents are float32 on the way in, whatever the outputs are.
    const outputs = model.outputs.map((output) => ({ ...output, type: "float32" }));
    const values = { name, lifetime, inputs: model.inputs, outputs };
    const { feeds, seeds, signal: ended } = checkVjp(values, inputs, cotangents, options);
    if (!this.inputs.some(({ type }) => type.startsWith("float")))
      throw new ModelError("ERR_NO_GRADIENT", `${this.name}: it has no float input to differentiate`);
    return lifetime.run("vjp", ended, async (signal) => {
      const { outputs, gradients } = await runJob("vjp", signal, () => this.model.vjp(feeds, seeds));
      return { outputs: floats(outputs), gradients: floats(gradients) };
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

  get givenAsBytes(): boolean {
    return typeof this.source.native !== "string";
  }

  /** False: nothing can be joined before a TorchScript model that makes several inputs of one latent. */
  readonly takesSplitLatents = false;

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
    return hashSource(this.source);
  }
}
