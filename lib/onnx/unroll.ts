/**
 * Loops whose number of steps is known: few steps become their nodes, one after the other; many become a Scan, which has a
 * gradient. Loops that end by a condition on data stay as they are.
 */
import { AttributeProto_AttributeType, AttributeProtoSchema, type GraphProto } from "onnx-buf";
import { create } from "@bufbuild/protobuf";
import { graph as graphAttribute, int, ints } from "./attributes.js";
import { bodyGraph, encodeBody, renameApart } from "./body.js";
import { Builder } from "./builder.js";
import { identity, onNode, removeDead, withFields, type Graph, type Node, type ValueInfo } from "./graph.js";
import { Shapes } from "./shapes.js";
import { normalAxis } from "./shapes/operators.js";
import { DataType } from "./tensors.js";

/**
 * Nodes that a loop may be unrolled to. Each costs the runtime some 0.2 ms once, when it opens the model; the adjoint of a Scan
 * computes every step again, in every run.
 */
const mostNodes = 512;
/** Nodes that all loops of a graph may be unrolled to, those within each other among them. */
const mostOfAll = 16 * mostNodes;
/** Steps that are tried where the number of steps follows from the loop's own condition. */
const mostSteps = 256;

/** How many nodes a graph may have before its loops stay loops. */
const room = new WeakMap<Builder, number>();

const isLoop = (node: Node): boolean =>
  node.domain === "" && (node.opType === "Loop" || node.opType === "Scan");

/** Unrolls, or brings into the form of a Scan, what can be. Changes `graph`, which is sorted. */
export function unrollLoops(graph: Graph): void {
  if (!graph.nodes.some(isLoop)) return;
  const b = new Builder(graph, "step/", new Shapes(graph));
  const { nodes } = graph;
  room.set(b, nodes.length + mostOfAll);
  graph.nodes = [];
  for (const node of nodes) place(b, node);
  removeDead(graph);
}

/** Appends the node, or what it is unrolled to. What was tried in vain stays behind, and nothing reads it. */
function place(b: Builder, node: Node): void {
  const values = isLoop(node) ? onNode(node, () => unrolled(b, node)) : null;
  if (values === null) b.append(node);
  else
    node.outputs.forEach((name, i) => {
      if (name !== "") b.append(identity(values[i]!, name));
    });
}

/** The values of the node's outputs; null where it stays. */
function unrolled(b: Builder, node: Node): string[] | null {
  const body = graphAttribute(node, "body");
  if (!body) throw new Error("it has no body");
  // What tries left behind counts too.
  const full = b.graph.nodes.length > room.get(b)!;
  if (node.opType === "Scan") return full ? null : unrolledScan(b, node, body);
  return (full ? null : unrolledLoop(b, node, body)) ?? asScan(b, node, body);
}

/** Nodes of a step: those of its body, and one for each value that goes in or comes out. */
function sizeOfStep(body: GraphProto): number {
  return sizeOfBody(body) + body.input.length + body.output.length;
}

function sizeOfBody(body: GraphProto): number {
  return body.node.reduce(
    (sum, node) => sum + 1 + node.attribute.reduce((inner, { g }) => inner + (g ? sizeOfBody(g) : 0), 0),
    0,
  );
}

const around = (b: Builder) => ({ graph: b.graph, valueInfo: (name: string) => b.shapes.valueInfo(name) });

/** Emits the nodes of one step on values for the body's inputs; returns the values of its outputs. */
function emitStep(
  b: Builder,
  node: Node,
  body: GraphProto,
  inputs: readonly string[],
  step: number,
): string[] {
  const types = inputs.map((name) => b.shapes.valueInfo(name));
  const graph = bodyGraph(body, around(b), [], types);
  const own = new Set(body.input.map(({ name }) => name));
  const bound = new Map<string, string>();
  body.input.forEach(({ name }, i) => bound.set(name, inputs[i]!));
  for (const { name } of graph.inputs) if (!own.has(name)) bound.set(name, name);
  const constants = new Set(body.initializer.map(({ name }) => name));
  for (const name of graph.initializers.keys()) if (!constants.has(name)) bound.set(name, name);
  renameApart(graph, b.names, bound, `${node.name || node.opType}/${step}/`);
  for (const [name, tensor] of graph.initializers) b.graph.initializers.set(name, tensor);
  for (const inner of graph.nodes) place(b, inner);
  return graph.outputs.map(({ name }) => name);
}

/** One value of all the elements. */
const stacked = (b: Builder, elements: readonly string[], axis: number): string =>
  b.op(
    "Concat",
    elements.map((element) => b.op("Unsqueeze", [element, b.ints([axis])])),
    { axis },
  );

