/**
 * A graph for one number of rows as a graph for any. Exports write the batch that they saw into reshapes, expansions, slices and
 * constants; each place is found by inferring shapes twice, for the rows as exported and for a symbol, and put right where the
 * two part. Nothing here proves that rows are still rows: whoever opens a batch compares them with the original's.
 */
import { fixBatch } from "../batch.js";
import { Builder } from "../builder.js";
import { copyGraph, valueNames, type Dim, type Graph, type Node } from "../graph.js";
import { inferSteps, type Shapes } from "../shapes.js";
import { isStatic, product } from "../shapes/dims.js";
import type { Steps } from "../steps.js";
import { isExternal, isInteger, makeTensor, readNumbers, tensorDims } from "../tensors.js";
import { constantsToInitializers } from "../upgrade.js";
import { inferredOutputs } from "./declarations.js";

const end = 2n ** 63n - 1n;

/** Operators whose inputs are broadcast against each other. */
const elementwise = new Set(
  "Add Sub Mul Div Pow Mod Where Max Min Sum Mean PRelu Equal Less LessOrEqual Greater GreaterOrEqual And Or Xor Gemm MatMul".split(
    " ",
  ),
);
/** Those whose inputs must be as long as each other along the batch: all of them, or those listed. */
const alike: Readonly<Record<string, { inputs?: readonly number[]; axis?: number }>> = {
  Concat: {},
  ScatterElements: {},
  GatherElements: {},
  LSTM: { inputs: [5, 6], axis: 1 },
  GRU: { inputs: [5], axis: 1 },
  RNN: { inputs: [5], axis: 1 },
};

/** @param rows that the graph is for now; inputs of other first sizes keep them */
export function* openBatchGraph(graph: Graph, rows: number): Steps<Graph> {
  const { graph: closed } = fixBatch(graph, rows);
  closed.valueInfos.clear();
  constantsToInitializers(closed);
  yield;
  const fixed = yield* inferSteps(closed);
  return yield* new BatchOpener(copyGraph(closed), fixed, rows).run();
}

class BatchOpener {
  private readonly b: Builder;
  private readonly batch: string;
  /** The input that tells how many rows there are. */
  private readonly first: string;
  /** Elements of an axis that lie before the batch within it, where that is not 1. */
  private readonly before = new Map<string, number>();
  private readonly nodes: readonly Node[];

  constructor(
    graph: Graph,
    private readonly fixed: Shapes,
    private readonly rows: number,
  ) {
    this.nodes = graph.nodes;
    const names = valueNames(graph);
    graph.nodes = [];
    graph.irVersion = Math.max(4, graph.irVersion);
    const used = new Set(graph.inputs.flatMap(({ dims }) => dims ?? []));
    this.batch = "batch";
    while (used.has(this.batch)) this.batch += "_";
    // A number alone is rather a scalar, a whole one a class of each row.
    const open = graph.inputs.filter(
      ({ dims, elemType }) =>
        dims !== null && dims[0] === rows && (dims.length > 1 || (dims.length === 1 && isInteger(elemType))),
    );
    for (const { dims } of open) dims![0] = this.batch;
    this.first = open[0]?.name ?? "";
    this.b = new Builder(graph, "any batch/");
    for (const name of names) this.b.names.fresh(name);
    for (const { name } of this.nodes) if (name !== "") this.b.names.fresh(name);
  }

  *run(): Steps<Graph> {
    const { graph } = this.b;
    if (this.first === "") return graph;
    for (const node of this.nodes) {
      yield;
      this.add(node);
    }
    for (const output of graph.outputs) output.dims = null;
    return yield* inferredOutputs(graph);
  }

  private add(node: Node): void {
    const { b } = this;
    if (node.domain === "") this.prepare(node);
    b.append(node);
    const output = node.outputs[0] ?? "";
    const source = node.inputs.find((name) => this.before.has(name));
    if (source !== undefined && this.axisOf(output) >= 0 && !this.before.has(output))
      this.before.set(output, this.before.get(source)!);
    if (node.domain === "" && ["Reshape", "Flatten", "Squeeze"].includes(node.opType)) this.reshaped(node);
  }

  /** The axis of a value that the batch is part of; -1 where none is known to be. */
  private axisOf(name: string): number {
    return this.b.shapes.dims(name)?.findIndex((dim) => this.isBatch(dim)) ?? -1;
  }

