/** ONNX models: one session to run, one for each set of seeded outputs to differentiate. */
import { join } from "node:path";
import { checkOptions, checkSignal, shapeText } from "./check.js";
import { differentiateSimplified } from "./differentiate-model.js";
import { ArgumentError, ModelError } from "./errors.js";
import { endsLinear, lastOperator, randomOperator } from "./graphs.js";
import { hashBytes, hashFiles } from "./hash.js";
import { Lifetime, abortable, runJob } from "./job.js";
import { readGraphInPlace, type Source } from "./model-source.js";
import { feed, fits, floats, publicInfo } from "./model-values.js";
import type { Model, RunOptions, ValueInfo } from "./model.js";
import { native, type NativeSession, type NativeTensor } from "./native.js";
import {
  decodeSteps,
  externalFiles,
  inputScaling,
  randomNodes,
  roundsCoarsely,
  valueBounds,
  type Graph,
} from "./onnx/index.js";
import type { OutputFacts } from "./output-facts.js";
import { checkSame } from "./output-guard.js";
import { inSlices } from "./slices.js";
import type { Tensor } from "./tensor.js";
import { openGraph } from "./weights.js";

/** A differentiated model. */
interface GradientSession {
  readonly session: NativeSession;
  /** The outputs that must be those of a run: all but those that depend on random numbers. */
  readonly comparable: readonly string[];
  readonly coarse: boolean;
  readonly simplified: boolean;
  /** Whether they have been compared. */
  checked: boolean;
}

/** An ONNX model in ONNX Runtime; the rest of lib uses what {@link Model} does not show. */
export class OnnxModel implements Model {
  readonly format = "onnx";
  readonly name: string;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  private readonly lifetime: Lifetime;
  private readonly gradientSessions = new Map<string, Promise<GradientSession>>();
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
    const feeds = feed(this.name, "inputs", inputs, this.session.inputs);
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
    const feeds = feed(this.name, "inputs", inputs, this.session.inputs);
    const seeds = feed(this.name, "cotangents", cotangents, this.session.outputs, true);
    const seeded = Object.keys(seeds);
    if (seeded.length === 0)
      throw new ArgumentError("cotangents: expected at least one output's cotangent, got none");
    for (const name of seeded) feeds[`grad_${name}`] = seeds[name]!;
    return this.lifetime.run("vjp", o.signal, async (signal) => {
      const gradient = await abortable("vjp", this.gradientSession(seeded), signal);
      const results = await runJob("vjp", signal, () => gradient.session.run(feeds));
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
      if (!gradient.checked) {
        await this.checkOutputs(gradient, feeds, outputs, signal);
        gradient.checked = true;
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
    return readGraphInPlace(this.source, signal);
  }

  /** @throws as graph() */
  async facts(output: string, signal?: AbortSignal): Promise<OutputFacts> {
    const graph = await this.graph(signal);
    return {
      maker: lastOperator(graph, output),
      random: randomOperator(graph, output),
      linear: endsLinear(graph, output),
      classifier: false,
      bounds: valueBounds(graph, output),
      scaling: inputScaling(graph, graph.inputs[0]?.name ?? ""),
    };
  }

  /** Whether it is folded by ONNX Runtime's optimiser before it is differentiated. */
  get simplify(): boolean {
    return this.options.simplify;
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
        ({ session: opened }) => opened.dispose(),
        () => undefined,
      );
    this.gradientSessions.clear();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** One session for each set of seeded outputs. */
  private gradientSession(seeded: readonly string[]): Promise<GradientSession> {
    const key = JSON.stringify([...seeded].sort());
    let session = this.gradientSessions.get(key);
    if (!session) {
      session = this.openGradientSession(seeded);
      this.gradientSessions.set(key, session);
      session.catch(() => this.gradientSessions.delete(key));
    }
    return session;
  }

  /** At the first call of each session: one more run, on the caller's own inputs. */
  private async checkOutputs(
    { comparable, coarse, simplified }: GradientSession,
    feeds: Record<string, NativeTensor>,
    outputs: Record<string, Tensor>,
    signal: AbortSignal,
  ): Promise<void> {
    const names = comparable.filter((name) => outputs[name]);
    if (names.length === 0) return;
    const inputs = Object.fromEntries(this.inputs.map(({ name }) => [name, feeds[name]!]));
    const expected = floats(await runJob("vjp", signal, () => this.session.run(inputs, names)));
    for (const output of names)
      await checkSame(outputs[output]!, expected[output]!, {
        model: this.name,
        output,
        where: "its gradient, vjp(),",
        coarse,
        simplified,
      });
  }

  private async openGradientSession(seeded: readonly string[]): Promise<GradientSession> {
    const graph = await this.graph();
    const wrt = this.inputs.filter((input) => input.type === "float32").map((input) => input.name);
    if (wrt.length === 0)
      throw new ModelError("ERR_NO_GRADIENT", `${this.name}: it has no float32 input to differentiate`);
    const { simplify, allowRandom } = this.options;
    const { graph: differentiated, kept } = await differentiateSimplified(
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
    const names = this.outputs.map(({ name }) => name);
    return {
      session,
      comparable: names.filter((name) => randomNodes(graph, [name]).length === 0),
      coarse: roundsCoarsely(graph),
      simplified: kept === null,
      checked: false,
    };
  }

  private async computeFingerprint(): Promise<string> {
    const { source } = this;
    if (source.folder === null) return hashBytes(await source.bytes());
    const { folder } = source;
    const graph = await inSlices("fingerprint", decodeSteps(await source.bytes(), this.name));
    const external = externalFiles(graph).sort();
    return hashFiles([source.native as string, ...external.map((file) => join(folder, file))]);
  }
}
