/** Models with inputs fixed by value, and models cut down to some of their outputs. */
import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema, TensorProtoSchema } from "onnx-buf";
import { ArgumentError } from "../../lib/base/errors.js";
import { tensor } from "../../lib/base/tensor.js";
import { fixInputs, type FixedValue } from "../../lib/onnx/adapt/fix-inputs.js";
import { keepOutputs } from "../../lib/onnx/adapt/keep-outputs.js";
import { openBatchGraph } from "../../lib/onnx/adapt/open-batch.js";
import {
  Builder,
  DataType,
  decodeModel,
  differentiateGraph,
  emptyGraph,
  encodeModel,
  finish,
  type Dim,
  type Graph,
} from "../../lib/onnx/index.js";
import { runGraph, type Feed } from "../support/operators.js";

/** y [N, 3] = tanh(z) with a second input beside it, which is read as float32 and added. */
function withInput(elemType: number, dims: Dim[] | null, { opset = 18, z = ["N", 3] as Dim[] } = {}): Graph {
  const b = new Builder(emptyGraph("g", opset));
  const latent = b.input("z", DataType.FLOAT, z);
  const extra = b.input("extra", elemType, dims);
  const number = elemType === DataType.FLOAT ? extra : b.op("Cast", [extra], { to: DataType.FLOAT });
  // Concat does not broadcast: what has an axis of rows must have as many as z.
  const beside =
    dims?.length === 2
      ? b.op("Concat", [latent, number], { axis: 1 })
      : dims?.length === 1 && dims[0] !== 1
        ? b.op("Concat", [latent, b.reshape(number, [-1, 1])], { axis: 1 })
        : b.op("Add", [latent, number]);
  b.output("y", b.op("Tanh", [beside]));
  return b.graph;
}

const z: Feed = { dims: [2, 3], data: [0.1, -0.2, 0.3, 0.4, -0.5, 0.6] };

async function same(
  graph: Graph,
  value: FixedValue,
  extra: Feed,
  given = z,
  reference = graph,
): Promise<void> {
  const before = encodeModel(graph);
  const fixed = fixInputs(graph, { extra: value });
  assert.deepEqual(encodeModel(graph), before, "the graph that came is as it was");
  assert.deepEqual(
    fixed.inputs.map(({ name }) => name),
    ["z"],
  );
  const expected = await runGraph(reference, { z: given, extra });
  const got = await runGraph(decodeModel(encodeModel(fixed)), { z: given });
  assert.deepEqual(got.y!.dims, expected.y!.dims);
  assert.deepEqual([...got.y!.data], [...expected.y!.data]);
}