  private isBatch(dim: Dim): boolean {
    return typeof dim === "string" && dim.split("*").includes(this.batch);
  }

  /** Changes what a node reads, in the node itself. */
  private prepare(node: Node): void {
    switch (node.opType) {
      case "Expand":
      case "ConstantOfShape":
      case "Tile":
      case "Resize":
        return this.prepareSizes(node);
      case "Slice":
        return this.prepareSlice(node);
      default:
    }
    const { inputs: only, axis } = alike[node.opType] ?? {};
    if (alike[node.opType]) this.prepareAlike(node, only ?? node.inputs.map((_, i) => i), axis);
    else if (elementwise.has(node.opType)) this.prepareElementwise(node);
  }

  /** Sizes that are constants, one of them the batch's. */
  private prepareSizes(node: Node): void {
    const at = { Expand: 1, ConstantOfShape: 0, Tile: 1, Resize: 3 }[node.opType]!;
    const sizes = this.b.shapes.numbers(node.inputs[at] ?? "");
    const from = node.opType === "ConstantOfShape" ? -1 : this.axisOf(node.inputs[0]!);
    if (sizes === null || sizes.length < 2) return;
    const rank = this.b.shapes.dims(node.inputs[0]!)?.length ?? sizes.length;
    const axis = from >= 0 ? from + sizes.length - rank : 0;
    const made = this.fixed.dims(node.outputs[0] ?? "");
    // One row is broadcast wherever it is needed; of a resize all sizes are said.
    if (this.rows === 1 && node.opType !== "Resize") return;
    if (made?.[axis] !== this.rows || sizes[axis] !== this.rows) return;
    // What has the batch already stays as it is, along it.
    const own = from >= 0 && node.opType !== "Resize" ? this.b.ints([1]) : this.count();
    node.inputs[at] = this.b.op(
      "Concat",
      [
        ...(axis > 0 ? [this.b.ints(sizes.slice(0, axis))] : []),
        own,
        ...(axis + 1 < sizes.length ? [this.b.ints(sizes.slice(axis + 1))] : []),
      ],
      { axis: 0 },
    );
  }

  /** A slice of all rows is one of all there are. */
  private prepareSlice(node: Node): void {
    const { shapes } = this.b;
    const batch = this.axisOf(node.inputs[0]!);
    const [starts, ends] = [shapes.numbers(node.inputs[1] ?? ""), shapes.bounds(node.inputs[2] ?? "")];
    if (batch < 0 || starts === null || ends === null) return;
    const rank = shapes.dims(node.inputs[0]!)!.length;
    const axes = (shapes.numbers(node.inputs[3] ?? "") ?? starts.map((_, i) => i)).map((axis) =>
      axis < 0 ? axis + rank : axis,
    );
    const at = axes.indexOf(batch);
    const whole = this.fixed.dims(node.inputs[0]!)?.[batch];
    if (at < 0 || starts[at] !== 0 || typeof whole !== "number" || Number(ends[at]) < whole) return;
    node.inputs[2] = this.b.ints(ends.map((bound, i) => (i === at ? end : bound)));
  }

  /** A reshape that loses the batch, or puts it elsewhere, gets a target that does not. */
  private reshaped(node: Node): void {
    const { b, fixed } = this;
    const [input, output] = [node.inputs[0]!, node.outputs[0]!];
    const from = b.shapes.dims(input);
    const axis = this.axisOf(input);
    const [was, now] = [fixed.staticDims(input), fixed.staticDims(output)];
    if (from === null || axis < 0 || was === null || now === null) return;
    // Elements before the batch, and the axis of the result that they lead to.
    const ahead = was.slice(0, axis).reduce((p, q) => p * q, 1) * (this.before.get(input) ?? 1);
    const target = this.axisAt(now, ahead);
    if (target === null) return;
    const wanted = now.map((size, k) => (k === target ? -1 : size));
    const inner = ahead / now.slice(0, target).reduce((p, q) => p * q, 1);
    if (inner !== 1) this.before.set(output, inner);
    else this.before.delete(output);
    const got = b.shapes.dims(output);
    const agrees =
      got !== null &&
      got.every((dim, k) => (k === target ? this.isBatch(dim) : dim === now[k])) &&
      product(got) === product(from);
    if (agrees) return;
    // In its place: nobody has read the output yet.
    b.graph.nodes.pop();
    node.opType = "Reshape";
    node.attributes = new Map();
    node.inputs = [input, b.ints(wanted)];
    b.append(node);
  }

