/** Small files that ask for much: deep, wide, exponential, or of sizes that no machine has. */
import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { GraphProtoSchema, NodeProtoSchema, type NodeProto } from "onnx-buf";
import { makeAttribute, type AttributeValue } from "../../lib/onnx/attributes.js";
import { encodeValue } from "../../lib/onnx/codec.js";
import { Builder, DataType, emptyGraph, encodeModel, makeTensor, type Dim } from "../../lib/onnx/index.js";

/** A length-delimited field. */
function field(number: number, ...content: Uint8Array[]): Uint8Array {
  const length = content.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([
    new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(length).finish(),
    ...content,
  ]);
}
const text = (number: number, value: string): Uint8Array => field(number, new TextEncoder().encode(value));
const varint = (number: number, value: number): Uint8Array =>
  new BinaryWriter().tag(number, WireType.Varint).uint32(value).finish();

const float = (name: string, dims: Dim[]): ReturnType<typeof encodeValue> =>
  encodeValue({ name, elemType: DataType.FLOAT, dims });

function node(
  opType: string,
  input: string[],
  output: string[],
  attributes: Record<string, AttributeValue> = {},
  domain = "",
): NodeProto {
  const attribute = Object.entries(attributes).map(([name, value]) => makeAttribute(name, value));
  return create(NodeProtoSchema, { opType, input, output, attribute, ...(domain === "" ? {} : { domain }) });
}

/** A model around a graph's bytes. */
function model(graph: Uint8Array, functions: Uint8Array[] = [], opset = 18): Uint8Array {
  const imports = (domain: string, version: number): Uint8Array =>
    field(8, text(1, domain), varint(2, version));
  return Buffer.concat([
    varint(1, 8),
    imports("", opset),
    imports("own", 1),
    field(7, graph),
    ...functions.map((f) => field(25, f)),
  ]);
}

/** x [1, 2] → y by the given nodes. */
function graph(nodes: Uint8Array[], extra: Uint8Array[] = []): Uint8Array {
  const rest = create(GraphProtoSchema, {
    name: "g",
    input: [float("x", ["n", 2])],
    output: [float("y", ["n", 2])],
  });
  return Buffer.concat([
    ...nodes.map((bytes) => field(1, bytes)),
    toBinary(GraphProtoSchema, rest),
    ...extra,
  ]);
}

const bytesOf = (n: NodeProto): Uint8Array => toBinary(NodeProtoSchema, n);

/** If in If in If …: built from the inside, as no encoder gets so deep. */
export function nestedIfs(depth: number): Uint8Array {
  const branch = (name: string, inner: Uint8Array): Uint8Array =>
    // A graph [node, name, output] as the attribute then_branch or else_branch.
    field(5, text(1, name), varint(20, 5), field(6, field(1, inner), text(2, "b"), field(12, text(1, "y"))));
  const leaf = bytesOf(node("Identity", ["x"], ["y"]));
  let inner: Uint8Array = leaf;
  for (let level = 0; level < depth; level++)
    inner = Buffer.concat([
      text(1, "c"),
      text(2, "y"),
      text(4, "If"),
      branch("then_branch", inner),
      branch("else_branch", leaf),
    ]);
  const condition = makeTensor("c", DataType.BOOL, [], [1]);
  const b = new Builder(emptyGraph("c"));
  b.graph.initializers.set("c", condition);
  // The constant comes as the graph of a model that has nothing else.
  const holder = create(GraphProtoSchema, { initializer: [condition] });
  return model(graph([inner], [toBinary(GraphProtoSchema, holder)]));
}

/** f1 calls f2 calls f3 …, each `times` times. */
export function nestedFunctions(depth: number, times = 1): Uint8Array {
  const functions = Array.from({ length: depth }, (_, i) => {
    const calls = Array.from({ length: times }, (_, k) =>
      node(
        i + 1 < depth ? `f${i + 1}` : "Relu",
        [k === 0 ? "a" : `t${k}`],
        [k === times - 1 ? "r" : `t${k + 1}`],
        {},
        i + 1 < depth ? "own" : "",
      ),
    );
    const own = field(9, text(1, "own"), varint(2, 1));
    return Buffer.concat([
      text(1, `f${i}`),
      text(4, "a"),
      text(5, "r"),
      ...calls.map((call) => field(7, bytesOf(call))),
      field(9, text(1, ""), varint(2, 18)),
      own,
      text(10, "own"),
    ]);
  });
  return model(graph([bytesOf(node("f0", ["x"], ["y"], {}, "own"))]), functions);
}

