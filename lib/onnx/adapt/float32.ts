/**
 * A graph that computes in float32 what its file has in other real numbers. Weights stay as they are, with a cast behind each;
 * inputs and outputs keep their types.
 */
import type { GraphProto, TensorProto } from "onnx-buf";
import { int, makeAttribute } from "../attributes.js";
import { decodeNode, encodeNode } from "../codec.js";
import {
  consumers,
  copyGraph,
  describeNode,
  Names,
  renameValues,
  withBodies,
  withFields,
  type Graph,
  type Node,
} from "../graph.js";
import { inlineFunctions } from "../inline.js";
import {
  DataType,
  isExternal,
  makeTensor,
  readFloats,
  tensorBytes,
  tensorDims,
  tensorSize,
} from "../tensors.js";
import { constantsToInitializers } from "../upgrade.js";
import { cast } from "./edges.js";

const halves: ReadonlySet<number> = new Set([DataType.FLOAT16, DataType.BFLOAT16]);
const doubles: ReadonlySet<number> = new Set([DataType.DOUBLE]);

/** Constants of fewer numbers are written in float32 themselves, so that rules can read them. */
const written = 4096;

/** Attributes that name the type of a result. */
const typeAttributes = ["to", "dtype", "output_dtype", "output_datatype", "softmax_precision", "stash_type"];

/** The numbers of half precision in float32. */
export function halvesInFloat32(graph: Graph): Graph {
  return inFloat32(graph, halves);
}

/** The numbers of float64 in float32. */
export function doublesInFloat32(graph: Graph): Graph {
  return inFloat32(graph, doubles);
}

/** Whether any value of a graph has half precision; the outline of one tells. */
export function hasHalves(graph: Graph): boolean {
  return has(graph, (elemType) => halves.has(elemType));
}

/** The same of float64. */
export function hasDoubles(graph: Graph): boolean {
  return has(graph, (elemType) => doubles.has(elemType));
}

/** What has numbers of bfloat16, in words; null where nothing has. */
export function bfloatNode(graph: Graph): string | null {
  const among = (elemType: number): boolean => elemType === DataType.BFLOAT16;
  const value = [...graph.inputs, ...graph.outputs].find(({ elemType }) => among(elemType));
  const constant = [...graph.initializers.values()].find(({ dataType }) => among(dataType));
  const node = graph.nodes.find((each) => makes(each, among));
  if (value) return `${value.name} has it`;
  return constant ? `constant ${JSON.stringify(constant.name)} has it` : node ? describeNode(node) : null;
}

function has(graph: Graph, among: (elemType: number) => boolean): boolean {
  return (
    [...graph.inputs, ...graph.outputs].some(({ elemType }) => among(elemType)) ||
    [...graph.initializers.values()].some(({ dataType }) => among(dataType)) ||
    graph.nodes.some((node) => makes(node, among)) ||
    graph.functions.some((f) => f.node.some((node) => makes(decodeNode(node), among)))
  );
}

/** Whether a node, or one in its bodies, makes values of a type by its attributes. */
function makes(node: Node, among: (elemType: number) => boolean): boolean {
  for (const [name, attribute] of node.attributes) {
    if (typeAttributes.includes(name) && among(Number(attribute.i))) return true;
    if (attribute.t && among(attribute.t.dataType)) return true;
    const bodies = [...(attribute.g ? [attribute.g] : []), ...attribute.graphs];
    const inner = (body: GraphProto): boolean =>
      body.initializer.some(({ dataType }) => among(dataType)) ||
      body.node.some((each) => makes(decodeNode(each), among));
    if (bodies.some(inner)) return true;
  }
  return false;
}

/** From this many bytes on a constant is worth keeping as it is. */
const largeBytes = 64 << 10;

/** The large constants of half precision, by name. */
export function halfWeights(graph: Graph): string[] {
  return [...graph.initializers].flatMap(([name, tensor]) =>
    halves.has(tensor.dataType) && (tensorBytes(tensor) ?? 0) >= largeBytes ? [name] : [],
  );
}

/** Bytes of the constants of half precision. */
export function halfBytes(graph: Graph): number {
  let bytes = 0;
  for (const tensor of graph.initializers.values())
    if (halves.has(tensor.dataType)) bytes += tensorBytes(tensor) ?? 0;
  return bytes;
}

