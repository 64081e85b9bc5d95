/** Small ONNX files, of any element type, built on the protobuf definitions alone: nothing of lib/onnx is involved. */
import { create, toBinary } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  TensorProtoSchema,
  TensorProto_DataLocation,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
} from "onnx-buf";

export type Attribute = number | number[] | string | { float: number };

/** ONNX's numbering of element types. */
export const elementTypes = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
} as const;
export type ElementType = keyof typeof elementTypes;
export type Dims = readonly (number | string)[];

export interface Value {
  name: string;
  dims: Dims;
  type?: ElementType;
}
export interface Weight {
  name: string;
  dims: readonly number[];
  data: Float32Array | BigInt64Array;
  /** The file with the numbers, where they are not in the model. */
  external?: string;
}
/** [operator, inputs, outputs, more] */
export type Node = readonly [
  string,
  readonly string[],
  readonly string[],
  { domain?: string; attributes?: Record<string, Attribute> }?,
];

function valueInfo({ name, dims, type = "float32" }: Value) {
  const dim = dims.map((d) =>
    create(TensorShapeProto_DimensionSchema, {
      value: typeof d === "number" ? { case: "dimValue", value: BigInt(d) } : { case: "dimParam", value: d },
    }),
  );
  const shape = create(TensorShapeProtoSchema, { dim });
  const tensor = create(TypeProto_TensorSchema, { elemType: elementTypes[type], shape });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: "tensorType", value: tensor } }),
  });
}

function initializer({ name, dims, data, external }: Weight) {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const entry = (key: string, value: string) => create(StringStringEntryProtoSchema, { key, value });
  return create(TensorProtoSchema, {
    name,
    dims: dims.map(BigInt),
    dataType: data instanceof Float32Array ? elementTypes.float32 : elementTypes.int64,
    ...(external === undefined
      ? { rawData: bytes.slice() }
      : {
          dataLocation: TensorProto_DataLocation.EXTERNAL,
          externalData: [entry("location", external), entry("length", String(bytes.length))],
        }),
  });
}

function attribute(name: string, value: Attribute) {
  if (typeof value === "number")
    return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) });
  if (typeof value === "string")
    return create(AttributeProtoSchema, {
      name,
      type: AttributeProto_AttributeType.STRING,
      s: new TextEncoder().encode(value),
    });
  if (Array.isArray(value))
    return create(AttributeProtoSchema, {
      name,
      type: AttributeProto_AttributeType.INTS,
      ints: value.map(BigInt),
    });
  return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.FLOAT, f: value.float });
}

export function onnxModel(model: {
  inputs: Value[];
  outputs: Value[];
  nodes: Node[];
  weights?: Weight[];
  opset?: number;
  domains?: string[];
  ir?: number;
}): Uint8Array {
  const opset = (domain: string, version: number) =>
    create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) });
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: BigInt(model.ir ?? 8),
      opsetImport: [opset("", model.opset ?? 17), ...(model.domains ?? []).map((d) => opset(d, 1))],
      graph: create(GraphProtoSchema, {
        name: "test",
        input: model.inputs.map(valueInfo),
        output: model.outputs.map(valueInfo),
        initializer: (model.weights ?? []).map(initializer),
        node: model.nodes.map(([opType, input, output, more], i) =>
          create(NodeProtoSchema, {
            name: `${opType}_${i}`,
            opType,
            input: [...input],
            output: [...output],
            domain: more?.domain ?? "",
            attribute: Object.entries(more?.attributes ?? {}).map(([name, value]) => attribute(name, value)),
          }),
        ),
      }),
    }),
  );
}

export interface NodeSpec {
  op: string;
  inputs: string[];
  outputs: string[];
  attributes?: Record<string, Attribute>;
}

/** The same in other words: everything by its name, and float32 but for weights that are BigInt64Array. */
export function makeModel(model: {
  inputs: Record<string, Dims>;
  outputs: Record<string, Dims>;
  nodes: NodeSpec[];
  weights?: Record<string, { data: Float32Array | BigInt64Array; shape: number[] }>;
}): Uint8Array {
  const values = (all: Record<string, Dims>): Value[] =>
    Object.entries(all).map(([name, dims]) => ({ name, dims }));
  return onnxModel({
    inputs: values(model.inputs),
    outputs: values(model.outputs),
    nodes: model.nodes.map(({ op, inputs, outputs, attributes }) => [
      op,
      inputs,
      outputs,
      attributes ? { attributes } : {},
    ]),
    weights: Object.entries(model.weights ?? {}).map(([name, { data, shape }]) => ({
      name,
      dims: shape,
      data,
    })),
  });
}
