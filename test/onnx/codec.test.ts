import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  ModelProtoSchema,
  StringStringEntryProtoSchema,
  TensorProto_DataLocation,
  TensorProtoSchema,
} from "onnx-buf";
import { ModelError, Tr0nError } from "../../lib/base/errors.js";
import {
  Builder,
  DataType,
  decodeModel,
  emptyGraph,
  encodeModel,
  externalFiles,
  inlineExternal,
  inspectGraph,
  readNumbers,
  makeTensor,
  type Graph,
} from "../../lib/onnx/index.js";
import { runGraph } from "../support/operators.js";

const folder = new URL("../fixtures/onnx/", import.meta.url);
const fixture = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(`${name}.onnx`, folder)));

function invalidModel(bytes: Uint8Array, pattern: RegExp, name?: string): void {
  assert.throws(
    () => decodeModel(bytes, name),
    (error: unknown) =>
      error instanceof ModelError && error.code === "ERR_MODEL_INVALID" && pattern.test(error.message),
  );
}

describe("onnx: reading and writing", () => {
  it("a model survives the way there and back, in our reading and in ONNX Runtime's", async () => {
    for (const name of ["conv_bn_pool", "attention", "shuffle"]) {
      const graph = decodeModel(fixture(name));
      const again = decodeModel(encodeModel(graph));
      assert.deepEqual(
        again.nodes.map((node) => [node.opType, node.inputs, node.outputs, [...node.attributes.keys()]]),
        graph.nodes.map((node) => [node.opType, node.inputs, node.outputs, [...node.attributes.keys()]]),
      );
      assert.deepEqual(again.inputs, graph.inputs);
      assert.deepEqual(again.outputs, graph.outputs);
      assert.deepEqual([...again.opsets], [...graph.opsets]);
      for (const [key, tensor] of graph.initializers)
        assert.deepEqual(readNumbers(again.initializers.get(key)!), readNumbers(tensor), key);
    }
    const z = { dims: [1, 8], data: new Float32Array(8).fill(0.3) };
    const [before, after] = [
      await runGraph(fixture("generator"), { z }),
      await runGraph(decodeModel(fixture("generator")), { z }),
    ];
    assert.deepEqual(after.y!.data, before.y!.data);
  });

  it("weights are views of the model's bytes", () => {
    const bytes = fixture("generator");
    for (const tensor of decodeModel(bytes).initializers.values())
      if (tensor.rawData.length > 0) assert.equal(tensor.rawData.buffer, bytes.buffer);
  });

  it("bytes that are no model are an error that names the model and what came", () => {
    const bytes = fixture("generator");
    invalidModel(new Uint8Array(0), /no bytes at all/);
    invalidModel(
      new Uint8Array(readFileSync(new URL(import.meta.url))),
      /x\.onnx: expected an ONNX model, got/,
      "x.onnx",
    );
    assert.throws(
      () => decodeModel(Uint8Array.of(0x50, 0x4b, 3, 4, 0, 0), "x.pt"),
      (error: unknown) =>
        error instanceof ModelError &&
        error.code === "ERR_MODEL_UNSUPPORTED" &&
        /x\.pt: expected an ONNX model, got a zip archive/.test(error.message),
    );
    invalidModel(new TextEncoder().encode('{"a": 1}'), /JSON/);
    invalidModel(bytes.subarray(0, bytes.length - 7), /truncated or damaged/);
    assert.throws(() => decodeModel("model.onnx" as unknown as Uint8Array), { code: "ERR_INVALID_ARGUMENT" });
  });

  it("numbers of every kind of constant", () => {
    const read = (elemType: number, data: number[]): number[] =>
      Array.from(readNumbers(makeTensor("t", elemType, [data.length], data))!, Number);
    for (const elemType of [DataType.FLOAT, DataType.DOUBLE, DataType.FLOAT16])
      assert.deepEqual(read(elemType, [0, -0, 1.5, -2, 65504, 2 ** -24, Infinity]), [
        0,
        -0,
        1.5,
        -2,
        65504,
        2 ** -24,
        Infinity,
      ]);
    assert.deepEqual(read(DataType.INT64, [-3, 7]), [-3, 7]);
    assert.deepEqual(read(DataType.INT32, [-3, 7]), [-3, 7]);
    assert.deepEqual(read(DataType.BOOL, [1, 0]), [1, 0]);
    const typed = create(TensorProtoSchema, { dataType: DataType.FLOAT, dims: [2n], floatData: [1, 2] });
    assert.deepEqual(Array.from(readNumbers(typed)!), [1, 2]);
    const short = create(TensorProtoSchema, {
      name: "t",
      dataType: DataType.FLOAT,
      dims: [3n],
      floatData: [1, 2],
    });
    assert.throws(() => readNumbers(short), { code: "ERR_MODEL_INVALID" });
    const huge = create(TensorProtoSchema, {
      name: "t",
      dataType: DataType.FLOAT,
      dims: [1n << 62n],
      floatData: [1],
    });
    assert.throws(() => readNumbers(huge), { code: "ERR_MODEL_INVALID" });
  });

  it("a graph that cannot be one is an error that names the node", () => {
    const broken = (change: (graph: Graph) => void, pattern: RegExp): void => {
      const graph = decodeModel(fixture("generator"));
      change(graph);
      invalidModel(encodeModel(graph), pattern);
    };
    broken((g) => (g.nodes[0]!.inputs[0] = "nowhere"), /reads "nowhere", which nothing makes/);
    broken((g) => (g.nodes[1]!.outputs[0] = g.nodes[0]!.outputs[0]!), /defined twice/);
    broken((g) => (g.nodes[0]!.inputs[0] = g.nodes.at(-1)!.outputs[0]!), /lies on a cycle/);
    broken((g) => (g.outputs[0]!.name = "other"), /output "other" is made by nothing/);
    broken((g) => g.inputs.push({ ...g.inputs[0]! }), /defined twice/);
  });

  it("nodes in any order are put into one that runs", async () => {
    const graph = decodeModel(fixture("generator"));
    graph.nodes.reverse();
    const sorted = decodeModel(encodeModel(graph));
    const z = { dims: [2, 8], data: new Float32Array(16).fill(-0.2) };
    assert.deepEqual(
      (await runGraph(sorted, { z })).y!.data,
      (await runGraph(fixture("generator"), { z })).y!.data,
    );
  });

  it("a summary for people", () => {
    const summary = inspectGraph(decodeModel(fixture("generator")));
    assert.equal(summary.opset, 9);
    assert.deepEqual(
      summary.operators.find((entry) => entry.opType === "ConvTranspose"),
      { opType: "ConvTranspose", count: 3 },
    );
    assert.ok(summary.parameters > 2000);
    assert.deepEqual(summary.withoutGradient, []);
  });
});