/** A function that calls itself. */
export function selfCalling(): Uint8Array {
  const f = Buffer.concat([
    text(1, "f0"),
    text(4, "a"),
    text(5, "r"),
    field(7, bytesOf(node("f0", ["a"], ["r"], {}, "own"))),
    field(9, text(1, "own"), varint(2, 1)),
    text(10, "own"),
  ]);
  return model(graph([bytesOf(node("f0", ["x"], ["y"], {}, "own"))]), [f]);
}

/** A type that is a sequence of sequences of …. */
export function nestedTypes(depth: number): Uint8Array {
  let type: Uint8Array = new Uint8Array(0);
  for (let level = 0; level < depth; level++) type = field(4, field(1, type));
  return model(graph([bytesOf(node("Relu", ["x"], ["y"]))], [field(13, text(1, "v"), field(2, type))]));
}

/** Relu after Relu. */
export function chain(length: number): Uint8Array {
  const nodes = Array.from({ length }, (_, i) =>
    bytesOf(node("Relu", [i === 0 ? "x" : `v${i}`], [i === length - 1 ? "y" : `v${i + 1}`])),
  );
  return model(graph(nodes));
}

/** One node with many inputs. */
export function wide(inputs: number): Uint8Array {
  const b = new Builder(emptyGraph("wide"));
  const x = b.input("x", DataType.FLOAT, ["n", 2]);
  const y = b.op("Concat", new Array<string>(inputs).fill(x), { axis: 1 });
  b.output("y", b.op("ReduceSum", [y, b.ints([1])]));
  return encodeModel(b.graph);
}

/** x plus the sum of a constant of a size that the file only names. */
export function hugeConstant(kind: string, size: number): Uint8Array {
  const b = new Builder(emptyGraph("huge"));
  const x = b.input("x", DataType.FLOAT, ["n", 2]);
  const one = b.constant([1], [1], DataType.FLOAT);
  const made: Record<string, () => string> = {
    ConstantOfShape: () => b.op("ConstantOfShape", [b.ints([size])]),
    Expand: () => b.op("Expand", [one, b.ints([size])]),
    Tile: () => b.op("Tile", [one, b.ints([size])]),
    Range: () => b.op("Cast", [b.op("Range", [b.int(0), b.int(size), b.int(1)])], { to: DataType.FLOAT }),
    OneHot: () => b.op("OneHot", [b.ints([0]), b.int(size), b.constant([0, 1], [2], DataType.FLOAT)]),
    Pad: () => b.op("Pad", [one, b.ints([0, size])]),
    Resize: () =>
      b.op("Resize", [b.constant([1], [1, 1, 1, 1], DataType.FLOAT), null, null, b.ints([1, 1, 1, size])]),
    Outer: () => {
      const side = Math.round(Math.sqrt(size));
      const column = b.op("ConstantOfShape", [b.ints([side, 1])]);
      return b.op("MatMul", [column, b.op("ConstantOfShape", [b.ints([1, side])])]);
    },
    Loop: () => b.op("Add", [one, one]),
  };
  const sum = b.op("ReduceSum", [made[kind]!()], { keepdims: 0 });
  b.output("y", b.op("Add", [x, sum]));
  return encodeModel(b.graph);
}

/** A Loop that adds 1 `trips` times. */
export function longLoop(trips: bigint): Uint8Array {
  const body = create(GraphProtoSchema, {
    name: "body",
    input: [
      encodeValue({ name: "i", elemType: DataType.INT64, dims: [] }),
      encodeValue({ name: "go", elemType: DataType.BOOL, dims: [] }),
      float("v", ["n", 2]),
    ],
    output: [encodeValue({ name: "going", elemType: DataType.BOOL, dims: [] }), float("w", ["n", 2])],
    node: [node("Identity", ["go"], ["going"]), node("Add", ["v", "one"], ["w"])],
  });
  const loop = Buffer.concat([
    text(1, "trips"),
    text(1, "yes"),
    text(1, "x"),
    text(2, "y"),
    text(4, "Loop"),
    field(5, text(1, "body"), varint(20, 5), field(6, toBinary(GraphProtoSchema, body))),
  ]);
  const holder = create(GraphProtoSchema, {
    initializer: [
      makeTensor("trips", DataType.INT64, [], [trips]),
      makeTensor("yes", DataType.BOOL, [], [1]),
      makeTensor("one", DataType.FLOAT, [1], [1]),
    ],
  });
  return model(graph([loop], [toBinary(GraphProtoSchema, holder)]));
}
