/** ONNX bytes ↔ {@link Graph}. Weights stay views of the bytes they came from, in both directions. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import {
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from "onnx-buf";
import { invalid, ModelError } from "../base/errors.js";
import { sortGraph, type Dim, type Graph, type Node, type ValueInfo } from "./graph.js";
import { checkNesting } from "./limits.js";
import { finish, type Steps } from "./steps.js";
import { tensorDims } from "./tensors.js";

/** No field of an ONNX model begins like this. */
function isZip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 3 && bytes[3] === 4;
}

/**
 * Reads a model.
 *
 * @param name how messages call it, such as its file name
 * @throws ModelError ERR_MODEL_INVALID for bytes that are no ONNX model or a graph that cannot be one,
 *   ERR_MODEL_UNSUPPORTED for sparse weights, for TorchScript, and for what limits.ts does not allow
 */
export function decodeModel(bytes: Uint8Array, name = "the model"): Graph {
  return finish(decodeSteps(bytes, name));
}

/** As {@link decodeModel}. */
export function* decodeSteps(bytes: Uint8Array, name = "the model"): Steps<Graph> {
  if (!(bytes instanceof Uint8Array)) throw invalid("onnx", "the bytes of a model (Uint8Array)", bytes);
  if (isZip(bytes))
    throw new ModelError(
      "ERR_MODEL_UNSUPPORTED",
      `${name}: expected an ONNX model, got a zip archive (TorchScript?), which is no graph to work on. loadModel() runs ` +
        "TorchScript, and vjp() and Tr0n differentiate it; for a graph export the module by torch.onnx.export()",
    );
  let model: ModelProto;
  try {
    model = yield* readModel(bytes);
  } catch (cause) {
    throw new ModelError("ERR_MODEL_INVALID", `${name}: expected an ONNX model, got ${looksLike(bytes)}`, {
      cause,
    });
  }
  checkNesting(model, name);
  const proto = model.graph;
  if (proto === undefined || model.opsetImport.length === 0 || model.irVersion <= 0n)
    throw new ModelError("ERR_MODEL_INVALID", `${name}: expected an ONNX model, got ${looksLike(bytes)}`);
  if (proto.sparseInitializer.length > 0)
    throw new ModelError(
      "ERR_MODEL_UNSUPPORTED",
      `${name}: sparse weights are not supported, make them dense`,
    );

  const initializers = new Map<string, TensorProto>();
  for (const tensor of proto.initializer) {
    if (initializers.has(tensor.name))
      throw new ModelError("ERR_MODEL_INVALID", `${name}: the constant "${tensor.name}" is defined twice`);
    tensorDims(tensor);
    initializers.set(tensor.name, tensor);
  }
  const graph = yield* graphOf(model, proto, initializers, name);
  sortGraph(graph, name);
  return graph;
}

/** The graph of bytes that {@link encodeSteps} made of one, which has been checked: everything is as and where it was. */
export function* graphSteps(bytes: Uint8Array): Steps<Graph> {
  const model = yield* readModel(bytes);
  const proto = model.graph!;
  return yield* graphOf(model, proto, new Map(proto.initializer.map((tensor) => [tensor.name, tensor])), "");
}

function* graphOf(
  model: ModelProto,
  proto: GraphProto,
  initializers: Map<string, TensorProto>,
  name: string,
): Steps<Graph> {
  const version = (value: bigint, what: string): number => {
    if (value > -(1n << 31n) && value < 1n << 31n) return Number(value);
    throw new ModelError("ERR_MODEL_INVALID", `${name}: ${value} is no version of ${what}`);
  };
  const withDefault = proto.input.filter((input) => initializers.has(input.name));
  const graph: Graph = {
    name: proto.name,
    irVersion: version(model.irVersion, "ONNX"),
    opsets: new Map(),
    inputs: proto.input.filter((input) => !initializers.has(input.name)).map(decodeValue),
    ...(withDefault.length > 0 ? { defaults: withDefault.map(decodeValue) } : {}),
    outputs: proto.output.map(decodeValue),
    initializers,
    nodes: [],
    valueInfos: new Map(),
    functions: model.functions,
    metadata: new Map(model.metadataProps.map((entry) => [entry.key, entry.value])),
  };
  for (const value of proto.valueInfo) {
    graph.valueInfos.set(value.name, decodeValue(value));
    yield;
  }
  for (const node of proto.node) {
    graph.nodes.push(decodeNode(node));
    yield;
  }
  for (const entry of model.opsetImport)
    graph.opsets.set(
      standardDomain(entry.domain),
      version(entry.version, `the operators of "${entry.domain || "ai.onnx"}"`),
    );
  return graph;
}