describe("onnx: weights in other files", () => {
  /** y = x · w with w [2] at bytes 8 … 16 of a file. */
  function model(location: string, length = "8"): Uint8Array {
    const b = new Builder(emptyGraph("external"));
    const x = b.input("x", DataType.FLOAT, ["batch", 2]);
    b.graph.initializers.set(
      "w",
      create(TensorProtoSchema, {
        name: "w",
        dataType: DataType.FLOAT,
        dims: [2n],
        dataLocation: TensorProto_DataLocation.EXTERNAL,
        externalData: Object.entries({ location, offset: "8", length }).map(([key, value]) =>
          create(StringStringEntryProtoSchema, { key, value }),
        ),
      }),
    );
    b.output("y", b.op("Mul", [x, "w"]));
    return encodeModel(b.graph);
  }

  it("are listed, kept, and inlined by a caller who can read", async () => {
    const graph = decodeModel(encodeModel(decodeModel(model("weights/w.bin"))));
    assert.deepEqual(externalFiles(graph), ["weights/w.bin"]);
    assert.equal(readNumbers(graph.initializers.get("w")!), null);
    const inlined = inlineExternal(graph, (location, offset, length) => {
      assert.deepEqual([location, offset, length], ["weights/w.bin", 8, 8]);
      return new Uint8Array(Float32Array.of(3, -1).buffer);
    });
    assert.deepEqual(externalFiles(inlined), []);
    const { y } = await runGraph(inlined, { x: { dims: [1, 2], data: [2, 5] } });
    assert.deepEqual([...y!.data], [6, -5]);
    assert.throws(() => inlineExternal(graph, () => new Uint8Array(3)), { code: "ERR_MODEL_INVALID" });
  });

  it("outside the model's folder, or with a bad range, are refused", () => {
    for (const location of [
      "/etc/passwd",
      "../w.bin",
      "a/../../w.bin",
      "C:\\w.bin",
      "\\\\host\\w",
      "a\\..\\..\\w",
      "",
    ])
      assert.throws(
        () => externalFiles(decodeModel(model(location))),
        { code: "ERR_MODEL_INVALID" },
        location,
      );
    assert.throws(() => externalFiles(decodeModel(model("w.bin", "-8"))), { code: "ERR_MODEL_INVALID" });
    assert.throws(() => externalFiles(decodeModel(model("w.bin", "1e99"))), { code: "ERR_MODEL_INVALID" });
  });
});

describe("onnx: nesting", () => {
  it("a message nested without end is an error and not a crash", () => {
    let bytes: Uint8Array = toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 8n }));
    // Field 7 of a model is its graph, field 1 of that a node, field 5 an attribute, field 6 a graph again.
    for (let depth = 0; depth < 400; depth++)
      for (const field of [1, 5, 6]) {
        const head = [(field << 3) | 2];
        for (let rest = bytes.length; ; rest >>>= 7) {
          head.push(rest > 127 ? (rest & 127) | 128 : rest);
          if (rest <= 127) break;
        }
        const next = new Uint8Array(head.length + bytes.length);
        next.set(head);
        next.set(bytes, head.length);
        bytes = next;
      }
    assert.throws(() => decodeModel(bytes), Tr0nError);
  });
});
