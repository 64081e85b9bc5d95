/** ONNX models: one session to run, one for each set of seeded outputs to differentiate. */
import { shapeText } from "../base/check.js";
import { check } from "../options/check.js";
import { differentiateSimplified } from "./differentiate.js";
import { ArgumentError, ModelError } from "../base/errors.js";
import { modelBarrier } from "./gradient-barrier.js";
import { chosenRows, endsLinear, lastOperator, randomOperator } from "../onnx/queries.js";
import { checkVjp } from "./vjp-arguments.js";
import { Lifetime, abortable, runJob } from "../native/job.js";
import { functionChange, joinAdaptations, type Adaptation } from "./adaptation.js";
import { hashSource, openSource, readGraphInPlace, type OpenedSource, type Source } from "./source.js";
import { batchFirstInfo, feed, fits, floats, kept, publicInfo, rounded } from "./values.js";
import { runOptions, type Model, type RunOptions, type ValueInfo } from "./interface.js";
import { moveAxis } from "./move-axis.js";
import { native } from "../native/binding.js";
import type { ModelDeviceId } from "../native/types/devices.js";
import type { NativeSession } from "../native/types/models.js";
import type { NativeTensor, NativeValueInfo } from "../native/types/values.js";
import {
  batchFirstGraph,
  externalFiles,
  floatEdgesGraph,
  inputScaling,
  keepOutputs,
  randomNodes,
  roundsCoarsely,
  targetOf,
  valueBounds,
  wholeRanges,
  type BatchAxes,
  type Graph,
} from "../onnx/index.js";
import type { OutputFacts } from "./output-facts.js";
import { checkSame, nudged } from "./output-guard.js";
import { countedFlops } from "./row-facts.js";
import { outlineOf } from "./outline.js";
import type { Tensor } from "../base/tensor.js";
import { Scratch } from "./scratch.js";
import { openGraph } from "./weights.js";

/** A differentiated model. */
interface GradientSession {
  readonly session: NativeSession;
  /** The outputs that must be those of a run: all but those that depend on random numbers. */
  readonly comparable: readonly string[];
  /** What the model by itself gave on the inputs that it was opened for; null once it has been compared. */
  first: {
    readonly inputs: Record<string, NativeTensor>;
    readonly outputs: Record<string, Tensor>;
  } | null;
  readonly coarse: boolean;
  readonly simplified: boolean;
  /** Whether they have been compared, and are the same. */
  checked: boolean;
  /** How they differ. */
  differs?: ModelError;
}

/** Another shape of a model that is there. */
interface ModelView {
  readonly of: OnnxModel;
  readonly axes?: BatchAxes;
  /** Whole numbers are float32 outside. */
  readonly rounds?: boolean;
}

/** An ONNX model in ONNX Runtime; the rest of lib uses what {@link Model} does not show. */
export class OnnxModel implements Model {
  readonly format = "onnx";
  readonly name: string;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  private readonly lifetime: Lifetime;
  /** What inputs and outputs are declared as, the names of their axes included. */
  readonly declaredInputs: readonly NativeValueInfo[];
  readonly declaredOutputs: readonly NativeValueInfo[];
  /** The inputs as the session takes them, but for their axes. */
  private readonly fed: readonly NativeValueInfo[];
  private readonly gradientSessions: Map<string, Promise<GradientSession>>;
  private hash: Promise<string> | undefined;
  /** Made by {@link adapted}, by what was asked for; they end with this one. */
  private readonly adaptations = new Map<string, Promise<OnnxModel>>();

  constructor(
    private readonly source: Source,
    private readonly opened: OpenedSource,
    /** Threads of a run; 0: all that tr0n may use. */
    private readonly threads: number,
    private readonly options: {
      readonly simplify: boolean;
      readonly allowRandom: boolean;
      /** Rounding is the identity in its gradient. */
      readonly straightThrough: boolean;
      readonly device: ModelDeviceId | null;
      /** Accept heavy nodes on the CPU. */
      readonly allowFallback: boolean;
      readonly deviceMemory: number | undefined;
    },
    /** For {@link withBatchFirst} and {@link withFloatEdges}. */
    private readonly view?: ModelView,
    /** Which made this one by {@link adapted}, and ends with it. */
    private readonly maker?: OnnxModel,
  ) {
    this.name = source.name;
    const { session } = opened;
    this.fed = session.inputs.map((value) => batchFirstInfo(value, this.inputAxis(value.name)));
    this.declaredInputs = this.fed.map((value) => this.edgeInfo(value));
    this.declaredOutputs = session.outputs.map((value) =>
      this.edgeInfo(batchFirstInfo(value, this.outputAxis(value.name))),
    );
    this.inputs = this.declaredInputs.map(publicInfo);
    this.outputs = this.declaredOutputs.map(publicInfo);
    this.lifetime = (view?.of ?? maker)?.lifetime ?? new Lifetime(`the model ${source.name}`);
    this.gradientSessions = view?.of.gradientSessions ?? new Map<string, Promise<GradientSession>>();
  }

