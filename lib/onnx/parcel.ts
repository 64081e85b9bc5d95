/**
 * Graphs on their way to another thread and back: bytes, without the numbers of large weights. Those stay with the sender, who
 * puts them in again by what the parcel calls them.
 */
import { create } from "@bufbuild/protobuf";
import { TensorProtoSchema, type AttributeProto, type TensorProto } from "onnx-buf";
import { encodeSteps, graphSteps } from "./codec.js";
import { nodeReads, withFields, type Dim, type Graph, type Node, type ValueInfo } from "./graph.js";
import type { Steps } from "./steps.js";
import { isExternal, numbersElsewhere, tensorBytes } from "./tensors.js";

export interface Parcel {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** A model's file has no place for an empty name. */
  readonly name: string;
  /** Sizes of values whose type nobody knows, for which a file has no place either: which list, where in it, and the sizes. */
  readonly untyped: readonly (readonly [list: number, at: number, dims: Dim[]])[];
}

/** The weights that parcels leave out, by the number that stands for each. */
export class Weights {
  private readonly tensors: TensorProto[] = [];

  /** @param mark begins the notes that take a weight's place; no model can have it */
  constructor(readonly mark: string) {}

  keep(tensor: TensorProto): TensorProto {
    const { name, dims, dataType } = tensor;
    const docString = `${this.mark}${this.tensors.push(tensor) - 1}`;
    return create(TensorProtoSchema, { name, dims, dataType, docString });
  }

  /** The weight that a note stands for, under the name it has now; anything else as it is. */
  restored(note: TensorProto): TensorProto {
    if (!isNote(note, this.mark)) return note;
    const tensor = this.tensors[Number(note.docString.slice(this.mark.length))]!;
    return withFields(tensor, { name: note.name, dims: note.dims, dataType: note.dataType });
  }
}

function isNote(tensor: TensorProto, mark: string): boolean {
  return tensor.docString.startsWith(mark);
}

/** Smaller constants travel: rules may look into them. */
const leastBytes = 16 << 10;

/** Operators whose rules look at no more than the sizes of a large constant. */
const heedless = new Set(["MatMul", "Gemm", "Conv", "Gather", "Transpose"]);

/**
 * A graph as bytes, which nobody else has. `weights` keeps the large constants that only operators read which need but their
 * sizes; null: all travel, each copied once.
 */
export function* packSteps(graph: Graph, weights: Weights | null): Steps<Parcel> {
  const [initializers, nodes] = weights
    ? yield* lightened(graph, weights)
    : [graph.initializers, graph.nodes];
  const untyped = valueLists(graph).flatMap((list, which) =>
    [...list].flatMap(({ elemType, dims, otherType }, at): [number, number, Dim[]][] =>
      elemType === 0 && dims && !otherType ? [[which, at, dims]] : [],
    ),
  );
  yield;
  const bytes = yield* encodeSteps({ ...graph, initializers, nodes });
  return { bytes: bytes as Uint8Array<ArrayBuffer>, name: graph.name, untyped };
}

function* lightened(graph: Graph, weights: Weights): Steps<[Map<string, TensorProto>, Node[]]> {
  const needed = new Set(graph.outputs.map(({ name }) => name));
  for (const node of graph.nodes) {
    if (node.domain !== "" || !heedless.has(node.opType))
      for (const name of nodeReads(node)) needed.add(name);
    yield;
  }
  const isLarge = (tensor: TensorProto): boolean =>
    !isExternal(tensor) && (tensorBytes(tensor) ?? 0) >= leastBytes;
  const initializers = new Map<string, TensorProto>();
  for (const [name, tensor] of graph.initializers) {
    initializers.set(name, isLarge(tensor) && !needed.has(name) ? weights.keep(tensor) : tensor);
    yield;
  }
  const nodes: Node[] = [];
  for (const node of graph.nodes) {
    const value = constantOf(node);
    const keeps = value !== undefined && isLarge(value) && !needed.has(node.outputs[0] ?? "");
    nodes.push(keeps ? withConstant(node, weights.keep(value)) : node);
    yield;
  }
  return [initializers, nodes];
}

function constantOf(node: Node): TensorProto | undefined {
  return node.domain === "" && node.opType === "Constant" ? node.attributes.get("value")?.t : undefined;
}

function withConstant(node: Node, t: TensorProto): Node {
  const value: AttributeProto = withFields(node.attributes.get("value")!, { t });
  return { ...node, attributes: new Map([...node.attributes, ["value", value]]) };
}

/** The graph of a parcel of this program's own, with each note of `mark` replaced. */
export function* unpackSteps(parcel: Parcel, replace: (tensor: TensorProto) => TensorProto): Steps<Graph> {
  const graph = yield* graphSteps(parcel.bytes);
  graph.name = parcel.name;
  const lists = valueLists(graph).map((list) => [...list]);
  for (const [which, at, dims] of parcel.untyped) lists[which]![at]!.dims = dims;
  for (const [name, tensor] of graph.initializers) graph.initializers.set(name, replace(tensor));
  yield;
  graph.nodes = graph.nodes.map((node) => {
    const value = constantOf(node);
    const replaced = value && replace(value);
    return replaced === value ? node : withConstant(node, replaced!);
  });
  return graph;
}

/** At the receiver's: whoever asks for the numbers of a weight that stayed behind gets {@link ElsewhereError}. */
export function noteReader(mark: string): (tensor: TensorProto) => TensorProto {
  return (tensor) => (isNote(tensor, mark) ? withFields(tensor, { rawData: numbersElsewhere }) : tensor);
}

function valueLists(graph: Graph): Iterable<ValueInfo>[] {
  return [graph.inputs, graph.outputs, graph.valueInfos.values()];
}