/** Constants that nothing is done with but a cast to another type. */
function onlyCast(graph: Graph, types: ReadonlySet<number>): Set<string> {
  const readers = consumers(graph);
  const results = new Set(graph.outputs.map(({ name }) => name));
  const casts = (node: Node): boolean =>
    node.domain === "" && node.opType === "Cast" && !types.has(int(node, "to", 0));
  return new Set(
    [...graph.initializers.keys()].filter(
      (name) => !results.has(name) && (readers.get(name) ?? []).every(casts),
    ),
  );
}

function inFloat32(given: Graph, types: ReadonlySet<number>): Graph {
  const graph = copyGraph(inlineFunctions(given));
  constantsToInitializers(graph);
  const edges = [...graph.inputs, ...graph.outputs].filter(({ elemType }) => types.has(elemType));
  const castAlready = onlyCast(graph, types);
  const weights = [...graph.initializers.values()].filter(
    ({ name, dataType }) => types.has(dataType) && !castAlready.has(name),
  );
  const made = (type: number): boolean => types.has(type);
  if (edges.length + weights.length === 0 && !graph.nodes.some((node) => makes(node, made))) return given;
  const names = new Names(graph);
  const taken = new Map<string, string>();
  for (const { name } of edges) taken.set(name, names.fresh(`${name}/in float32`));
  renameValues(graph, taken);
  const kept = copyGraph(given);
  graph.inputs = kept.inputs;
  graph.outputs = kept.outputs;
  const before: Node[] = [];
  for (const { name, elemType } of graph.inputs)
    if (types.has(elemType)) before.push(cast(name, taken.get(name)!, DataType.FLOAT));
  const inputs = new Set(graph.inputs.map(({ name }) => name));
  const after = graph.outputs
    .filter(({ name, elemType }) => types.has(elemType) && !inputs.has(name))
    .map(({ name, elemType }) => cast(taken.get(name)!, name, elemType));
  for (const [name, tensor] of [...graph.initializers]) {
    if (!types.has(tensor.dataType) || castAlready.has(name)) continue;
    const small = tensorSize(tensor) < written ? written32(tensor, name) : null;
    if (small) {
      graph.initializers.set(name, small);
      continue;
    }
    const stored = names.fresh(`${name}/stored`);
    graph.initializers.delete(name);
    graph.initializers.set(stored, withFields(tensor, { name: stored }));
    before.push(cast(stored, name, DataType.FLOAT));
  }
  graph.nodes = [...before, ...graph.nodes.map((node) => retyped(node, types)), ...after];
  for (const [name, value] of graph.valueInfos)
    if (types.has(value.elemType)) graph.valueInfos.set(name, { ...value, elemType: DataType.FLOAT });
  return graph;
}

/** A small constant in float32; null where its numbers are elsewhere. */
function written32(tensor: TensorProto, name: string): TensorProto | null {
  const numbers = isExternal(tensor) ? null : readFloats(tensor);
  return numbers && makeTensor(name, DataType.FLOAT, tensorDims(tensor), numbers);
}

/** A node that names float32 where it named one of the types, and so do its bodies. */
function retyped(node: Node, types: ReadonlySet<number>): Node {
  const attributes = new Map(node.attributes);
  for (const [name, attribute] of node.attributes) {
    if (typeAttributes.includes(name) && types.has(Number(attribute.i)))
      attributes.set(name, makeAttribute(name, DataType.FLOAT));
    else if (attribute.t && types.has(attribute.t.dataType)) {
      const made = written32(attribute.t, attribute.t.name);
      if (made) attributes.set(name, withFields(attribute, { t: made }));
    } else if (attribute.g || attribute.graphs.length > 0)
      attributes.set(
        name,
        withBodies(attribute, (body) => retypedBody(body, types)),
      );
  }
  return { ...node, attributes };
}

function retypedBody(body: GraphProto, types: ReadonlySet<number>): GraphProto {
  const value = <T extends GraphProto["input"][number]>(info: T): T => {
    const { value: type } = info.type ?? {};
    if (type?.case !== "tensorType" || !types.has(type.value.elemType)) return info;
    const tensorType = withFields(type.value, { elemType: DataType.FLOAT });
    return withFields(info, {
      type: withFields(info.type!, { value: { case: "tensorType", value: tensorType } }),
    } as Partial<T>);
  };
  return withFields(body, {
    input: body.input.map(value),
    output: body.output.map(value),
    valueInfo: body.valueInfo.map(value),
    initializer: body.initializer.map((tensor) =>
      types.has(tensor.dataType) ? (written32(tensor, tensor.name) ?? tensor) : tensor,
    ),
    node: body.node.map((node) => encodeNode(retyped(decodeNode(node), types))),
  });
}
