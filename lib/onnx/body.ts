/** The bodies of control flow as graphs of their own: what they capture from around them becomes inputs. */
import { create } from "@bufbuild/protobuf";
import { GraphProtoSchema, type FunctionProto, type GraphProto } from "onnx-buf";
import { decodeNode, decodeValue, encodeNode, encodeValue } from "./codec.js";
import {
  capturedNames,
  emptyGraph,
  renameValues,
  withFields,
  type Graph,
  type ValueInfo,
  type Names,
} from "./graph.js";

/** What surrounds a body. */
export interface Surroundings {
  readonly graph: Graph;
  valueInfo(name: string): ValueInfo;
}

/**
 * A body without inputs of its own (a branch of an If). Constants that it captures are constants of the result, as
 * rules read them; other captured values are inputs, and so are `also`.
 */
export function bodyGraph(body: GraphProto, around: Surroundings, also: readonly string[] = []): Graph {
  const captured = [...new Set([...capturedNames(body), ...also])];
  const constants = around.graph.initializers;
  return {
    ...emptyGraph(body.name),
    irVersion: around.graph.irVersion,
    opsets: new Map(around.graph.opsets),
    inputs: captured.filter((name) => !constants.has(name)).map((name) => around.valueInfo(name)),
    outputs: body.output.map(decodeValue),
    initializers: new Map([
      ...captured.flatMap((name) => (constants.has(name) ? [[name, constants.get(name)!] as const] : [])),
      ...body.initializer.map((tensor) => [tensor.name, tensor] as const),
    ]),
    nodes: body.node.map(decodeNode),
    valueInfos: new Map(body.valueInfo.map((value) => [value.name, decodeValue(value)])),
  };
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

/** The graph as a body again: its inputs are captured, its constants are its own unless `outer` has them. */
export function encodeBody(graph: Graph, outer: Graph): GraphProto {
  return create(GraphProtoSchema, {
    name: graph.name === "" ? "branch" : graph.name,
    node: graph.nodes.map(encodeNode),
    output: graph.outputs.map(encodeValue),
    initializer: [...graph.initializers]
      .filter(([name, tensor]) => outer.initializers.get(name)?.rawData !== tensor.rawData)
      .map(([name, tensor]) => withFields(tensor, { name })),
  });
}

/** Gives every value of `graph` a name that is free in `names`, but for those that have a place in `bound`. */
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
  renameValues(graph, renamed);
}
