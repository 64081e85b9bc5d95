/** What a graph costs, from its shapes alone: nothing runs. */
import { fixBatch } from "./batch.js";
import { ints, string } from "./attributes.js";
import { nodeReads, sortGraph, subgraphs, type Graph, type Node } from "./graph.js";
import { inlineFunctions } from "./inline.js";
import { inferShapes, inferSteps, type Shapes } from "./shapes.js";
import type { Steps } from "./steps.js";
import { elementSize, tensorBytes } from "./tensors.js";
import { upgradeGraph, upgradeSteps } from "./upgrade.js";

export interface GraphCost {
  /** Floating-point operations of a run: two for each multiply-add, one for each element of anything else. */
  flops: number;
  /**
   * Bytes of the values that are alive at the same time, at most, when nodes run in the file's order and every value is
   * freed after its last use. Inputs and outputs are part of it, weights are not. A runtime that works in place needs less,
   * one that rearranges data more.
   */
  peakBytes: number;
  /** Bytes of all constants, those in other files included. */
  weightBytes: number;
  /** Nodes that are not part of the sums, for their sizes are not known or they have bodies. */
  uncounted: number;
}

/** Of a graph without symbolic dimensions, as fixBatch() makes them; what still has some is left out and counted. */
export function graphCost(graph: Graph): GraphCost {
  const ready = upgradeGraph(inlineFunctions(graph));
  sortGraph(ready);
  const shapes = inferShapes(ready);
  const counts = ready.nodes.map((node) => nodeFlops(node, shapes));
  let weightBytes = 0;
  for (const name of ready.initializers.keys()) weightBytes += valueBytes(name, shapes) ?? 0;
  return {
    flops: counts.reduce<number>((sum, flops) => sum + (flops ?? 0), 0),
    peakBytes: peak(ready, shapes),
    weightBytes,
    uncounted: counts.filter((flops) => flops === null).length,
  };
}

/** Operators that do most of what a network does. */
const heavy = new Set("Conv ConvTranspose MatMul Gemm Einsum Attention".split(" "));

/** {@link GraphCost.flops}, and whether some of the operators that count most are not part of it. */
export function* graphFlops(graph: Graph): Steps<{ flops: number; uncounted: boolean }> {
  const ready = yield* upgradeSteps(inlineFunctions(graph));
  yield;
  sortGraph(ready);
  const shapes = yield* inferSteps(ready);
  let [total, uncounted] = [0, false];
  for (const node of ready.nodes) {
    yield;
    const flops = nodeFlops(node, shapes);
    total += flops ?? 0;
    uncounted ||= flops === null && (heavy.has(node.opType) || subgraphs(node).length > 0);
  }
  return { flops: total, uncounted };
}

/**
 * {@link GraphCost.peakBytes} of one row, whatever batch a graph is declared for, and whether sizes of some values are not
 * known and not part of it.
 */
export function* rowBytesSteps(graph: Graph): Steps<{ bytes: number; complete: boolean }> {
  const ready = yield* upgradeSteps(inlineFunctions(fixBatch(graph, 1).graph));
  yield;
  sortGraph(ready);
  const shapes = yield* inferSteps(ready);
  const complete = ready.nodes.every(({ outputs }) =>
    outputs.every((name) => name === "" || valueBytes(name, shapes) !== null),
  );
  return { bytes: peak(ready, shapes), complete };
}

/** Bytes of all constants, those in other files included. */
export function graphWeightBytes(graph: Graph): number {
  let total = 0;
  for (const tensor of graph.initializers.values()) total += tensorBytes(tensor) ?? 0;
  return total;
}

/** Results that are other names or forms of their first input's memory. */
const views = new Set("Identity Reshape Flatten Squeeze Unsqueeze".split(" "));
/** Operators that compute nothing: they move numbers, or make shapes. */
const free = new Set(
  (
    "Identity Reshape Flatten Squeeze Unsqueeze Transpose Slice Split Concat Gather GatherND GatherElements Pad Tile " +
    "Expand Shape Size Constant ConstantOfShape DepthToSpace SpaceToDepth Range ScatterND ScatterElements"
  ).split(" "),
);
const reductions = /^(Reduce|ArgM|GlobalAveragePool|GlobalMaxPool|GlobalLpPool)/;
/** Passes over the data: sums, differences, squares, scales. */
const normalisations = new Map(
  Object.entries({
    Softmax: 4,
    LogSoftmax: 4,
    LayerNormalization: 7,
    InstanceNormalization: 7,
    GroupNormalization: 7,
    RMSNormalization: 5,
    LpNormalization: 4,
    MeanVarianceNormalization: 6,
    BatchNormalization: 2,
    LRN: 4,
  }),
);