  /** The same model with the batch as the first axis everywhere. It shares the sessions and ends with this one. */
  withBatchFirst(axes: BatchAxes): OnnxModel {
    return new OnnxModel(this.source, this.opened, this.threads, this.options, {
      ...this.view,
      ...{ axes, of: this },
    });
  }

  /** The same model with inputs of whole numbers taken as float32 and rounded. It shares the sessions, too. */
  withFloatEdges(): OnnxModel {
    return new OnnxModel(this.source, this.opened, this.threads, this.options, {
      ...this.view,
      ...{ rounds: true, of: this },
    });
  }

  /**
   * The same model with more done to its graph: a session of its own, which ends with this model, and the same one whenever
   * the same is asked for.
   *
   * @throws what loading it so would throw
   */
  adapted(more: Adaptation, signal?: AbortSignal): Promise<OnnxModel> {
    this.lifetime.check();
    const { adaptations } = this.viewed;
    const key = JSON.stringify([more, this.view?.axes, this.view?.rounds]);
    let made = adaptations.get(key);
    if (!made) {
      const axes = this.view?.axes;
      const moved = axes ? { batchFirst: axes } : {};
      made = this.openAdapted(joinAdaptations(this.opened.adaptation, { ...moved, ...more }));
      adaptations.set(key, made);
      made.catch(() => adaptations.delete(key));
    }
    return abortable("adapting a model", made, signal);
  }

  /** The model that views show. */
  private get viewed(): OnnxModel {
    return this.view?.of.viewed ?? this;
  }

  /** The model that was loaded. */
  private get loaded(): OnnxModel {
    return this.viewed.maker?.loaded ?? this.viewed;
  }

  private async openAdapted(adaptation: Adaptation): Promise<OnnxModel> {
    const { device, allowFallback, deviceMemory } = this.options;
    const opened = await openSource(this.source, adaptation, {
      ...{ threads: this.threads || native().threads(), what: "adapting a model" },
      place: { device: device ?? "cpu", allowFallback, deviceMemory },
    });
    if (this.lifetime.disposed) opened.session.dispose();
    this.lifetime.check();
    const { source, threads, options, view } = this;
    const plain = new OnnxModel(source, opened, threads, options, undefined, this);
    return view?.rounds
      ? new OnnxModel(source, opened, threads, options, { of: plain, rounds: true })
      : plain;
  }

  get givenAsBytes(): boolean {
    return typeof this.source.native !== "string";
  }

  /** What was done to it that nobody asked for. */
  get decided(): OpenedSource["decided"] {
    return this.opened.decided;
  }

  /** Made by {@link withBatchFirst}, or of such a model. */
  get movesBatch(): boolean {
    return (this.view?.axes ?? this.opened.adaptation.batchFirst) !== undefined;
  }

  async run(inputs: Tensor | Record<string, Tensor>, options?: RunOptions): Promise<Record<string, Tensor>> {
    const o = check(runOptions, options, { name: "options", prefix: "options." });
    this.lifetime.check();
    const given = this.view?.rounds ? rounded(inputs, this.fed) : inputs;
    const feeds = feed(this.name, "inputs", given, this.fed);
    return this.lifetime.run("run", o.signal, (signal) => this.outputsOf("run", feeds, undefined, signal));
  }