function unrolledScan(b: Builder, node: Node, body: GraphProto): string[] | null {
  const count = int(node, "num_scan_inputs", 0);
  const first = node.inputs.length - count;
  const [axes, places] = [ints(node, "scan_input_axes") ?? [], ints(node, "scan_output_axes") ?? []];
  const [back, turned] = [
    ints(node, "scan_input_directions") ?? [],
    ints(node, "scan_output_directions") ?? [],
  ];
  const scanned = node.inputs.slice(first).map((name, i) => {
    const dims = b.shapes.dims(name);
    const axis = dims && normalAxis(axes[i] ?? 0, dims.length);
    return { name, axis, length: axis === null ? null : dims![axis]! };
  });
  const length = scanned.find(({ length }) => typeof length === "number")?.length;
  if (typeof length !== "number" || length < 1 || length * sizeOfStep(body) > mostNodes) return null;
  if (scanned.some(({ axis }) => axis === null)) return null;
  let states = node.inputs.slice(0, first);
  const elements: string[][] = body.output.slice(first).map(() => []);
  for (let step = 0; step < length; step++) {
    const parts = scanned.map(({ name, axis }, i) =>
      b.op("Gather", [name, b.int(back[i] ? length - 1 - step : step)], { axis: axis! }),
    );
    const made = emitStep(b, node, body, [...states, ...parts], step);
    states = made.slice(0, first);
    made
      .slice(first)
      .forEach((value, i) => (turned[i] ? elements[i]!.unshift(value) : elements[i]!.push(value)));
  }
  const results: string[] = [];
  for (const [i, values] of elements.entries()) {
    const rank = b.rank(values[0]!);
    const place = places[i] ?? 0;
    if (rank === null && place < 0) return null;
    results.push(stacked(b, values, place < 0 ? place + rank! + 1 : place));
  }
  return [...states, ...results];
}

/** Step by step, as long as the condition is known. */
function unrolledLoop(b: Builder, node: Node, body: GraphProto): string[] | null {
  const trips = node.inputs[0] ? b.shapes.numbers(node.inputs[0])?.[0] : Infinity;
  let more = node.inputs[1] ? b.shapes.numbers(node.inputs[1])?.[0] : 1;
  if (trips === undefined || more === undefined) return null;
  const size = sizeOfStep(body);
  if (Number.isFinite(trips) && !endsItself(b, body) && trips * size > mostNodes) return null;
  const carried = node.inputs.length - 2;
  let states = node.inputs.slice(2);
  const elements: string[][] = body.output.slice(1 + carried).map(() => []);
  let step = 0;
  for (; step < trips && more; step++) {
    if (step >= mostSteps || (step + 1) * size > mostNodes) return null;
    const condition = b.constant([1], [], DataType.BOOL);
    const [next, ...made] = emitStep(b, node, body, [b.int(step), condition, ...states], step);
    more = b.shapes.numbers(next!)?.[0];
    if (more === undefined && step + 1 < trips) return null;
    states = made.slice(0, carried);
    made.slice(carried).forEach((value, i) => elements[i]!.push(value));
  }
  // Without a step the further outputs are empty, and nobody says of what shape.
  if (step === 0 && elements.length > 0) return null;
  return [...states, ...elements.map((values) => stacked(b, values, 0))];
}

/** Whether the body may end the loop before its time. */
function endsItself(b: Builder, body: GraphProto): boolean {
  const inner = bodyGraph(body, around(b));
  const condition = body.input[1]?.name;
  inner.inputs = inner.inputs.filter(({ name }) => name !== condition);
  if (condition !== undefined)
    inner.initializers.set(condition, b.graph.initializers.get(b.constant([1], [], DataType.BOOL))!);
  const shapes = new Shapes(inner);
  for (const each of inner.nodes) shapes.addNode(each);
  return shapes.numbers(body.output[0]!.name)?.[0] !== 1;
}

/** A Loop that never ends itself as a Scan over the numbers of its steps, where what it carries keeps its shape. */
function asScan(b: Builder, node: Node, body: GraphProto): string[] | null {
  const [trips, condition, ...states] = node.inputs;
  if (!trips || (condition && b.shapes.numbers(condition)?.[0] !== 1) || endsItself(b, body)) return null;
  const numbers = b.op("Range", [b.int(0), b.op("Squeeze", [trips]), b.int(1)]);
  const scalar = { elemType: DataType.INT64, dims: [] };
  const types = states.map((name) => b.shapes.valueInfo(name));
  const inner = bodyGraph(body, around(b), [], [scalar, { elemType: DataType.BOOL, dims: [] }, ...types]);
  if (!keepsShapes(inner, types)) return null;
  const [step, more, ...carried] = inner.inputs.slice(0, body.input.length) as [
    ValueInfo,
    ValueInfo,
    ...ValueInfo[],
  ];
  const always = b.graph.initializers.get(b.constant([1], [], DataType.BOOL))!;
  inner.initializers.set(more.name, withFields(always, { name: more.name }));
  inner.outputs.shift();
  const open = ({ name, elemType }: ValueInfo): ValueInfo => ({ name, elemType, dims: null });
  inner.outputs = inner.outputs.map(open);
  const g = encodeBody(inner, b.graph, [...carried, step].map(open));
  const outputs = node.outputs.map((name) => b.names.fresh(`${name}/scanned`));
  b.append({
    ...node,
    opType: "Scan",
    inputs: [...states, numbers],
    outputs,
    attributes: new Map([
      ["body", create(AttributeProtoSchema, { name: "body", type: AttributeProto_AttributeType.GRAPH, g })],
      [
        "num_scan_inputs",
        create(AttributeProtoSchema, {
          name: "num_scan_inputs",
          type: AttributeProto_AttributeType.INT,
          i: 1n,
        }),
      ],
    ]),
  });
  return outputs;
}

function keepsShapes(inner: Graph, types: readonly ValueInfo[]): boolean {
  const shapes = new Shapes(inner);
  for (const node of inner.nodes) shapes.addNode(node);
  return types.every(({ dims }, i) => {
    const [before, after] = [shapes.dims(inner.inputs[i + 2]!.name), shapes.dims(inner.outputs[i + 1]!.name)];
    return (
      dims !== null && before!.length === after?.length && before!.every((dim, axis) => dim === after[axis])
    );
  });
}
