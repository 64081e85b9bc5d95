/** Weights kept in files next to the model. This folder does no I/O: the caller reads, these functions place. */
import { create } from "@bufbuild/protobuf";
import {
  StringStringEntryProtoSchema,
  TensorProto_DataLocation,
  type AttributeProto,
  type GraphProto,
  type NodeProto,
  type SparseTensorProto,
  type StringStringEntryProto,
  type TensorProto,
} from "onnx-buf";
import { ModelError } from "../base/errors.js";
import { copyGraph, withFields, type Graph } from "./graph.js";
import { isExternal, tensorBytes, tensorDims } from "./tensors.js";

export interface ExternalRange {
  /** A path relative to the model's folder, checked to stay inside it. */
  location: string;
  offset: number;
  /** undefined: to the end of the file. */
  length: number | undefined;
}

/** A constant whose numbers lie in a file. */
export interface ExternalWeight {
  readonly name: string;
  readonly elemType: number;
  readonly shape: readonly number[];
  /** As {@link placeExternal} or the file put it. */
  readonly location: string;
  readonly offset: number;
  /** In bytes. */
  readonly length: number;
}

/**
 * Where a constant's data lies, or null for a constant that carries its own.
 *
 * @throws ModelError ERR_MODEL_INVALID for an absolute path, one that leaves the model's folder, or a bad range
 */
export function externalRange(tensor: TensorProto): ExternalRange | null {
  if (!isExternal(tensor)) return null;
  const location = entry(tensor, "location") ?? "";
  if (location === "") throw bad(tensor, "without a location");
  const escapes =
    /^([/\\]|[a-zA-Z]:)/.test(location) || location.includes("\0") || location.split(/[/\\]/).includes("..");
  if (escapes) throw bad(tensor, `must lie in the model's folder, got ${JSON.stringify(location)}`);
  return { location, offset: whole(tensor, "offset") ?? 0, length: whole(tensor, "length") };
}

function entry(tensor: TensorProto, key: string): string | undefined {
  const [first, second] = tensor.externalData.filter((e: StringStringEntryProto) => e.key === key);
  if (second) throw bad(tensor, `has its ${key} twice`);
  return first?.value;
}

function whole(tensor: TensorProto, key: string): number | undefined {
  const text = entry(tensor, key);
  if (text === undefined || text === "") return undefined;
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw bad(tensor, `has the ${key} ${JSON.stringify(text)}, expected a whole number`);
  return value;
}

function bad(tensor: TensorProto, what: string): ModelError {
  return new ModelError("ERR_MODEL_INVALID", `constant "${tensor.name}": external data ${what}`);
}

/**
 * The tensors with data in files that are no constants of the graph itself: values of attributes, and what bodies of control
 * flow and functions hold.
 */
export function embeddedExternal(graph: Graph): TensorProto[] {
  const found: TensorProto[] = [];
  const tensor = (value: TensorProto | undefined): void => {
    if (value && isExternal(value)) found.push(value);
  };
  const sparse = (value: SparseTensorProto | undefined): void => {
    tensor(value?.values);
    tensor(value?.indices);
  };
  const body = (value: GraphProto | undefined): void => {
    value?.initializer.forEach(tensor);
    value?.sparseInitializer.forEach(sparse);
    value?.node.forEach(node);
  };
  const attribute = (value: AttributeProto): void => {
    tensor(value.t);
    value.tensors.forEach(tensor);
    sparse(value.sparseTensor);
    value.sparseTensors.forEach(sparse);
    body(value.g);
    value.graphs.forEach(body);
  };
  const node = (value: NodeProto): void => value.attribute.forEach(attribute);
  for (const { attributes } of graph.nodes) [...attributes.values()].forEach(attribute);
  for (const own of graph.functions) {
    own.node.forEach(node);
    own.attributeProto.forEach(attribute);
  }
  return found;
}

/** Puts the numbers of a tensor that lies in a file into it. */
export function fillExternal(tensor: TensorProto, rawData: Uint8Array<ArrayBuffer>): void {
  tensor.rawData = rawData;
  tensor.externalData = [];
  tensor.dataLocation = TensorProto_DataLocation.DEFAULT;
}

