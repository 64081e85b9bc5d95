/**
 * Models and graphs one behind the other, of either format in any order. Neighbouring ONNX graphs on one device become one
 * graph; a
 * TorchScript model stays a link of its own, whose tape waits between its forward and its backward pass.
 */
import { keepRules } from "./block-rules.js";
import { differentiateSimplified } from "./differentiate.js";
import { Tr0nError } from "../base/errors.js";
import { callNative, runJob } from "../native/job.js";
import { feed, floats } from "./values.js";
import { OnnxModel, type LoadedModel } from "./model.js";
import { native } from "../native/binding.js";
import type {
  NativeObjective,
  NativeRowFacts,
  NativeRowMap,
  NativeSegment,
} from "../native/types/pipeline.js";
import type { ModelDeviceId } from "../native/types/devices.js";
import type { NativeSession, NativeTorchModel } from "../native/types/models.js";
import { roundsCoarsely, targetOf, type ComposeOptions, type Dim, type Graph } from "../onnx/index.js";
import { checkSame } from "./output-guard.js";
import { observed, type ModelWithin } from "./pipeline-guard.js";
import { rowFacts, segmentSessions } from "./row-facts.js";
import { graphAsRun, offLoop } from "./off-loop.js";
import type { Tensor } from "../base/tensor.js";
import { checkEnergies, checkLink, type Segments } from "./pipeline-checks.js";
import {
  cycledFor,
  graphSegment,
  ownBatch,
  pickRows,
  type GraphLink,
  type InputSplit,
  type OwnModel,
  type PipelineOptions,
  type TorchLink,
} from "./pipeline-links.js";

export class Pipeline {
  private readonly links: (GraphLink | TorchLink)[] = [];

  /**
   * @param batch the first dimension of what goes in: a number of rows, or a symbol
   * @param row shape of one row of what comes out now; at first of what goes in
   * @param models where models run that were loaded without a device of their own
   * @param signal ends whatever is done to the pipeline
   */
  constructor(
    private batch: Dim,
    private row: readonly number[],
    private readonly models: ModelDeviceId,
    private readonly signal?: AbortSignal,
  ) {}

  /** Where what comes out is computed, as far as ONNX Runtime computes it. */
  get device(): ModelDeviceId {
    const last = this.links.at(-1);
    return last?.kind === "graph" ? last.device : this.models;
  }

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
   * @param batch rows that the model takes; 0: any number
   * @param split what makes the model's inputs of what comes in; default: it is the only one
   */
  async model(
    model: LoadedModel,
    {
      output,
      row,
      prefix,
      batch,
      split,
    }: { output: string; row: readonly number[]; prefix: string; batch: number; split?: InputSplit | null },
  ): Promise<void> {
    if (!(model instanceof OnnxModel)) {
      const apart = split?.parts !== undefined;
      if (split && !apart)
        await this.graph(split.graph, { name: "latent", row: split.row, prefix: "latent/" });
      const made = await model.fingerprint();
      return this.torch(model.native, model.name, output, row, batch, made, apart ? split : null);
    }
    let graph = await model.graph(this.signal);
    graph.outputs = graph.outputs.filter(({ name }) => name === output);
    if (split) {
      const made = split.graph.outputs;
      const connections = Object.fromEntries(split.names.map((name, index) => [name, made[index]!.name]));
      graph = await this.joined(split.graph, graph, connections, { prefix, keepOutputs: [] });
    }
    const own = { model, output, inputs: split?.feeds };
    await this.graph(graph, { name: model.name, row, prefix, batch, own });
  }

  /**
   * Appends a graph: its first input takes what comes out here, its last output is what comes out then.
   *
   * @param batch rows that it takes; default: as its input declares
   */
  async graph(
    graph: Graph,
    {
      name,
      row,
      prefix,
      batch = fixedSize(graph),
      own,
    }: { name: string; row: readonly number[]; prefix: string; batch?: number; own?: OwnModel },
  ): Promise<void> {
    const last = this.links.at(-1);
    const input = graph.inputs[0]!;
    const coarse = own !== undefined && roundsCoarsely(graph);
    const simplify = own?.model.simplify ?? true;
    const device = own ? (own.model.device ?? this.models) : this.device;
    const link = last?.kind === "graph" ? last : null;
    const straightThrough = own?.model.straightThrough ?? link?.straightThrough ?? false;
    // What runs elsewhere or in other batches, or is differentiated otherwise, is a session of its own.
    const joins =
      link?.device === device && link.straightThrough === straightThrough && fitting(link.batch, batch);
    const before = joins ? link : null;
    const from = before?.output ?? null;
    let joined = graph;
    let kept = 0;
    if (before) {
      // What models take and give stays an output, to be compared with what they give by themselves.
      const keepOutputs = [...new Set([...observed(before.within), ...(own ? [before.output] : [])])];
      kept = keepOutputs.length;
      const connections = { [input.name]: before.output };
      joined = await this.joined(before.graph, graph, connections, { prefix, keepOutputs });
    } else input.dims = [batch || (input.dims?.[0] ?? this.batch), ...this.row];
    const output = joined.outputs.at(-1)!;
    const within: ModelWithin[] = [...(before?.within ?? [])];
    if (own) {
      const value = own.index === undefined ? output.name : joined.outputs[kept + own.index]!.name;
      within.push({ model: own.model, output: own.output, value, from, inputs: own.inputs ?? null, coarse });
    }
    const made: GraphLink = {
      kind: "graph",
      name: before ? `${before.name} → ${name}` : name,
      graph: joined,
      inputShape: before?.inputShape ?? this.row,
      output: output.name,
      within,
      simplify: simplify && (before?.simplify ?? true),
      straightThrough,
      device,
      batch: before?.batch || batch || fixedSize(joined),
    };
    if (before) this.links[this.links.length - 1] = made;
    else this.links.push(made);
    this.batch = output.dims?.[0] ?? (made.batch || this.batch);
    this.row = row;
    output.dims = this.dims;
  }