  /** The axis of a shape that the batch is, or is part of, where so many elements lie before it in row-major order. */
  private axisAt(dims: readonly number[], ahead: number): number | null {
    const counts = dims.map((_, axis) => dims.slice(0, axis).reduce((p, q) => p * q, 1));
    const axis = (test: (size: number, count: number) => boolean): number =>
      dims.findIndex((size, k) => test(size, counts[k]!));
    const holding = axis((size, count) => count <= ahead && count * size > ahead);
    // One row takes no room: it is an axis of its own, or else behind what lies before it.
    const one = this.rows > 1 ? -1 : axis((size, count) => size === 1 && count === ahead);
    const behind = this.rows > 1 || ahead === 1 ? -1 : axis((size, count) => count * size === ahead);
    const found = [one, behind, holding].find((k) => k >= 0);
    if (found === undefined) return this.rows === 1 && ahead === 1 && dims.length > 0 ? 0 : null;
    return ahead % counts[found]! === 0 && dims[found]! % this.rows === 0 ? found : null;
  }

  /** Constants with a row for each of the batch have one for all. */
  private prepareElementwise(node: Node): void {
    if (this.rows === 1) return;
    const ranks = node.inputs.map((name) => this.fixed.dims(name)?.length ?? 0);
    const rank = Math.max(...ranks);
    const from = node.inputs.findIndex((name) => this.axisOf(name) >= 0);
    if (from < 0) return;
    const axis = this.axisOf(node.inputs[from]!) + rank - ranks[from]!;
    node.inputs.forEach((name, i) => {
      const own = axis - (rank - ranks[i]!);
      // Matrices of products have no batch in their last two axes.
      if (node.opType === "MatMul" && own >= ranks[i]! - 2) return;
      if (own >= 0 && this.lacksBatch(name, own)) node.inputs[i] = this.oneRow(name, own);
    });
  }

  private prepareAlike(node: Node, only: readonly number[], along: number | undefined): void {
    const batch = along ?? Math.max(...node.inputs.map((name) => this.axisOf(name)));
    if (batch < 0) return;
    const joined = node.opType === "Concat" && node.attributes.get("axis")?.i;
    const rank = this.fixed.dims(node.inputs[0]!)?.length ?? 0;
    if (joined !== false && (Number(joined) + rank) % rank === batch) return;
    for (const i of only) {
      const name = node.inputs[i] ?? "";
      if (name === "" || !this.lacksBatch(name, batch)) continue;
      const dims = this.fixed.staticDims(name);
      if (!dims) continue;
      const one = this.rows === 1 ? name : this.oneRow(name, batch);
      const size = (k: number): string => (k === batch ? this.count() : this.b.ints([dims[k]!]));
      const sizes = this.b.op(
        "Concat",
        dims.map((_, k) => size(k)),
        { axis: 0 },
      );
      node.inputs[i] = this.b.op("Expand", [one, sizes]);
    }
  }

  /** Whether a value is as long as the batch was along an axis, and does not grow with it. */
  private lacksBatch(name: string, axis: number): boolean {
    return this.axisOf(name) < 0 && this.fixed.dims(name)?.[axis] === this.rows;
  }

  /** The first of equal rows. */
  private oneRow(name: string, axis: number): string {
    const { b } = this;
    const constant = b.graph.initializers.get(name);
    const dims = constant && tensorDims(constant);
    const numbers = constant && axis === 0 && !isExternal(constant) ? readNumbers(constant) : null;
    if (!constant || !dims || !numbers || !isStatic(dims))
      return b.op("Gather", [name, b.ints([0])], { axis });
    const size = numbers.length / this.rows;
    const row = b.names.fresh(`${name}/row`);
    const kept = Array.prototype.slice.call(numbers, 0, size) as number[];
    b.graph.initializers.set(row, makeTensor(row, constant.dataType, [1, ...dims.slice(1)], kept));
    return row;
  }

  /** How many rows there are, an int64 vector of one. */
  private count(): string {
    return this.b.op("Gather", [this.b.op("Shape", [this.first]), this.b.ints([0])], { axis: 0 });
  }
}
