/**
 * An ONNX graph as data. It mirrors `GraphProto`, with the parts that passes touch all the time (names, nodes,
 * types) as plain objects and the rest (weights, attributes) as the protobuf messages they were read from, so
 * that nothing is copied and nothing is lost on the way back.
 */
import type { AttributeProto, FunctionProto, GraphProto, TensorProto, TypeProto } from "onnx-buf";
import { ModelError, Tr0nError } from "../base/errors.js";

/** A dimension: its size, a symbol (equal symbols are equal sizes), or null when nothing is known. */
export type Dim = number | string | null;

/** The name and type of a graph input, output or intermediate value. */
export interface ValueInfo {
  name: string;
  /** `TensorProto_DataType`; 0 when unknown or not a tensor. */
  elemType: number;
  /** null when the rank is unknown. */
  dims: Dim[] | null;
  /** The type as it was read, kept only for values that are not dense tensors (sequences, maps, optionals). */
  otherType?: TypeProto;
}

/** One operator. An empty string among inputs or outputs is an optional one that is left out. */
export interface Node {
  opType: string;
  /** "" for the standard operators. */
  domain: string;
  name: string;
  overload: string;
  inputs: string[];
  outputs: string[];
  attributes: Map<string, AttributeProto>;
}

export interface Graph {
  name: string;
  irVersion: number;
  /** Operator set versions by domain, "" for the standard operators. */
  opsets: Map<string, number>;
  /** What a caller feeds. Inputs that have an initializer are constants here and not listed. */
  inputs: ValueInfo[];
  /** Inputs of the file that have an initializer: its numbers hold unless somebody fixes others. */
  defaults?: readonly ValueInfo[];
  outputs: ValueInfo[];
  initializers: Map<string, TensorProto>;
  nodes: Node[];
  /** Types the file declares for intermediate values. */
  valueInfos: Map<string, ValueInfo>;
  /** Functions local to the model, called by nodes of their domain. */
  functions: FunctionProto[];
  metadata: Map<string, string>;
}

/** A graph with nothing in it, of the given standard operator set. */
export function emptyGraph(name: string, opset = 18): Graph {
  return {
    name,
    irVersion: 8,
    opsets: new Map([["", opset]]),
    inputs: [],
    outputs: [],
    initializers: new Map(),
    nodes: [],
    valueInfos: new Map(),
    functions: [],
    metadata: new Map(),
  };
}

/** A copy whose lists, nodes and value types can be changed without touching `graph`; weights are shared. */
export function copyGraph(graph: Graph): Graph {
  const value = (v: ValueInfo): ValueInfo => ({ ...v, dims: v.dims && [...v.dims] });
  return {
    ...graph,
    opsets: new Map(graph.opsets),
    inputs: graph.inputs.map(value),
    outputs: graph.outputs.map(value),
    initializers: new Map(graph.initializers),
    nodes: graph.nodes.map(copyNode),
    valueInfos: new Map([...graph.valueInfos].map(([name, v]) => [name, value(v)])),
    functions: [...graph.functions],
    metadata: new Map(graph.metadata),
  };
}

function copyNode(node: Node): Node {
  return {
    ...node,
    inputs: [...node.inputs],
    outputs: [...node.outputs],
    attributes: new Map(node.attributes),
  };
}

/** A node that gives a value a second name. */
export function identity(from: string, to: string): Node {
  return {
    opType: "Identity",
    domain: "",
    name: "",
    overload: "",
    inputs: [from],
    outputs: [to],
    attributes: new Map(),
  };
}

/** What tables call a node's operator: by its name, behind its domain where that is not the standard one. */
export function operatorName({ domain, opType }: { domain: string; opType: string }): string {
  return domain === "" ? opType : `${domain}.${opType}`;
}

/** How messages name a node: `Conv node "conv1"`, or by its first output where it has no name. */
export function describeNode(node: Node): string {
  const type = operatorName(node);
  return node.name !== ""
    ? `${type} node "${node.name}"`
    : `${type} node that makes "${node.outputs.find((output) => output !== "") ?? ""}"`;
}

/**
 * Runs a pass over one node. A node that breaks the operator's definition (an input missing, an axis that does not
 * exist) may fail anywhere in a pass: it is reported as what it is.
 */