/** The fields of a message that are messages of these numbers, one by one, and all others as they lie. */
function* split(
  bytes: Uint8Array,
  numbers: readonly number[],
  take: (number: number, content: Uint8Array) => void,
): Steps<Uint8Array> {
  const reader = new BinaryReader(bytes);
  const rest: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [number, type] = reader.tag();
    if (numbers.includes(number) && type === WireType.LengthDelimited) {
      take(number, reader.bytes());
      yield;
    } else {
      reader.skip(type, number);
      rest.push(bytes.subarray(start, reader.pos));
    }
  }
  return joined(rest);
}

/** What fromBinary() reads, node by node. */
function* readModel(bytes: Uint8Array): Steps<ModelProto> {
  const graphs: Uint8Array[] = [];
  const model = fromBinary(ModelProtoSchema, yield* split(bytes, [7], (_, content) => graphs.push(content)));
  if (graphs.length === 0) return model;
  const nodes: NodeProto[] = [];
  const initializers: TensorProto[] = [];
  const values: ValueInfoProto[] = [];
  // Twice the same message means both together.
  const [only] = graphs;
  const rest = yield* split(graphs.length === 1 ? only! : joined(graphs), [1, 5, 13], (number, content) => {
    if (number === 1) nodes.push(fromBinary(NodeProtoSchema, content));
    else if (number === 13) values.push(fromBinary(ValueInfoProtoSchema, content));
    else initializers.push(fromBinary(TensorProtoSchema, content));
  });
  yield;
  model.graph = fromBinary(GraphProtoSchema, rest);
  model.graph.node = nodes;
  model.graph.initializer = initializers;
  model.graph.valueInfo = values;
  return model;
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(totalLength(pieces));
  let at = 0;
  for (const piece of pieces) {
    result.set(piece, at);
    at += piece.length;
  }
  return result;
}

/** Writes a model. Weights are copied once, into the result. */
export function encodeModel(graph: Graph): Uint8Array {
  return finish(encodeSteps(graph));
}

/** Bytes that are copied in one step: about a millisecond. */
const slice = 1 << 20;

/** As {@link encodeModel}. */
export function* encodeSteps(graph: Graph): Steps<Uint8Array> {
  const pieces = yield* encodePieces(graph);
  const result = new Uint8Array(totalLength(pieces));
  let at = 0;
  for (const piece of pieces)
    for (let from = 0; from < piece.length; from += slice) {
      const part = piece.subarray(from, from + slice);
      result.set(part, at);
      at += part.length;
      yield;
    }
  return result;
}

function* encodePieces(graph: Graph): Steps<Uint8Array[]> {
  // Fields of a message may follow each other in any order, so the weights are appended to the encoded rest
  // instead of going through the writer's nested buffers.
  const pieces: Uint8Array[] = [];
  for (const node of graph.nodes) {
    pieces.push(...field(1, [toBinary(NodeProtoSchema, encodeNode(node))]));
    yield;
  }
  for (const tensor of graph.initializers.values()) {
    pieces.push(...field(5, encodeTensor(tensor)));
    yield;
  }
  const rest = create(GraphProtoSchema, {
    name: graph.name === "" ? "graph" : graph.name,
    input: graph.inputs.map(encodeValue),
    output: graph.outputs.map(encodeValue),
  });
  for (const value of graph.valueInfos.values()) {
    pieces.push(...field(13, [toBinary(ValueInfoProtoSchema, encodeValue(value))]));
    yield;
  }
  pieces.unshift(toBinary(GraphProtoSchema, rest));
  const model = create(ModelProtoSchema, {
    irVersion: BigInt(graph.irVersion),
    producerName: "tr0n",
    opsetImport: [...graph.opsets].map(([domain, version]) =>
      create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) }),
    ),
    functions: graph.functions,
    metadataProps: [...graph.metadata].map(([key, value]) =>
      create(StringStringEntryProtoSchema, { key, value }),
    ),
  });
  return [toBinary(ModelProtoSchema, model), ...field(7, pieces)];
}

