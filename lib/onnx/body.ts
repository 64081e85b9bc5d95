/** The bodies of control flow as graphs of their own: what they capture from around them becomes inputs. */
import { create } from "@bufbuild/protobuf";
import { GraphProtoSchema, type FunctionProto, type GraphProto } from "onnx-buf";
import { decodeNode, decodeValue, encodeNode, encodeValue } from "./codec.js";
import {
  capturedNames,
  emptyGraph,
  renameValues,
  withBodies,
  withFields,
  type Graph,
  type Names,
  type Node,
  type ValueInfo,
} from "./graph.js";

/** What surrounds a body. */
interface Surroundings {
  readonly graph: Graph;
  valueInfo(name: string): ValueInfo;
}

/**
 * A body as a graph. Its own inputs (those of a Scan or a Loop; a branch of an If has none) come first. Constants that it
 * captures are constants of the result, as rules read them; other captured values are inputs, and so are `also`.
 *
 * @param own the types of its own inputs, in their order
 */
export function bodyGraph(
  body: GraphProto,
  around: Surroundings,
  also: readonly string[] = [],
  own: readonly Omit<ValueInfo, "name">[] = [],
): Graph {
  const captured = [...new Set([...capturedNames(body), ...also])];
  const constants = around.graph.initializers;
  return {
    ...emptyGraph(body.name),
    irVersion: around.graph.irVersion,
    opsets: new Map(around.graph.opsets),
    inputs: [
      ...body.input.map((input, i) => ({ ...(own[i] ?? decodeValue(input)), name: input.name })),
      ...captured.filter((name) => !constants.has(name)).map((name) => around.valueInfo(name)),
    ],
    outputs: body.output.map(decodeValue),
    initializers: new Map([
      ...captured.flatMap((name) => (constants.has(name) ? [[name, constants.get(name)!] as const] : [])),
      ...body.initializer.map((tensor) => [tensor.name, tensor] as const),
    ]),
    nodes: body.node.map(decodeNode),
    valueInfos: new Map(body.valueInfo.map((value) => [value.name, decodeValue(value)])),
  };
}

/**
 * Values that are made for one output take its name. In bodies the runtime's optimizer (1.30) may lose the node behind an
 * Identity: it renames the value for some of its readers only.
 */
export function withoutIdentities(graph: Graph): void {
  const made = new Set(graph.nodes.flatMap(({ outputs }) => outputs));
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const renamed = new Map<string, string>();
  const kept = graph.nodes.filter(({ domain, opType, inputs, outputs: [to] }) => {
    const from = inputs[0] ?? "";
    if (domain !== "" || opType !== "Identity" || !outputs.has(to!)) return true;
    if (!made.has(from) || outputs.has(from) || renamed.has(from)) return true;
    renamed.set(from, to!);
    return false;
  });
  if (renamed.size === 0) return;
  graph.nodes = kept;
  renameValues(graph, renamed);
}

/** A function's nodes; its inputs and outputs have no types. */
export function functionGraph(f: FunctionProto): Graph {
  const value = (name: string): ValueInfo => ({ name, elemType: 0, dims: null });
  return {
    ...emptyGraph(f.name),
    inputs: f.input.map(value),
    outputs: f.output.map(value),
    nodes: f.node.map(decodeNode),
  };
}

/** The node with its bodies' nodes replaced, list by list. */
export function mapBodies(node: Node, map: (nodes: Node[]) => Node[]): Node {
  const attributes = new Map(node.attributes);
  const body = (graph: GraphProto): GraphProto =>
    withFields(graph, { node: map(graph.node.map(decodeNode)).map(encodeNode) });
  let any = false;
  for (const [name, attribute] of node.attributes) {
    if (!attribute.g && attribute.graphs.length === 0) continue;
    any = true;
    attributes.set(name, withBodies(attribute, body));
  }
  return any ? { ...node, attributes } : node;
}

/**
 * The graph as a body again: its inputs but for `own` are captured, its constants are its own unless `outer` has them.
 *
 * @param own what the node around it hands in
 */
export function encodeBody(graph: Graph, outer: Graph, own: readonly ValueInfo[] = []): GraphProto {
  return create(GraphProtoSchema, {
    name: graph.name === "" ? "branch" : graph.name,
    input: own.map(encodeValue),
    node: graph.nodes.map(encodeNode),
    output: graph.outputs.map(encodeValue),
    initializer: [...graph.initializers]
      .filter(([name, tensor]) => outer.initializers.get(name)?.rawData !== tensor.rawData)
      .map(([name, tensor]) => withFields(tensor, { name })),
  });
}

/**
 * Gives every value of `graph` a name that is free in `names`, but for those that have a place in `bound`. Values within
 * its bodies get new names too: a body must not have a name that a graph around it has.
 */
export function renameApart(
  graph: Graph,
  names: Names,
  bound: ReadonlyMap<string, string>,
  prefix: string,
): void {
  const renamed = new Map(bound);
  const give = (name: string): void => {
    if (name !== "" && !renamed.has(name)) renamed.set(name, names.fresh(prefix + name));
  };
  for (const name of graph.initializers.keys()) give(name);
  for (const node of graph.nodes) {
    node.outputs.forEach(give);
    if (node.name !== "") node.name = names.fresh(prefix + node.name);
  }
  renameValues(graph, renamed, (body) => renameBodyApart(body, names, renamed, prefix));
}

/** As renameApart, for a body; `around` has the new names of what it captures. */
function renameBodyApart(
  body: GraphProto,
  names: Names,
  around: ReadonlyMap<string, string>,
  prefix: string,
): GraphProto {
  const renamed = new Map(around);
  const own = [...body.input, ...body.initializer].map(({ name }) => name);
  for (const name of new Set([...own, ...body.node.flatMap(({ output }) => output)]))
    if (name !== "") renamed.set(name, names.fresh(prefix + name));
  const to = (name: string): string => renamed.get(name) ?? name;
  const named = <T extends { name: string }>(value: T): T =>
    withFields<{ name: string }>(value, { name: to(value.name) }) as T;
  return withFields(body, {
    input: body.input.map(named),
    output: body.output.map(named),
    initializer: body.initializer.map(named),
    valueInfo: body.valueInfo.map(named),
    node: body.node.map((node) =>
      withFields(node, {
        input: node.input.map(to),
        output: node.output.map(to),
        attribute: node.attribute.map((attribute) =>
          withBodies(attribute, (inner) => renameBodyApart(inner, names, renamed, prefix)),
        ),
      }),
    ),
  });
}