export function onNode<T>(node: Node, pass: () => T): T {
  try {
    return pass();
  } catch (cause) {
    if (cause instanceof Tr0nError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ModelError("ERR_MODEL_INVALID", `${describeNode(node)} is malformed: ${why}`, { cause });
  }
}

/** Hands out names that no value or node of the graph has. */
export class Names {
  private readonly used: Set<string>;
  private readonly next = new Map<string, number>();

  constructor(graph: Graph) {
    this.used = new Set([...valueNames(graph), ...graph.nodes.map((node) => node.name)]);
    for (const node of graph.nodes)
      for (const body of subgraphs(node)) for (const name of bodyNames(body)) this.used.add(name);
  }

  has(name: string): boolean {
    return this.used.has(name);
  }

  /** Takes `hint` when it is free, else `hint_1`, `hint_2`, … */
  fresh(hint: string): string {
    let name = hint;
    for (let i = this.next.get(hint) ?? 1; this.used.has(name); i++) {
      name = `${hint}_${i}`;
      this.next.set(hint, i + 1);
    }
    this.used.add(name);
    return name;
  }
}

/** Every value a graph defines at its top level: inputs, initializers, node outputs. */
export function valueNames(graph: Graph): Set<string> {
  const names = new Set<string>(graph.initializers.keys());
  for (const input of graph.inputs) names.add(input.name);
  for (const node of graph.nodes) for (const output of node.outputs) if (output !== "") names.add(output);
  return names;
}

/** The bodies of an If, Loop or Scan. */
export function subgraphs(node: Node): GraphProto[] {
  const bodies: GraphProto[] = [];
  for (const attribute of node.attributes.values()) {
    if (attribute.g) bodies.push(attribute.g);
    for (const body of attribute.graphs) bodies.push(body);
  }
  return bodies;
}

function* bodyNames(body: GraphProto): Generator<string> {
  for (const input of body.input) yield input.name;
  for (const initializer of body.initializer) yield initializer.name;
  for (const node of body.node) {
    yield* node.output;
    for (const attribute of node.attribute) {
      if (attribute.g) yield* bodyNames(attribute.g);
      for (const inner of attribute.graphs) yield* bodyNames(inner);
    }
  }
}

/** The names that a body takes from the graph around it. */
export function capturedNames(body: GraphProto): Set<string> {
  const own = new Set<string>();
  for (const input of body.input) own.add(input.name);
  for (const initializer of body.initializer) own.add(initializer.name);
  for (const node of body.node) for (const output of node.output) own.add(output);
  const captured = new Set<string>();
  const read = (name: string): void => {
    if (name !== "" && !own.has(name)) captured.add(name);
  };
  for (const node of body.node) {
    node.input.forEach(read);
    for (const attribute of node.attribute) {
      if (attribute.g) capturedNames(attribute.g).forEach(read);
      for (const inner of attribute.graphs) capturedNames(inner).forEach(read);
    }
  }
  for (const output of body.output) read(output.name);
  return captured;
}

/** Every value a node reads: its inputs, and what its bodies capture. */
export function nodeReads(node: Node): string[] {
  const reads = node.inputs.filter((name) => name !== "");
  for (const body of subgraphs(node)) for (const name of capturedNames(body)) reads.push(name);
  return reads;
}

/** Which nodes read each value. */
export function consumers(graph: Graph): Map<string, Node[]> {
  const readers = new Map<string, Node[]>();
  for (const node of graph.nodes)
    for (const name of new Set(nodeReads(node))) {
      const list = readers.get(name);
      if (list) list.push(node);
      else readers.set(name, [node]);
    }
  return readers;
}

/**
 * Puts the nodes into an order in which every value is made before it is read, keeping the file's order where
 * it can.
 *
 * @throws ModelError ERR_MODEL_INVALID for a value made twice, a value nobody makes, or a cycle.
 */
export function sortGraph(graph: Graph, modelName = "the model"): void {
  const fail = (message: string): ModelError =>
    new ModelError("ERR_MODEL_INVALID", `${modelName}: ${message}`);
  const defined = new Set<string>(graph.initializers.keys());
  for (const input of graph.inputs) {
    if (input.name === "") throw fail("a graph input has no name");
    if (defined.has(input.name)) throw fail(`the value "${input.name}" is defined twice`);
    defined.add(input.name);
  }
  const makers = new Map<string, number>();
  graph.nodes.forEach((node, index) => {
    for (const output of node.outputs) {
      if (output === "") continue;
      if (defined.has(output) || makers.has(output))
        throw fail(`${describeNode(node)} makes the value "${output}", which is defined twice`);
      makers.set(output, index);
    }
  });

  const waiting: number[] = [];
  const readers = new Map<number, number[]>();
  graph.nodes.forEach((node, index) => {
    const sources = new Set<number>();
    for (const name of nodeReads(node)) {
      const maker = makers.get(name);
      if (maker !== undefined) sources.add(maker);
      else if (!defined.has(name)) throw fail(`${describeNode(node)} reads "${name}", which nothing makes`);
    }
    waiting[index] = sources.size;
    for (const source of sources) {
      const list = readers.get(source);
      if (list) list.push(index);
      else readers.set(source, [index]);
    }
  });
  for (const output of graph.outputs)
    if (!defined.has(output.name) && !makers.has(output.name))
      throw fail(`the graph output "${output.name}" is made by nothing`);

  // Files are sorted already as a rule: one pass over the waiting counts shows it and keeps their order.
  const order: number[] = [];
  const ready = waiting.flatMap((count, index) => (count === 0 ? [index] : [])).reverse();
  while (ready.length > 0) {
    const index = ready.pop()!;
    order.push(index);
    for (const reader of (readers.get(index) ?? []).reverse())
      if (--waiting[reader]! === 0) ready.push(reader);
  }
  if (order.length < graph.nodes.length) {
    const stuck = graph.nodes[waiting.findIndex((count) => count > 0)]!;
    throw fail(`${describeNode(stuck)} lies on a cycle or behind one`);
  }
  if (!isSorted(graph, makers)) graph.nodes = order.map((index) => graph.nodes[index]!);
}

function isSorted(graph: Graph, makers: Map<string, number>): boolean {
  return graph.nodes.every((node, index) =>
    nodeReads(node).every((name) => (makers.get(name) ?? -1) < index),
  );
}

/** Drops nodes whose results reach no graph output, and initializers and declared types nobody uses. */
export function removeDead(graph: Graph): void {
  const needed = new Set(graph.outputs.map((output) => output.name));
  const kept: Node[] = [];
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i]!;
    if (!node.outputs.some((output) => output !== "" && needed.has(output))) continue;
    kept.push(node);
    for (const name of nodeReads(node)) needed.add(name);
  }
  graph.nodes = kept.reverse();
  for (const name of graph.initializers.keys()) if (!needed.has(name)) graph.initializers.delete(name);
  const made = valueNames(graph);
  for (const name of graph.valueInfos.keys()) if (!made.has(name)) graph.valueInfos.delete(name);
}