  /**
   * Appends a TorchScript model of `batch` rows (0: any). `fingerprint` tells it from others; with a `split` it has several
   * inputs.
   */
  torch(
    model: NativeTorchModel,
    name: string,
    output: string,
    row: readonly number[],
    batch: number,
    fingerprint?: string,
    split: InputSplit | null = null,
  ): void {
    const inputShape = this.row;
    this.links.push({ kind: "torch", model, name, output, inputShape, fingerprint, batch, split });
    if (batch > 0) this.batch = batch;
    this.row = row;
  }

  /**
   * Rows in, rows out.
   *
   * @throws ModelError ERR_OUTPUTS_DIFFER where a model gives something else here than by itself
   */
  async rowMap(options: PipelineOptions): Promise<NativeRowMap> {
    const { name, fixedBatch, open, probe } = options;
    const [only] = this.links;
    if (this.links.length !== 1 || only?.kind !== "graph") {
      const { segments, last, ...made } = await this.segments(this.links, false, options);
      const rows = pickRows(made.rows, made.which);
      const facts = await this.facts(segmentSessions(segments), options);
      const map = callNative(() => native().createRowMap({ name, segments, fixedBatch, ...facts }));
      if (last) {
        const [got] = await runJob("checking models", this.signal, () => map.run(rows.data, rows.shape[0]!));
        await checkSame({ data: got!.data, shape: last.result.shape }, last.result, last);
      }
      return keepRules(map, facts.ruleKey);
    }
    const { graph, inputShape, output } = only;
    const session = await open(
      await graphAsRun(graph, this.signal, targetOf(only.device)),
      name,
      only.device,
    );
    await checkLink(only, session, await probe.rows(fixedBatch), {}, probe, name);
    const facts = await this.facts([session], options);
    const map = callNative(() =>
      native().createRowMap({
        session,
        input: graph.inputs[0]!.name,
        inputShape,
        outputs: [output],
        fixedBatch,
        ...facts,
      }),
    );
    return keepRules(map, facts.ruleKey);
  }

  /**
   * E(z, c), and ∂E/∂z where `gradient` is true. The last link is a graph whose second input are conditions [N, m] and
   * whose output are energies [N].
   *
   * @param differentiated called when the gradient of the last link is there
   * @throws ModelError ERR_NO_GRADIENT when the gradient is wanted and an ONNX operator on its path has none,
   *   ERR_OUTPUTS_DIFFER
   */
  async objective(
    gradient: boolean,
    conditionSize: number,
    options: PipelineOptions,
    differentiated?: () => void,
  ): Promise<NativeObjective> {
    const { name, fixedBatch, open, probe } = options;
    const head = this.links.at(-1);
    if (head?.kind !== "graph") throw new Tr0nError("ERR_INTERNAL", `${name}: it does not end in an energy`);
    const { graph, inputShape, output: energyOutput } = head;
    const [input, conditionInput] = graph.inputs.map((value) => value.name) as [string, string];
    const target = targetOf(head.device);
    let gradientSession: NativeSession | null = null;
    if (gradient) {
      const { graph: both } = await differentiateSimplified(
        graph,
        {
          ...{ wrt: [input], outputs: [energyOutput], seed: "ones", target },
          straightThrough: head.straightThrough,
        },
        { name, simplify: head.simplify, signal: this.signal },
      );
      differentiated?.();
      gradientSession = await open(both, "energy and gradient", head.device);
    }
    const energy = await open(await graphAsRun(graph, this.signal, target), "energy", head.device);
    const before = await this.segments(this.links.slice(0, -1), gradient, options);
    const { tensor: result, which } = cycledFor(head, before.result, before.which);
    const rows = pickRows(before.rows, which);
    // Conditions have no part in what the models give. A unit vector serves every energy.
    const condition = {
      data: new Float32Array(result.shape[0]! * conditionSize).fill(1 / Math.sqrt(conditionSize)),
      shape: [result.shape[0]!, conditionSize],
    };
    const beside = { [conditionInput]: condition };
    await checkLink(head, energy, result, beside, probe, `${name}: the energy`);
    if (gradientSession)
      await checkLink(head, gradientSession, result, beside, probe, `${name}: the energy and its gradient`);
    const sessions = [
      energy,
      ...(gradientSession ? [gradientSession] : []),
      ...segmentSessions(before.segments),
    ];
    const facts = await this.facts(sessions, options);
    const objective = callNative(() =>
      native().createObjective({
        segments: before.segments,
        energy,
        gradient: gradientSession,
        input,
        conditionInput,
        energyOutput,
        gradientOutput: gradient ? `grad_${input}` : "",
        inputShape,
        conditionShape: [conditionSize],
        fixedBatch,
        headBatch: ownBatch(head, fixedBatch),
        ...facts,
      }),
    );
    if (before.last)
      await checkEnergies(objective, gradient, head, energy, rows, result, condition, before.last);
    return keepRules(objective, facts.ruleKey);
  }

