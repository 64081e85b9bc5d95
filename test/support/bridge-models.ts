/** Small ONNX files made for these tests, of any element type, built on the protobuf definitions alone. */
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
  { domain?: string; axis?: number }?,
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
            attribute:
              more?.axis === undefined
                ? []
                : [
                    create(AttributeProtoSchema, {
                      name: "axis",
                      type: AttributeProto_AttributeType.INT,
                      i: BigInt(more.axis),
                    }),
                  ],
          }),
        ),
      }),
    }),
  );
}

/** Numbers that look random and are the same everywhere. */
export function numbers(count: number, seed = 1): Float32Array {
  let state = seed * 2654435761;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** y = relu(x·w₁)·w₂ */
export function mlp(
  inputs: number,
  hidden: number,
  outputs: number,
  batch: number | string = "batch",
): Uint8Array {
  return onnxModel({
    inputs: [{ name: "x", dims: [batch, inputs] }],
    outputs: [{ name: "y", dims: [batch, outputs] }],
    nodes: [
      ["MatMul", ["x", "w1"], ["a"]],
      ["Relu", ["a"], ["h"]],
      ["MatMul", ["h", "w2"], ["y"]],
    ],
    weights: [
      { name: "w1", dims: [inputs, hidden], data: numbers(inputs * hidden, 3) },
      { name: "w2", dims: [hidden, outputs], data: numbers(hidden * outputs, 4) },
    ],
  });
}

/** x · wᴺ: as long as one likes. */
export function longChain(size: number, length: number): Uint8Array {
  const name = (i: number) => (i === 0 ? "x" : i === length ? "y" : `h${i}`);
  const weights = numbers(size * size, 5).map((w) => w / size);
  return onnxModel({
    inputs: [{ name: "x", dims: ["batch", size] }],
    outputs: [{ name: "y", dims: ["batch", size] }],
    nodes: Array.from({ length }, (_, i) => ["MatMul", [name(i), "w"], [name(i + 1)]] as const),
    weights: [{ name: "w", dims: [size, size], data: weights }],
  });
}

/**
 * E = Σ_j (z·w − c)_j² with its gradient 2 (z·w − c)·wᵀ written out. The sum is a product with ones, which, unlike
 * ReduceSum, has the same
 * bits wherever a row lies.
 */
export function squaredDistance(d: number, m: number, batch: number | string = "batch"): Uint8Array {
  const w = numbers(d * m, 7);
  const transposed = Float32Array.from({ length: d * m }, (_, i) => w[(i % d) * m + Math.floor(i / d)]!);
  return onnxModel({
    inputs: [
      { name: "z", dims: [batch, d] },
      { name: "c", dims: [batch, m] },
    ],
    outputs: [
      { name: "energy", dims: [batch] },
      { name: "grad_z", dims: [batch, d] },
    ],
    nodes: [
      ["MatMul", ["z", "w"], ["p"]],
      ["Sub", ["p", "c"], ["r"]],
      ["Mul", ["r", "r"], ["rr"]],
      ["MatMul", ["rr", "ones"], ["column"]],
      ["Squeeze", ["column", "axis"], ["energy"]],
      ["Mul", ["r", "two"], ["r2"]],
      ["MatMul", ["r2", "wt"], ["grad_z"]],
    ],
    weights: [
      { name: "w", dims: [d, m], data: w },
      { name: "wt", dims: [m, d], data: transposed },
      { name: "ones", dims: [m, 1], data: new Float32Array(m).fill(1) },
      { name: "axis", dims: [1], data: BigInt64Array.of(1n) },
      { name: "two", dims: [], data: Float32Array.of(2) },
    ],
  });
}

/** y = op(x), row by row. */
export function unary(op: string, columns: number): Uint8Array {
  return onnxModel({
    inputs: [{ name: "x", dims: ["batch", columns] }],
    outputs: [{ name: "y", dims: ["batch", columns] }],
    nodes: [[op, ["x"], ["y"]]],
  });
}

/** y = Σ_j x_j */
export function rowSum(columns: number): Uint8Array {
  return onnxModel({
    inputs: [{ name: "x", dims: ["batch", columns] }],
    outputs: [{ name: "y", dims: ["batch", 1] }],
    nodes: [["ReduceSum", ["x", "axis"], ["y"]]],
    weights: [{ name: "axis", dims: [1], data: BigInt64Array.of(1n) }],
  });
}