/** @throws ModelError ERR_MODEL_UNSUPPORTED for a graph that has numbers in files, which nobody will read */
export function refuseExternal(graph: Graph, name: string): void {
  const [tensor] = [...graph.initializers.values()].filter(isExternal).concat(embeddedExternal(graph));
  if (tensor)
    throw new ModelError(
      "ERR_MODEL_UNSUPPORTED",
      `${name}: the numbers of its constant "${tensor.name}" lie in another file; save it with its weights inside`,
    );
}

/** The graph with some of its constants as inputs. */
export function constantsAsInputs(graph: Graph, names: ReadonlySet<string>): Graph {
  if (names.size === 0) return graph;
  const result = copyGraph(graph);
  for (const name of names) {
    const tensor = result.initializers.get(name)!;
    result.inputs.push({ name, elemType: tensor.dataType, dims: tensorDims(tensor) });
    result.initializers.delete(name);
  }
  return result;
}

/** The files a graph's weights lie in, relative to the model's folder. */
export function externalFiles(graph: Graph): string[] {
  const files = new Set<string>();
  for (const tensor of [...graph.initializers.values(), ...embeddedExternal(graph)]) {
    const range = externalRange(tensor);
    if (range) files.add(range.location);
  }
  return [...files];
}

/** The constants whose numbers are not part of the graph. Their locations are taken as they are. */
export function externalWeights(graph: Graph): ExternalWeight[] {
  const weights: ExternalWeight[] = [];
  for (const [name, tensor] of graph.initializers) {
    if (!isExternal(tensor)) continue;
    weights.push({
      name,
      elemType: tensor.dataType,
      shape: tensorDims(tensor),
      location: entry(tensor, "location") ?? "",
      offset: whole(tensor, "offset") ?? 0,
      length: whole(tensor, "length") ?? tensorBytes(tensor) ?? 0,
    });
  }
  return weights;
}

/** The graph with its external constants at other places; `place` gives null for one that stays where it is. */
export function placeExternal(
  graph: Graph,
  place: (weight: ExternalWeight) => { location: string; offset: number } | null,
): Graph {
  const result = copyGraph(graph);
  for (const weight of externalWeights(graph)) {
    const to = place(weight);
    if (to === null) continue;
    const externalData = entries(to.location, to.offset, weight.length);
    result.initializers.set(weight.name, withFields(result.initializers.get(weight.name)!, { externalData }));
  }
  return result;
}

/**
 * The graph with some of its constants in files, as they are there already. The data of all others are copied, so that the
 * bytes they were views of can go.
 */
export function withExternal(graph: Graph, ranges: ReadonlyMap<string, ExternalRange>): Graph {
  const result = copyGraph(graph);
  for (const [name, tensor] of graph.initializers) {
    const range = ranges.get(name);
    result.initializers.set(
      name,
      range
        ? withFields(tensor, {
            rawData: new Uint8Array(0),
            externalData: entries(range.location, range.offset, range.length ?? 0),
            dataLocation: TensorProto_DataLocation.EXTERNAL,
          })
        : withFields(tensor, { rawData: new Uint8Array(tensor.rawData) }),
    );
  }
  return result;
}

function entries(location: string, offset: number, length: number): StringStringEntryProto[] {
  return Object.entries({ location, offset: String(offset), length: String(length) }).map(([key, value]) =>
    create(StringStringEntryProtoSchema, { key, value }),
  );
}

/**
 * A graph that carries its weights, or those that `which` (default: all) says. `read` returns the bytes of a range; they
 * are kept as views.
 */
export function inlineExternal(
  graph: Graph,
  read: (location: string, offset: number, length: number | undefined) => Uint8Array,
  which: (name: string) => boolean = () => true,
): Graph {
  const result = copyGraph(graph);
  for (const [name, tensor] of result.initializers) {
    const range = externalRange(tensor);
    if (range === null || !which(name)) continue;
    const rawData = read(range.location, range.offset, range.length) as Uint8Array<ArrayBuffer>;
    if (range.length !== undefined && rawData.length !== range.length)
      throw new ModelError(
        "ERR_MODEL_INVALID",
        `constant "${name}": expected ${range.length} bytes at ${range.offset} of "${range.location}", got ${rawData.length}`,
      );
    result.initializers.set(
      name,
      withFields(tensor, { rawData, externalData: [], dataLocation: TensorProto_DataLocation.DEFAULT }),
    );
  }
  return result;
}
