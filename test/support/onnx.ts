/** Tiny hand-made ONNX files for tests, built on the protobuf definitions alone: nothing of lib/onnx is involved. */
import { create, toBinary } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
} from "onnx-buf";

export type Dim = number | string;
export type Attribute = number | number[] | string | { float: number };

export interface NodeSpec {
  op: string;
  inputs: string[];
  outputs: string[];
  attributes?: Record<string, Attribute>;
}

export interface ModelSpec {
  inputs: Record<string, Dim[]>;
  outputs: Record<string, Dim[]>;
  nodes: NodeSpec[];
  /** float32 where given as Float32Array, int64 where as BigInt64Array. */
  weights?: Record<string, { data: Float32Array | BigInt64Array; shape: number[] }>;
  opset?: number;
}

const FLOAT = 1;
const INT64 = 7;

function valueInfo(name: string, dims: Dim[]) {
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, {
      value: {
        case: "tensorType",
        value: create(TypeProto_TensorSchema, {
          elemType: FLOAT,
          shape: create(TensorShapeProtoSchema, {
            dim: dims.map((dim) =>
              create(TensorShapeProto_DimensionSchema, {
                value:
                  typeof dim === "number"
                    ? { case: "dimValue", value: BigInt(dim) }
                    : { case: "dimParam", value: dim },
              }),
            ),
          }),
        }),
      },
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

export function makeModel(spec: ModelSpec): Uint8Array {
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: 8n,
      producerName: "test",
      opsetImport: [create(OperatorSetIdProtoSchema, { domain: "", version: BigInt(spec.opset ?? 17) })],
      graph: create(GraphProtoSchema, {
        name: "test",
        input: Object.entries(spec.inputs).map(([name, dims]) => valueInfo(name, dims)),
        output: Object.entries(spec.outputs).map(([name, dims]) => valueInfo(name, dims)),
        initializer: Object.entries(spec.weights ?? {}).map(([name, { data, shape }]) =>
          create(TensorProtoSchema, {
            name,
            dims: shape.map(BigInt),
            dataType: data instanceof Float32Array ? FLOAT : INT64,
            rawData: new Uint8Array(
              data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) as ArrayBuffer,
            ),
          }),
        ),
        node: spec.nodes.map((node, index) =>
          create(NodeProtoSchema, {
            name: `node_${index}`,
            opType: node.op,
            input: node.inputs,
            output: node.outputs,
            attribute: Object.entries(node.attributes ?? {}).map(([name, value]) => attribute(name, value)),
          }),
        ),
      }),
    }),
  );
}