function count(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** null where it cannot be told. */
function nodeFlops(node: Node, shapes: Shapes): number | null {
  const dims = (name: string | undefined): number[] | null => (name ? shapes.staticDims(name) : null);
  if (node.domain === "" && node.opType === "Einsum") return einsum(node, dims);
  const y = dims(node.outputs[0]);
  if (node.domain !== "" || y === null || subgraphs(node).length > 0) return null;
  const [p, q] = [dims(node.inputs[0]), dims(node.inputs[1])];
  const bias = node.inputs[2] ? count(y) : 0;
  const { opType } = node;
  if (free.has(opType)) return 0;
  switch (opType) {
    case "Conv":
      return q && 2 * count(y) * count(q.slice(1)) + bias;
    case "ConvTranspose":
      return p && q && 2 * count(p) * count(q.slice(1)) + bias;
    case "MatMul":
      return p && 2 * count(y) * (p.at(-1) ?? 1);
    case "Gemm":
      return p && 2 * count(y) * (count(p) / (y[0] || 1)) + bias;
    case "Attention": {
      const keys = (q?.at(-2) ?? 0) + (dims(node.inputs[4])?.[2] ?? 0);
      return p && q && 2 * keys * (count(p) + count(y));
    }
    case "MaxPool":
    case "AveragePool":
    case "LpPool":
      return count(y) * count(ints(node, "kernel_shape") ?? []);
  }
  const passes = normalisations.get(opType);
  if (passes !== undefined) return passes * count(y);
  if (reductions.test(opType)) return p && count(p);
  return count(y);
}

/** A multiply-add for every combination of subscripts, as a naive contraction does. */
function einsum(node: Node, dims: (name: string) => number[] | null): number | null {
  const terms = string(node, "equation", "").split("->")[0]!.replaceAll(" ", "").split(",");
  const sizes = new Map<string, number>();
  for (const [i, term] of terms.entries()) {
    const shape = dims(node.inputs[i] ?? "");
    const letters = term.replace("...", "");
    if (shape === null || shape.length < letters.length) return null;
    const spread = shape.length - letters.length;
    const at = term.includes("...") ? term.indexOf("...") : letters.length;
    const labels = [
      ...letters.slice(0, at),
      ...Array.from({ length: spread }, (_, k) => `...${spread - k}`),
      ...letters.slice(at),
    ];
    labels.forEach((label, axis) => sizes.set(label, Math.max(sizes.get(label) ?? 1, shape[axis]!)));
  }
  return Math.max(1, 2 * (terms.length - 1)) * count([...sizes.values()]);
}

function valueBytes(name: string, shapes: Shapes): number | null {
  const dims = shapes.staticDims(name);
  const size = elementSize(shapes.elemType(name));
  return dims === null || size === null ? null : size * count(dims);
}

/** What a runtime needs beside the values: convolutions have input and output in a layout of their own. */
function workspace(node: Node, bytes: (name: string) => number): number {
  const rearranges = node.domain === "" && (node.opType === "Conv" || node.opType === "ConvTranspose");
  return rearranges ? bytes(node.inputs[0]!) + bytes(node.outputs[0]!) : 0;
}

function peak(graph: Graph, shapes: Shapes): number {
  /** The value whose memory a value lives in. */
  const owner = new Map<string, string>();
  const root = (name: string): string => owner.get(name) ?? name;
  for (const node of graph.nodes) {
    const [from] = node.inputs;
    if (node.domain === "" && views.has(node.opType) && from && !graph.initializers.has(root(from)))
      owner.set(node.outputs[0]!, root(from));
  }
  const last = new Map<string, number>();
  graph.nodes.forEach((node, index) => {
    for (const name of nodeReads(node)) last.set(root(name), index);
  });
  for (const { name } of graph.outputs) last.set(root(name), Infinity);
  const bytes = (name: string): number => valueBytes(name, shapes) ?? 0;

  let alive = graph.inputs.reduce((sum, { name }) => sum + bytes(name), 0);
  let most = alive;
  const inputs = new Set(graph.inputs.map(({ name }) => name));
  // What follows from constants alone is computed once, when a session is opened.
  const variable = new Set(graph.inputs.map(({ name }) => name));
  graph.nodes.forEach((node, index) => {
    if (!/^Random|^Multinomial/.test(node.opType) && !nodeReads(node).some((name) => variable.has(name)))
      return;
    for (const name of node.outputs) variable.add(name);
    const made = node.outputs.filter((name) => name !== "" && root(name) === name);
    for (const name of made) alive += bytes(name);
    most = Math.max(most, alive + workspace(node, bytes));
    const over = new Set([...nodeReads(node).map(root), ...made]);
    for (const name of over) {
      const kept = inputs.has(name) || !variable.has(name);
      if (!kept && (last.get(name) ?? index) <= index) alive -= bytes(name);
    }
  });
  return most;
}