/** Renames values everywhere at the top level, and in bodies by `inBody`: there what they capture, and nothing else. */
export function renameValues(
  graph: Graph,
  renamed: ReadonlyMap<string, string>,
  inBody: (body: GraphProto) => GraphProto = (body) => renameCaptured(body, renamed),
): void {
  const to = (name: string): string => renamed.get(name) ?? name;
  for (const value of [...graph.inputs, ...graph.outputs]) value.name = to(value.name);
  for (const node of graph.nodes) {
    node.inputs = node.inputs.map(to);
    node.outputs = node.outputs.map(to);
    for (const [name, attribute] of node.attributes)
      if (attribute.g || attribute.graphs.length > 0)
        node.attributes.set(name, withBodies(attribute, inBody));
  }
  graph.initializers = new Map(
    [...graph.initializers].map(([name, tensor]) => [to(name), withFields(tensor, { name: to(name) })]),
  );
  graph.valueInfos = new Map(
    [...graph.valueInfos].map(([name, value]) => [to(name), { ...value, name: to(name) }]),
  );
}

/** The attribute with its bodies replaced. */
export function withBodies(attribute: AttributeProto, map: (body: GraphProto) => GraphProto): AttributeProto {
  return withFields(attribute, {
    ...(attribute.g ? { g: map(attribute.g) } : {}),
    graphs: attribute.graphs.map(map),
  });
}

function renameCaptured(body: GraphProto, renamed: ReadonlyMap<string, string>): GraphProto {
  const captured = capturedNames(body);
  const to = (name: string): string => (captured.has(name) ? (renamed.get(name) ?? name) : name);
  return withFields(body, {
    output: body.output.map((output) => withFields(output, { name: to(output.name) })),
    node: body.node.map((node) =>
      withFields(node, {
        input: node.input.map(to),
        attribute: node.attribute.map((attribute) =>
          withBodies(attribute, (inner) => renameCaptured(inner, renamed)),
        ),
      }),
    ),
  });
}

/** A shallow copy of a protobuf message with some fields changed. Unset fields live on the prototype. */
export function withFields<T extends object>(message: T, changes: Partial<T>): T {
  return Object.assign(Object.create(Object.getPrototypeOf(message) as object) as T, message, changes);
}