  /** Outputs of the model itself; the batch is the first axis on this side. */
  private async outputsOf(
    what: string,
    feeds: Record<string, NativeTensor>,
    names: string[] | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Record<string, Tensor>> {
    const moved: Record<string, NativeTensor> = {};
    for (const [name, tensor] of Object.entries(feeds))
      moved[name] = moveAxis(tensor, 0, this.inputAxis(name));
    // Until the session is open the caller may do what it likes with its own.
    const given = this.opened.session.isAwake ? moved : kept(moved);
    const outputs = floats(
      await this.opened.session.use((session) => {
        this.lifetime.check();
        return runJob(what, signal, () => session.run(given, names));
      }),
    );
    for (const [name, tensor] of Object.entries(outputs))
      outputs[name] = moveAxis(tensor, this.outputAxis(name), 0);
    return outputs;
  }

  /** Lets go of what only {@link run} needs, until that is called again: others have the weights of the model now. */
  rest(): void {
    this.opened.session.rest();
  }

  private inputAxis(name: string): number {
    return this.view?.axes?.inputs[name] ?? 0;
  }

  private outputAxis(name: string): number {
    const axes = this.view?.axes;
    return axes?.output === name ? axes.outputAxis : 0;
  }

  private edgeInfo(value: NativeValueInfo): NativeValueInfo {
    return this.view?.rounds && wholeRanges.has(value.type) ? { ...value, type: "float32" } : value;
  }

  async vjp(
    inputs: Tensor | Record<string, Tensor>,
    cotangents: Tensor | Record<string, Tensor>,
    options?: RunOptions,
  ): Promise<{ outputs: Record<string, Tensor>; gradients: Record<string, Tensor> }> {
    const { name, lifetime, declaredInputs, declaredOutputs } = this;
    const values = { name, lifetime, inputs: declaredInputs, outputs: declaredOutputs };
    const { feeds, seeds, signal: ended } = checkVjp(values, inputs, cotangents, options);
    const seeded = Object.keys(seeds);
    for (const name of seeded) feeds[`grad_${name}`] = seeds[name]!;
    const inputsOfGradient = kept(feeds); // the first call differentiates before it looks at them
    return lifetime.run("vjp", ended, async (signal) => {
      const own = Object.fromEntries(this.inputs.map(({ name }) => [name, inputsOfGradient[name]!]));
      const gradient = await abortable("vjp", this.gradientSession(seeded, own), signal);
      const results = await runJob("vjp", signal, () => gradient.session.run(inputsOfGradient));
      const all = floats(results);
      const outputs: Record<string, Tensor> = {};
      const gradients: Record<string, Tensor> = {};
      for (const { name } of this.outputs) if (all[name]) outputs[name] = all[name];
      // A cotangent with other rows than its output may have been broadcast instead of refused.
      for (const name of seeded) {
        const [got, wanted] = [inputsOfGradient[`grad_${name}`]!.shape, outputs[name]!.shape];
        if (!fits(got, wanted))
          throw new ArgumentError(
            `cotangents.${name}: expected the shape ${shapeText(wanted)} of this output, got ${shapeText(got)}`,
            { code: "ERR_SHAPE_MISMATCH" },
          );
      }
      // What differs once is not trusted later, whatever the input is then.
      if (gradient.differs) throw gradient.differs;
      if (!gradient.checked) {
        try {
          await this.checkOutputs(gradient, own, outputs, signal);
        } catch (error) {
          if (error instanceof ModelError && error.code === "ERR_OUTPUTS_DIFFER") gradient.differs = error;
          throw error;
        }
        gradient.checked = true;
        gradient.first = null;
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
   * The model as a graph, read again from its source. Large weights that lie in other files stay there, and so do matrices
   * that make up most of the model's own file: openGraph() finds them.
   *
   * @throws ModelError when it cannot be read, has changed since it was loaded, or has over 2 GB in one file
   */
  async graph(signal?: AbortSignal): Promise<Graph> {
    this.lifetime.check();
    const graph = await readGraphInPlace(this.source, this.opened.adaptation, signal);
    const first = this.view?.axes ? batchFirstGraph(graph, this.view.axes) : graph;
    return this.view?.rounds ? floatEdgesGraph(first) : first;
  }

  /** The inputs that each output depends on. @throws as graph() */
  async neededInputs(signal?: AbortSignal): Promise<Readonly<Record<string, readonly string[]>>> {
    const graph = await this.graph(signal);
    return Object.fromEntries(
      this.outputs.map(({ name }) => [name, keepOutputs(graph, [name]).inputs.map((input) => input.name)]),
    );
  }

  /** How many classes an input of whole numbers can have, where it only chooses rows of a table. @throws as graph() */
  async classCounts(signal?: AbortSignal): Promise<ReadonlyMap<string, number>> {
    const whole = this.inputs.filter(({ type }) => type.includes("int"));
    if (whole.length === 0) return new Map();
    const graph = await this.graph(signal);
    return new Map(
      whole.flatMap(({ name }) => {
        const rows = chosenRows(graph, name);
        return rows === null ? [] : [[name, rows]];
      }),
    );
  }

  /** @throws as graph() */
  async facts(output: string, signal?: AbortSignal): Promise<OutputFacts> {
    const graph = await this.graph(signal);
    return {
      maker: lastOperator(graph, output),
      random: randomOperator(graph, output),
      stop: await modelBarrier(graph, output, this.straightThrough, signal),
      scalesByBatch: graph.nodes.some(({ opType }) => opType.startsWith("DynamicQuantize")),
      rowFlops: await countedFlops(graph, signal),
      linear: endsLinear(graph, output),
      classifier: false,
      bounds: valueBounds(graph, output),
      // Whole numbers have a range of their own, which is looked at where they are rounded.
      scaling: this.takesWholeNumbers ? undefined : inputScaling(graph, graph.inputs[0]?.name ?? ""),
    };
  }

  get device(): ModelDeviceId | null {
    return this.options.device;
  }

  /** Whether it is folded by ONNX Runtime's optimiser before it is differentiated. */
  get simplify(): boolean {
    return this.options.simplify;
  }

  /** Whether rounding is the identity in its gradient. */
  get straightThrough(): boolean {
    return this.options.straightThrough;
  }

  /** Whether its first input is of whole numbers, rounded here or not. */
  private get takesWholeNumbers(): boolean {
    return wholeRanges.has(this.fed[0]?.type ?? "");
  }

  /** @throws Tr0nError ERR_DISPOSED */
  checkUsable(): void {
    this.lifetime.check();
  }

  dispose(): void {
    if (this.lifetime.dispose()) this.loaded.release();
  }

  /** Frees the sessions, and those of models made of this one. */
  private release(): void {
    this.opened.session.dispose();
    for (const session of this.gradientSessions.values())
      session.then(
        ({ session: opened }) => opened.dispose(),
        () => undefined,
      );
    this.gradientSessions.clear();
    for (const model of this.adaptations.values())
      model.then(
        (made) => made.release(),
        () => undefined,
      );
    this.adaptations.clear();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** One session for each set of seeded outputs. */
  private gradientSession(
    seeded: readonly string[],
    inputs: Record<string, NativeTensor>,
  ): Promise<GradientSession> {
    const key = JSON.stringify([[...seeded].sort(), this.view?.axes, this.view?.rounds]);
    let session = this.gradientSessions.get(key);
    if (!session) {
      session = this.openGradientSession(seeded, inputs);
      this.gradientSessions.set(key, session);
      session.catch(() => this.gradientSessions.delete(key));
    }
    return session;
  }

  /** At the first call of each session: one more run, on the caller's own inputs. */
  private async checkOutputs(
    { comparable, coarse, simplified, first }: GradientSession,
    inputs: Record<string, NativeTensor>,
    outputs: Record<string, Tensor>,
    signal: AbortSignal,
  ): Promise<void> {
    const names = comparable.filter((name) => outputs[name]);
    if (names.length === 0) return;
    const expected =
      first?.inputs === inputs ? first.outputs : await this.outputsOf("vjp", inputs, names, signal);
    let again: Promise<Record<string, Tensor>> | undefined;
    const moved = Object.fromEntries(
      Object.entries(inputs).map(([name, tensor]) => [
        name,
        tensor.data instanceof Float32Array ? { ...tensor, data: nudged(tensor.data) } : tensor,
      ]),
    );
    for (const output of names)
      await checkSame(
        outputs[output]!,
        expected[output]!,
        { model: this.name, output, where: "its gradient, vjp(),", coarse, simplified },
        async () => (await (again ??= this.outputsOf("vjp", moved, names, signal)))[output]!,
      );
  }

  private async openGradientSession(
    seeded: readonly string[],
    inputs: Record<string, NativeTensor>,
  ): Promise<GradientSession> {
    const graph = await this.graph();
    const wrt = this.inputs.filter((input) => input.type === "float32").map((input) => input.name);
    if (wrt.length === 0)
      throw new ModelError("ERR_NO_GRADIENT", `${this.name}: it has no float32 input to differentiate`);
    const { simplify, allowRandom, straightThrough } = this.options;
    const names = this.outputs.map(({ name }) => name);
    const comparable = names.filter((name) => randomNodes(graph, [name]).length === 0);
    const { session, kept, outputs } = await Scratch.with(async (scratch) => {
      const { graph: differentiated, kept } = await differentiateSimplified(
        graph,
        { wrt, outputs: [...seeded], allowRandom, straightThrough, target: targetOf(this.device ?? "cpu") },
        { name: this.name, simplify, scratch },
      );
      // Before the gradient is opened: the model by itself need not lie beside it then.
      const outputs =
        comparable.length === 0 ? {} : await this.outputsOf("vjp", inputs, comparable, undefined);
      this.rest();
      const opened = await openGraph(differentiated, {
        name: `${this.name} (gradient)`,
        threads: this.threads || native().threads(),
        what: "vjp",
        place: { ...this.options, device: this.device ?? "cpu" },
      });
      return { session: opened, kept, outputs };
    });
    if (this.lifetime.disposed) session.dispose();
    this.lifetime.check();
    return {
      session,
      comparable,
      first: { inputs, outputs },
      coarse: roundsCoarsely(graph),
      simplified: kept === null,
      checked: false,
    };
  }

  private async computeFingerprint(): Promise<string> {
    const { source } = this;
    const change = functionChange(this.opened.adaptation);
    if (source.folder === null) return hashSource(source, [], change);
    const graph = await outlineOf(source.native, this.name);
    return hashSource(source, graph ? externalFiles(graph) : [], change);
  }
}