/** A length-delimited field: tag and length, then the pieces. */
function field(number: number, pieces: Uint8Array[]): Uint8Array[] {
  const length = totalLength(pieces);
  const head = new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(length).finish();
  return [head, ...pieces];
}

function encodeTensor(tensor: TensorProto): Uint8Array[] {
  if (tensor.rawData.length < 64) return [toBinary(TensorProtoSchema, tensor)];
  const head = create(TensorProtoSchema, {
    name: tensor.name,
    dims: tensor.dims,
    dataType: tensor.dataType,
    docString: tensor.docString,
  });
  return [toBinary(TensorProtoSchema, head), ...field(9, [tensor.rawData])];
}

function totalLength(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0);
}

/** "ai.onnx" is another spelling of the standard domain. */
function standardDomain(domain: string): string {
  return domain === "ai.onnx" ? "" : domain;
}

export function decodeNode(node: NodeProto): Node {
  return {
    opType: node.opType,
    domain: standardDomain(node.domain),
    name: node.name,
    overload: node.overload,
    inputs: [...node.input],
    outputs: [...node.output],
    attributes: new Map(node.attribute.map((attribute) => [attribute.name, attribute])),
  };
}

export function encodeNode(node: Node): NodeProto {
  return create(NodeProtoSchema, {
    opType: node.opType,
    name: node.name,
    input: node.inputs,
    output: node.outputs,
    attribute: [...node.attributes.values()],
    ...(node.domain === "" ? {} : { domain: node.domain }),
    ...(node.overload === "" ? {} : { overload: node.overload }),
  });
}

export function decodeValue(value: ValueInfoProto): ValueInfo {
  const type = value.type?.value;
  if (type?.case !== "tensorType")
    return { name: value.name, elemType: 0, dims: null, ...(type?.case ? { otherType: value.type } : {}) };
  const dims = type.value.shape?.dim.map((dim): Dim => {
    if (dim.value.case === "dimValue") {
      const size = Number(dim.value.value);
      return size >= 0 && Number.isSafeInteger(size) ? size : null;
    }
    return dim.value.case === "dimParam" && dim.value.value !== "" ? dim.value.value : null;
  });
  return { name: value.name, elemType: type.value.elemType, dims: dims ?? null };
}

export function encodeValue(value: ValueInfo): ValueInfoProto {
  if (value.otherType) return create(ValueInfoProtoSchema, { name: value.name, type: value.otherType });
  if (value.elemType === 0) return create(ValueInfoProtoSchema, { name: value.name });
  const shape = value.dims && create(TensorShapeProtoSchema, { dim: value.dims.map(encodeDim) });
  const tensor = create(TypeProto_TensorSchema, { elemType: value.elemType, ...(shape ? { shape } : {}) });
  return create(ValueInfoProtoSchema, {
    name: value.name,
    type: create(TypeProtoSchema, { value: { case: "tensorType", value: tensor } }),
  });
}

function encodeDim(dim: Dim) {
  if (typeof dim === "number")
    return create(TensorShapeProto_DimensionSchema, { value: { case: "dimValue", value: BigInt(dim) } });
  if (typeof dim === "string")
    return create(TensorShapeProto_DimensionSchema, { value: { case: "dimParam", value: dim } });
  return create(TensorShapeProto_DimensionSchema, {});
}

/** What bytes that are no model seem to be, for the message. */
function looksLike(bytes: Uint8Array): string {
  if (bytes.length === 0) return "no bytes at all";
  if (bytes[0] === 0x50 && bytes[1] === 0x4b) return `${bytes.length} bytes of a zip archive (TorchScript?)`;
  if (bytes[0] === 0x7b) return `${bytes.length} bytes that look like JSON`;
  const field = firstField(bytes);
  return field === 1 || field === 7
    ? `${bytes.length} bytes that are truncated or damaged`
    : `${bytes.length} bytes of something else`;
}

function firstField(bytes: Uint8Array): number {
  try {
    return new BinaryReader(bytes).tag()[0];
  } catch {
    return 0;
  }
}

export type { GraphProto };