  /** What decides in which blocks rows run through all links, of which these are the sessions. */
  facts(
    sessions: readonly NativeSession[],
    { name, fixedBatch, maxBatch, decided }: PipelineOptions,
  ): Promise<NativeRowFacts & { maxBatch: number }> {
    return rowFacts({
      ...{ name, fixedBatch, maxBatch, decided },
      signal: this.signal,
      sessions,
      graphs: this.links.flatMap((link) => (link.kind === "graph" ? [link.graph] : [])),
      torch: this.links.flatMap((link) => (link.kind === "torch" ? [link.fingerprint] : [])),
      rest: this.links.map(({ inputShape, output }) => [inputShape, output]),
    });
  }

  private joined(
    first: Graph,
    second: Graph,
    connections: Record<string, string>,
    options: ComposeOptions,
  ): Promise<Graph> {
    return offLoop("preparing the models", "compose", [first, second], [connections, options], this.signal);
  }

  /** What the pipeline is made of, to be run as one part of something else. */
  async asSegments(gradient: boolean, options: PipelineOptions): Promise<NativeSegment[]> {
    return (await this.segments(this.links, gradient, options)).segments;
  }

  private async segments(
    links: readonly (GraphLink | TorchLink)[],
    gradient: boolean,
    { name, fixedBatch, open, probe }: PipelineOptions,
  ): Promise<Segments> {
    const segments: NativeSegment[] = [];
    const rows = await probe.rows(fixedBatch);
    let result = rows;
    let which: readonly number[] = Array.from({ length: rows.shape[0]! }, (_, row) => row);
    let last = null as Segments["last"];
    for (const link of links) {
      const { inputShape } = link;
      ({ tensor: result, which } = cycledFor(link, result, which));
      const own = ownBatch(link, fixedBatch);
      // A link takes its rows in the shape that its model declares.
      const taken: Tensor = { data: result.data, shape: [result.shape[0]!, ...inputShape] };
      if (link.kind === "torch") {
        const { model, split } = link;
        const parts = split?.parts ? { parts: split.parts } : {};
        segments.push({ model, inputShape, output: link.output, fixedBatch: own, ...parts });
        const feeds = feed(link.name, "inputs", split?.feeds(taken) ?? taken, model.inputs);
        const outputs = floats(await runJob("checking models", undefined, () => model.run(feeds)));
        result = outputs[link.output]!;
        last = {
          model: link.name,
          output: link.output,
          where: name,
          coarse: false,
          simplified: false,
          result,
        };
      } else {
        const segment = await graphSegment(link, gradient, open, this.signal);
        segments.push({ ...segment, fixedBatch: own });
        await checkLink(link, segment.forward, taken, {}, probe, name);
        if (segment.recorded)
          await checkLink(link, segment.recorded, taken, {}, probe, `${name}: the recorded run`);
        const feeds = { [segment.input]: taken };
        const run = (): ReturnType<NativeSession["run"]> => segment.forward.run(feeds, [link.output]);
        result = floats(await runJob("checking models", undefined, run))[link.output]!;
        if (last) last = { ...last, result };
      }
    }
    return { segments, rows, result, which, last };
  }
}

/** Rows that a graph declares; 0: any number. */
function fixedSize({ inputs: [input] }: Graph): number {
  const first = input?.dims?.[0];
  return typeof first === "number" ? first : 0;
}

/** Whether graphs for these numbers of rows, 0 being any, can be one. */
function fitting(first: number, second: number): boolean {
  return first === 0 || second === 0 || first === second;
}
