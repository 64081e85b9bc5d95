/**
 * Models and graphs one behind the other, of either format in any order. Neighbouring ONNX graphs become one graph; a
 * TorchScript model stays a link of its own, whose tape waits between its forward and its backward pass.
 */
import { differentiateSimplified } from "./differentiate-model.js";
import { Tr0nError } from "./errors.js";
import { callNative } from "./job.js";
import { OnnxModel, type LoadedModel } from "./model.js";
import {
  native,
  type NativeObjective,
  type NativeRowMap,
  type NativeSegment,
  type NativeSession,
  type NativeTorchModel,
} from "./native.js";
import { compose, cutGradient, graphToRun, type Dim, type Graph } from "./onnx/index.js";

/** What a pipeline is opened with besides itself. */
export interface PipelineOptions {
  /** What messages call it. */
  name: string;
  /** Rows that its models were exported for; 0 where that is open. */
  fixedBatch: number;
  /** Upper bound for the rows of one run. */
  maxBatch: number;
  /** Opens a session with one thread, and owns it. */
  open: (graph: Graph, name: string) => Promise<NativeSession>;
}

interface GraphLink {
  readonly kind: "graph";
  readonly name: string;
  readonly graph: Graph;
  readonly inputShape: readonly number[];
}

interface TorchLink {
  readonly kind: "torch";
  readonly name: string;
  readonly model: NativeTorchModel;
  readonly output: string;
  readonly inputShape: readonly number[];
}

export class Pipeline {
  private readonly links: (GraphLink | TorchLink)[] = [];

  /**
   * @param batch the first dimension of what goes in: a number of rows, or a symbol
   * @param row shape of one row of what comes out now; at first of what goes in
   */
  constructor(
    private batch: Dim,
    private row: readonly number[],
  ) {}

  /** What comes out at the end, the batch included. */
  get dims(): Dim[] {
    return [this.batch, ...this.row];
  }

  /**
   * Appends a model.
   *
   * @param output which of its outputs goes on
   * @param row shape of one row of it
   * @param prefix for names that two graphs have in common
   */
  async model(
    model: LoadedModel,
    { output, row, prefix }: { output: string; row: readonly number[]; prefix: string },
  ): Promise<void> {
    if (!(model instanceof OnnxModel)) return this.torch(model.native, model.name, output, row);
    const graph = await model.graph();
    graph.outputs = graph.outputs.filter(({ name }) => name === output);
    this.graph(graph, { name: model.name, row, prefix });
  }

  /** Appends a graph: its first input takes what comes out here, its first output is what comes out then. */
  graph(graph: Graph, { name, row, prefix }: { name: string; row: readonly number[]; prefix: string }): void {
    const last = this.links.at(-1);
    const input = graph.inputs[0]!;
    let joined = graph;
    if (last?.kind === "graph") {
      const connections = { [input.name]: last.graph.outputs[0]!.name };
      joined = compose(last.graph, graph, connections, { prefix, keepOutputs: [] });
      this.links[this.links.length - 1] = { ...last, graph: joined, name: `${last.name} → ${name}` };
    } else {
      input.dims = [input.dims?.[0] ?? this.batch, ...this.row];
      this.links.push({ kind: "graph", graph, name, inputShape: this.row });
    }
    const output = joined.outputs[0]!;
    this.batch = output.dims?.[0] ?? this.batch;
    this.row = row;
    output.dims = this.dims;
  }

  /** Appends a TorchScript model with one input. */
  torch(model: NativeTorchModel, name: string, output: string, row: readonly number[]): void {
    this.links.push({ kind: "torch", model, name, output, inputShape: this.row });
    this.row = row;
  }

  /** Rows in, rows out. */
  async rowMap({ name, fixedBatch, maxBatch, open }: PipelineOptions): Promise<NativeRowMap> {
    const [only] = this.links;
    if (this.links.length !== 1 || only?.kind !== "graph") {
      const segments = await this.segments(this.links, false, open);
      return callNative(() => native().createRowMap({ name, segments, fixedBatch, maxBatch }));
    }
    const { graph, inputShape } = only;
    const session = await open(graphToRun(graph), name);
    return callNative(() =>
      native().createRowMap({
        session,
        input: graph.inputs[0]!.name,
        inputShape,
        outputs: [graph.outputs[0]!.name],
        fixedBatch,
        maxBatch,
      }),
    );
  }

  /**
   * E(z, c), and ∂E/∂z where `gradient` is true. The last link is a graph whose second input are conditions [N, m] and
   * whose output are energies [N].
   *
   * @throws ModelError ERR_NO_GRADIENT when the gradient is wanted and an ONNX operator on its path has none
   */
  async objective(
    gradient: boolean,
    conditionSize: number,
    { name, fixedBatch, maxBatch, open }: PipelineOptions,
  ): Promise<NativeObjective> {
    const head = this.links.at(-1);
    if (head?.kind !== "graph") throw new Tr0nError("ERR_INTERNAL", `${name}: it does not end in an energy`);
    const { graph, inputShape } = head;
    const [input, conditionInput] = graph.inputs.map((value) => value.name) as [string, string];
    const energyOutput = graph.outputs[0]!.name;
    let gradientSession: NativeSession | null = null;
    if (gradient) {
      const differentiated = await differentiateSimplified(
        graph,
        { wrt: [input], outputs: [energyOutput], seed: "ones" },
        { name, simplify: true },
      );
      gradientSession = await open(differentiated.graph, "energy and gradient");
    }
    const energy = await open(graphToRun(graph), "energy");
    const segments = await this.segments(this.links.slice(0, -1), gradient, open);
    return callNative(() =>
      native().createObjective({
        segments,
        energy,
        gradient: gradientSession,
        input,
        conditionInput,
        energyOutput,
        gradientOutput: gradient ? `grad_${input}` : "",
        inputShape,
        conditionShape: [conditionSize],
        fixedBatch,
        maxBatch,
      }),
    );
  }

  /** What the pipeline is made of, to be run as one part of something else. */
  parts(gradient: boolean, open: PipelineOptions["open"]): Promise<NativeSegment[]> {
    return this.segments(this.links, gradient, open);
  }

  private async segments(
    links: readonly (GraphLink | TorchLink)[],
    gradient: boolean,
    open: PipelineOptions["open"],
  ): Promise<NativeSegment[]> {
    const segments: NativeSegment[] = [];
    for (const link of links) {
      const { inputShape } = link;
      if (link.kind === "torch") segments.push({ model: link.model, inputShape, output: link.output });
      else segments.push(await graphSegment(link, gradient, open));
    }
    return segments;
  }
}

async function graphSegment(
  { name, graph, inputShape }: GraphLink,
  gradient: boolean,
  open: PipelineOptions["open"],
): Promise<NativeSegment> {
  const [input, output] = [graph.inputs[0]!.name, graph.outputs[0]!.name];
  const [cotangent, gradientOutput] = [`grad_${output}`, `grad_${input}`];
  const segment = { name, inputShape, input, output, cotangent, gradient: gradientOutput };
  const forward = await open(graphToRun(graph), name);
  if (!gradient) return { ...segment, forward, recorded: null, backward: null, saved: [] };
  const differentiated = await differentiateSimplified(
    graph,
    { wrt: [input], outputs: [output] },
    { name, simplify: true },
  );
  const cut = cutGradient(differentiated.graph, [cotangent], [gradientOutput]);
  const recorded = await open(cut.forward, `${name} (recorded)`);
  const backward = await open(cut.backward, `${name} (backward)`);
  return { ...segment, forward, recorded, backward, saved: cut.saved };
}