describe("onnx: inputs fixed by value", () => {
  const types: [string, number, number, Feed["type"]][] = [
    ["float32", DataType.FLOAT, 0.7, "float32"],
    ["float64", DataType.DOUBLE, 0.7, "float64"],
    ["int64", DataType.INT64, 207, "int64"],
    ["int32", DataType.INT32, -3, "int32"],
    ["bool", DataType.BOOL, 1, "bool"],
  ];
  for (const [text, elemType, value, type] of types)
    it(`makes a number of a ${text} input: scalars, rows of a batch, matrices`, async () => {
      const feed = (dims: number[]): Feed => ({
        ...{ dims, type },
        data: Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => value),
      });
      await same(withInput(elemType, []), value, feed([]));
      await same(withInput(elemType, [1]), value, feed([1]));
      await same(withInput(elemType, ["N"]), value, feed([2]));
      await same(withInput(elemType, ["other"]), value, feed([2]));
      await same(withInput(elemType, [null, 4]), value, feed([2, 4]));
      await same(withInput(elemType, [2, 4], { z: [2, 3] }), value, feed([2, 4]));
    });

  it("makes a number of a float16 or bfloat16 input", async () => {
    for (const elemType of [DataType.FLOAT16, DataType.BFLOAT16])
      for (const [declared, dims] of [
        [[], []],
        [["N"], [2]],
        [
          [null, 4],
          [2, 4],
        ],
      ] as [Dim[], number[]][]) {
        const graph = withInput(elemType, declared);
        const feed = { dims, data: new Array<number>(dims.reduce((a, b) => a * b, 1)).fill(0.5) };
        // Half precision has 0.5 exactly.
        await same(graph, 0.5, feed, z, withInput(DataType.FLOAT, declared));
      }
  });

  it("takes a tensor with or without the axis of rows, and repeats a row", async () => {
    const row = [0.5, -1, 2, 0.25];
    const twice: Feed = { dims: [2, 4], data: [...row, ...row] };
    const open = withInput(DataType.FLOAT, ["N", 4]);
    await same(open, tensor(row, [4]), twice);
    await same(open, tensor(row, [1, 4]), twice);
    await same(withInput(DataType.FLOAT, [2, 4], { z: [2, 3] }), tensor(row, [4]), twice);
    const two = [...row, 1, 2, 3, 4];
    await same(withInput(DataType.FLOAT, [2, 4], { z: [2, 3] }), tensor(two, [2, 4]), {
      dims: [2, 4],
      data: two,
    });
    await same(withInput(DataType.INT64, ["N"]), tensor([207], []), {
      dims: [2],
      data: [207, 207],
      type: "int64",
    });
    // An axis that has another name may be anything.
    await same(withInput(DataType.FLOAT, ["rows", 4]), tensor(two, [2, 4]), { dims: [2, 4], data: two });
  });

  it("works in operator sets without Expand, and where the rank is not declared", async () => {
    await same(withInput(DataType.FLOAT, ["N"], { opset: 7 }), 0.5, { dims: [2], data: [0.5, 0.5] });
    await same(withInput(DataType.FLOAT, null), 0.5, { dims: [], data: [0.5] });
  });

  it("follows a batch that is opened afterwards", async () => {
    const rows: [number, Dim[], number[]][] = [
      [DataType.FLOAT, [1, 4], [3, 4]],
      [DataType.INT64, [2], [3]],
      [DataType.FLOAT, [2, 4], [3, 4]],
    ];
    for (const [elemType, dims, open] of rows) {
      const batch = dims[0] as number;
      const fixed = fixInputs(withInput(elemType, dims, { z: [batch, 3] }), { extra: 2 });
      const opened = finish(openBatchGraph(fixed, batch));
      const three: Feed = { dims: [3, 3], data: [0.1, -0.2, 0.3, 0.4, -0.5, 0.6, 0.7, 0.8, 0.9] };
      const feed: Feed = {
        dims: open,
        data: new Array<number>(open.reduce((a, b) => a * b, 1)).fill(2),
        type: elemType === DataType.INT64 ? "int64" : "float32",
      };
      const expected = await runGraph(withInput(elemType, ["N", ...dims.slice(1)]), {
        z: three,
        extra: feed,
      });
      assert.deepEqual([...(await runGraph(opened, { z: three })).y!.data], [...expected.y!.data]);
    }
  });

  it("uses a default that the file has for an input, unless another value is given", async () => {
    const graph = withInput(DataType.FLOAT, []);
    const model = fromBinary(ModelProtoSchema, encodeModel(graph));
    model.irVersion = 3n;
    model.graph!.initializer.push(
      create(TensorProtoSchema, { name: "extra", dataType: DataType.FLOAT, floatData: [0.25] }),
    );
    const read = decodeModel(toBinary(ModelProtoSchema, model));
    assert.deepEqual(
      read.inputs.map(({ name }) => name),
      ["z"],
    );
    for (const [values, number] of [
      [{}, 0.25],
      [{ extra: 0.75 }, 0.75],
    ] as const) {
      const got = await runGraph(decodeModel(encodeModel(fixInputs(read, values))), { z });
      const expected = await runGraph(graph, { z, extra: { dims: [], data: [number] } });
      assert.deepEqual([...got.y!.data], [...expected.y!.data]);
    }
  });

  it("keeps the gradient", async () => {
    const graph = withInput(DataType.FLOAT, ["N", 4]);
    const grad_y: Feed = { dims: [2, 7], data: Array.from({ length: 14 }, (_, i) => 0.1 * i - 0.5) };
    const extra: Feed = { dims: [2, 4], data: new Array<number>(8).fill(0.7) };
    const expected = await runGraph(differentiateGraph(graph, { wrt: ["z"] }), { z, extra, grad_y });
    const got = await runGraph(differentiateGraph(fixInputs(graph, { extra: 0.7 })), { z, grad_y });
    assert.deepEqual([...got.grad_z!.data], [...expected.grad_z!.data]);
  });

  it("reads an open size from another input's axis of the same name", async () => {
    const b = new Builder(emptyGraph("g"));
    const x = b.input("z", DataType.FLOAT, ["N", "width"]);
    b.output("y", b.op("Mul", [x, b.input("extra", DataType.FLOAT, ["N", "width"])]));
    await same(b.graph, 3, { dims: [2, 3], data: new Array<number>(6).fill(3) });
  });

  const refused: [string, Graph, Record<string, FixedValue>, RegExp][] = [
    [
      "a name that there is not",
      withInput(DataType.FLOAT, ["N", 4]),
      { psi: 1 },
      /^options\.inputs: the model has no input "psi"; it has z float32 \[N, 3\], extra float32 \[N, 4\]$/,
    ],
    [
      "a shape that does not fit",
      withInput(DataType.FLOAT, ["N", 4]),
      { extra: tensor([1, 2, 3], [3]) },
      /^options\.inputs\.extra: expected a number, or a Tensor of the shape \[N, 4\], or \[4\] for every row, got \[3\]$/,
    ],
    [
      "rows of its own where those are a run's",
      withInput(DataType.FLOAT, ["N", 4]),
      { extra: tensor(new Array<number>(12).fill(0), [3, 4]) },
      /got \[3, 4\]: its first axis are the rows of a run, as of z/,
    ],
    [
      "a fraction for whole numbers",
      withInput(DataType.INT64, ["N"]),
      { extra: 0.5 },
      /^options\.inputs\.extra: the model declares int64, so expected whole numbers of that type, got 0\.5$/,
    ],
    [
      "a number that int32 does not have",
      withInput(DataType.INT32, ["N"]),
      { extra: 2 ** 31 },
      /declares int32.*got 2147483648$/,
    ],
    ["2 for a bool", withInput(DataType.BOOL, []), { extra: 2 }, /declares bool, so expected 0 or 1, got 2$/],
    [
      "a number beyond float16",
      withInput(DataType.FLOAT16, [2]),
      { extra: tensor([1, 1e5], [2]) },
      /declares float16, whose greatest number is 65504, got 100000 at index 1$/,
    ],
    [
      "a number where an axis is open",
      withInput(DataType.FLOAT, ["N", "width"]),
      { extra: 1 },
      /expected a Tensor, whose shape says the size of axis 1 that extra float32 \[N, width\] leaves open/,
    ],
    [
      "all inputs at once",
      withInput(DataType.FLOAT, []),
      { extra: 1, z: 0 },
      /^options\.inputs: expected at least one input of the model that is not fixed, got values for all: z, extra$/,
    ],
  ];
  for (const [what, graph, values, message] of refused)
    it(`refuses ${what}`, () => {
      assert.throws(
        () => fixInputs(graph, values),
        (error: unknown) => error instanceof ArgumentError && message.test(error.message),
      );
    });
});

/** Two towers in one file, and what both make together. */
function towers(): Graph {
  const b = new Builder(emptyGraph("clip"));
  const pixels = b.input("pixel_values", DataType.FLOAT, ["images", 4]);
  const ids = b.input("input_ids", DataType.INT64, ["texts", "length"]);
  const mask = b.input("attention_mask", DataType.INT64, ["texts", "length"]);
  const image = b.op("MatMul", [pixels, b.constant([1, 2, 3, 4, 5, 6, 7, 8], [4, 2], DataType.FLOAT)]);
  const known = b.op("Cast", [b.op("Mul", [ids, mask])], { to: DataType.FLOAT });
  const text = b.op("MatMul", [
    b.op("ReduceSum", [known, b.ints([1])], { keepdims: 1 }),
    b.constant([1, -1], [1, 2], DataType.FLOAT),
  ]);
  b.output("logits_per_image", b.op("MatMul", [image, b.op("Transpose", [text], { perm: [1, 0] })]));
  b.output("text_embeds", text);
  b.output("image_embeds", image);
  return b.graph;
}

describe("onnx: models with fewer outputs", () => {
  const names = (values: readonly { name: string }[]): string[] => values.map(({ name }) => name);

  it("drops nodes, weights and inputs that only the others need", async () => {
    const graph = towers();
    const image = keepOutputs(graph, ["image_embeds"]);
    assert.deepEqual(names(image.inputs), ["pixel_values"]);
    assert.deepEqual(names(image.outputs), ["image_embeds"]);
    assert.deepEqual(
      image.nodes.map(({ opType }) => opType),
      ["MatMul", "Identity"],
    );
    assert.equal(image.initializers.size, 1);
    const { image_embeds } = await runGraph(image, { pixel_values: { dims: [1, 4], data: [1, 0, 0, 1] } });
    assert.deepEqual([...image_embeds!.data], [8, 10]);
    const text = keepOutputs(graph, ["text_embeds"]);
    assert.deepEqual(names(text.inputs), ["input_ids", "attention_mask"]);
    assert.deepEqual(names(graph.outputs), ["logits_per_image", "text_embeds", "image_embeds"]);
    assert.equal(graph.inputs.length, 3);
  });

  it("keeps several, in the graph's order", () => {
    const both = keepOutputs(towers(), ["image_embeds", "text_embeds"]);
    assert.deepEqual(names(both.outputs), ["text_embeds", "image_embeds"]);
    assert.equal(both.inputs.length, 3);
  });

  it("keeps an input that is an output", () => {
    const b = new Builder(emptyGraph("g"));
    const x = b.input("x", DataType.FLOAT, ["N", 2]);
    b.input("unread", DataType.FLOAT, ["N", 2]);
    b.graph.outputs.push({ name: x, elemType: DataType.FLOAT, dims: ["N", 2] });
    assert.deepEqual(names(keepOutputs(b.graph, ["x"]).inputs), ["x"]);
  });

  it("refuses a name that is no output, naming those that there are", () => {
    assert.throws(() => keepOutputs(towers(), ["image"]), {
      name: "ArgumentError",
      message:
        'options.output: the model has no output "image"; it has "logits_per_image", "text_embeds", "image_embeds"',
    });
  });
});
