/** 64-bit integers keep all their bits, wherever they go: against ONNX Runtime, with the extremes, at every operator set. */
import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType as Type,
  AttributeProtoSchema,
  ModelProtoSchema,
  TensorProtoSchema,
} from "onnx-buf";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { makeAttribute } from "../../lib/onnx/attributes.js";
import {
  Builder,
  DataType,
  decodeModel,
  differentiateGraph,
  emptyGraph,
  encodeModel,
  makeTensor,
  readNumbers,
  upgradeGraph,
  type Graph,
} from "../../lib/onnx/index.js";
import { runGraph } from "../support/operators.js";
import { random } from "../support/numbers.js";

const most = (1n << 63n) - 1n;
const least = -(1n << 63n);
const edge = 1n << 53n;
const extremes = [
  most,
  most - 1n,
  least,
  least + 1n,
  edge - 1n,
  edge,
  edge + 1n,
  -edge + 1n,
  -edge,
  -edge - 1n,
];
const newest = 22;

/** x → y by one node, whose int64 inputs are constants. */
function single(
  opset: number,
  opType: string,
  dims: (number | string)[],
  attributes: Record<string, bigint[] | bigint>,
  constants: bigint[][] = [],
): Graph {
  const graph = emptyGraph("one", opset);
  graph.irVersion = 4;
  graph.inputs.push({ name: "x", elemType: DataType.FLOAT, dims });
  constants.forEach((data, i) =>
    graph.initializers.set(`c${i}`, makeTensor(`c${i}`, DataType.INT64, [data.length], data)),
  );
  graph.nodes.push({
    opType,
    domain: "",
    name: "node",
    overload: "",
    inputs: ["x", ...constants.map((_, i) => `c${i}`)],
    outputs: ["y"],
    attributes: new Map(
      Object.entries(attributes).map(([name, value]) => [name, makeAttribute(name, value)]),
    ),
  });
  graph.outputs = [{ name: "y", elemType: DataType.FLOAT, dims: null }];
  return graph;
}

/** The bits of every int64 constant of a graph. */
function constants(graph: Graph): bigint[][] {
  return [...graph.initializers.values()]
    .filter((tensor) => tensor.dataType === DataType.INT64)
    .map((tensor) => Array.from(readNumbers(tensor)!, BigInt));
}

describe("onnx: 64-bit integers", () => {
  it("come through the codec bit by bit, as raw and as typed data, in attributes and in Constant nodes", () => {
    const graph = single(18, "Identity", [2], { axis: most, axes: extremes });
    const raw = makeTensor("raw", DataType.INT64, [extremes.length], extremes);
    const typed = create(TensorProtoSchema, {
      name: "typed",
      dataType: DataType.INT64,
      dims: [BigInt(extremes.length)],
      int64Data: extremes,
    });
    const unsigned = [0n, edge + 1n, (1n << 64n) - 1n];
    const wide = create(TensorProtoSchema, {
      name: "wide",
      dataType: DataType.UINT64,
      dims: [3n],
      rawData: new Uint8Array(BigUint64Array.from(unsigned).buffer),
    });
    for (const tensor of [raw, typed, wide]) graph.initializers.set(tensor.name, tensor);
    const again = decodeModel(encodeModel(decodeModel(encodeModel(graph))));
    for (const name of ["raw", "typed"])
      assert.deepEqual(Array.from(readNumbers(again.initializers.get(name)!)!, BigInt), extremes, name);
    assert.deepEqual(Array.from(readNumbers(again.initializers.get("wide")!)!, BigInt), unsigned);
    const [node] = again.nodes;
    assert.equal(node!.attributes.get("axis")!.i, most);
    assert.deepEqual(node!.attributes.get("axes")!.ints, extremes);
    const b = new Builder(emptyGraph("constants"));
    b.append({
      ...node!,
      opType: "Constant",
      inputs: [],
      outputs: ["c"],
      attributes: new Map([
        ["value_ints", create(AttributeProtoSchema, { name: "value_ints", type: Type.INTS, ints: extremes })],
      ]),
    });
    assert.deepEqual(
      b.shapes.value("c")!.data.map((entry) => BigInt(entry!)),
      extremes,
    );
  });

  it("are never made of a number that may have been rounded, nor wrapped to fit", () => {
    const b = new Builder(emptyGraph("g"));
    for (const value of [
      2 ** 53,
      -(2 ** 53),
      2 ** 63,
      -(2 ** 63),
      0.5,
      Number.NaN,
      Infinity,
      1n << 63n,
      least - 1n,
    ])
      assert.throws(() => b.ints([value]), { code: "ERR_MODEL_INVALID" }, String(value));
    for (const value of [2 ** 31, -(2 ** 31) - 1, 0.5])
      assert.throws(() => b.constant([value], [1], DataType.INT32), { code: "ERR_MODEL_INVALID" });
    for (const value of [256, -1]) assert.throws(() => b.constant([value], [1], DataType.UINT8), /uint8/);
    assert.deepEqual(constants(b.graph), []);
    b.ints(extremes);
    assert.deepEqual(constants(b.graph), [extremes]);
    assert.notEqual(b.op("Shape", ["x"], { end: most }), b.op("Shape", ["x"], { end: most - 1n }));
  });

  it("attributes that become inputs keep them, at every operator set that has the attribute", () => {
    const moved: [string, number, Record<string, bigint | bigint[]>, bigint[][]][] = [
      [
        "Slice",
        9,
        { starts: [0n, 1n], ends: [most, edge + 1n], axes: [0n, least] },
        [
          [0n, 1n],
          [most, edge + 1n],
          [0n, least],
        ],
      ],
      ["TopK", 9, { k: edge + 1n }, [[edge + 1n]]],
      ["Pad", 10, { pads: extremes }, [extremes]],
      ...["Squeeze", "Unsqueeze", "ReduceSum"].map((opType): (typeof moved)[number] => [
        opType,
        12,
        { axes: extremes },
        [extremes],
      ]),
      ["Split", 12, { split: extremes }, [extremes]],
      ["ReduceMean", 17, { axes: extremes }, [extremes]],
    ];
    for (const [opType, last, attributes, expected] of moved)
      for (let opset = 7; opset <= last; opset++)
        assert.deepEqual(
          constants(upgradeGraph(single(opset, opType, [2, 3], attributes))),
          expected,
          `${opType} ${opset}`,
        );
    const dft = upgradeGraph(single(17, "DFT", [2, 3, 1], { axis: edge + 1n }), 20);
    assert.deepEqual(constants(dft), [[edge + 1n]]);
  });

  // What x[:, 1:] becomes: the end is 2⁶³ − 1, 2³¹ − 1, or anything else that is large enough.
  for (let opset = 7; opset <= newest; opset++)
    it(`slices up to the extremes give the same values and the right gradient, operator set ${opset}`, async () => {
      const next = random(opset);
      const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!;
      const bounds = [
        ...extremes,
        (1n << 31n) - 1n,
        -(1n << 31n),
        -7n,
        -6n,
        -2n,
        -1n,
        0n,
        1n,
        3n,
        5n,
        6n,
        7n,
      ];
      const x = { dims: [2, 6], data: Float32Array.from({ length: 12 }, (_, i) => i + 1) };
      for (let round = 0; round < 12; round++) {
        const [start, end] =
          round < 2 ? [1n, round === 0 ? most : (1n << 31n) - 1n] : [pick(bounds), pick(bounds)];
        const step = opset < 10 ? 1n : pick([1n, 1n, -1n, 2n, -2n, -3n, 5n, most, least]);
        for (const dims of [
          [2, 6],
          ["n", 6],
          ["n", "m"],
        ]) {
          const graph =
            opset < 10
              ? single(opset, "Slice", dims, { starts: [start], ends: [end], axes: [1n] })
              : single(opset, "Slice", dims, {}, [[start], [end], [1n], [step]]);
          const what = `x[:, ${start}:${end}:${step}] of [${dims.join(", ")}]`;
          const expected = (await runGraph(graph, { x })).y!;
          const seed = { dims: [...expected.dims], data: Float32Array.from(expected.data, (v) => 100 * v) };
          const gradient = differentiateGraph(graph);
          const results = await runGraph(gradient, { x, grad_y: seed });
          assert.deepEqual(results.y!.dims, expected.dims, what);
          assert.deepEqual(results.y!.data, expected.data, what);
          const kept = new Set(expected.data);
          assert.deepEqual(
            Array.from(results.grad_x!.data),
            Array.from(x.data, (v) => (kept.has(v) ? 100 * v : 0)),
            what,
          );
        }
      }
    });

  it("what is folded is what the runtime computes, or is not known", async () => {
    const next = random(64);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!;
    const pool = [
      ...extremes,
      1n << 32n,
      3_037_000_500n,
      -(1n << 31n),
      94_906_267n,
      -5n,
      -1n,
      1n,
      2n,
      3n,
      7n,
    ];
    let known = 0;
    let unknown = 0;
    for (let round = 0; round < 60; round++) {
      const b = new Builder(emptyGraph("fold"));
      const elemType = pick([DataType.INT64, DataType.INT64, DataType.INT64, DataType.INT32]);
      const half = elemType === DataType.INT32 ? 1n << 31n : 1n << 63n;
      const values = pool.filter((value) => value >= -half && value < half);
      const constant = (list: bigint[]): string => b.constant(list, [list.length], elemType);
      const p = constant([pick(values), pick(values), pick(values)]);
      const q = constant([pick(values), pick(values), pick(values)]);
      // A quotient by zero, or of −2⁶³ by −1, ends the process of whoever asks the runtime for it.
      const divisor = constant([2n, 3n, 7n]);
      const made = [
        ...["Add", "Sub", "Mul", "Min", "Max"].map((opType) => b.op(opType, [p, q])),
        b.op("Div", [p, divisor]),
        b.op("Neg", [p]),
        b.op("Sub", [b.op("Add", [p, q]), q]),
        b.op("Mul", [b.op("Div", [p, divisor]), divisor]),
        b.op("Concat", [q, p], { axis: 0 }),
        b.op("Gather", [p, b.ints([2, 0])], { axis: 0 }),
        b.op("Slice", [p, b.ints([-1]), b.ints([least]), b.ints([0]), b.ints([-1])]),
        b.op("Where", [b.op("Greater", [p, q]), p, q]),
        b.op("Cast", [p], { to: DataType.INT64 }),
        b.op("Cast", [p], { to: DataType.INT32 }),
        b.op("Cast", [p], { to: DataType.FLOAT }),
        ...["Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual"].map((opType) =>
          b.op("Cast", [b.op(opType, [p, q])], { to: DataType.INT64 }),
        ),
        b.op("Cast", [b.op("Not", [b.op("Cast", [p], { to: DataType.BOOL })])], { to: DataType.INT64 }),
      ];
      // Something must come from outside, or there is nothing to run.
      const x = b.input("x", DataType.FLOAT, [1]);
      b.output("same", b.op("Neg", [x]));
      made.forEach((value, i) => b.output(`out${i}`, b.op("Identity", [value])));
      const session = await InferenceSession.create(encodeModel(b.graph), { logSeverityLevel: 3 });
      const results = await session.run({ x: new Tensor("float32", [0], [1]) });
      made.forEach((value, i) => {
        const { data } = results[`out${i}`]!;
        b.shapes.value(value)?.data.forEach((entry, at) => {
          if (typeof entry !== "number" && typeof entry !== "bigint") return void unknown++;
          known++;
          const got = (data as ArrayLike<number | bigint>)[at]!;
          const maker = b.maker(value)!;
          assert.ok(
            got == entry,
            `round ${round}, ${maker.opType} of ${JSON.stringify([p, q])}: folded ${entry}, runs as ${got}`,
          );
        });
      });
      await session.release();
    }
    assert.ok(known > 2000 && unknown > 100, `${known} known, ${unknown} unknown`);
  });

  it("ranges, shapes and fills", () => {
    const b = new Builder(emptyGraph("g"));
    const range = (start: bigint, limit: bigint, delta: bigint): unknown =>
      b.shapes.value(b.op("Range", [b.int(start), b.int(limit), b.int(delta)]))?.data;
    assert.deepEqual(range(edge - 3n, edge - 1n, 1n), [2 ** 53 - 3, 2 ** 53 - 2]);
    assert.equal(range(most - 2n, most, 1n), undefined);
    const x = b.input("x", DataType.FLOAT, ["n", 3, 5]);
    assert.deepEqual(b.shapes.value(b.op("Shape", [x], { start: 1, end: most }))!.data, [3, 5]);
    assert.deepEqual(b.shapes.value(b.op("Shape", [x], { start: least, end: -1 }))!.data, ["n", 3]);
    const fill = makeTensor("value", DataType.INT64, [1], [most]);
    const filled = b.op("ConstantOfShape", [b.ints([2])], { value: fill });
    assert.deepEqual(b.shapes.value(filled)!.data, [most, most]);
    assert.ok(b.shapes.dims(b.op("ConstantOfShape", [filled]))!.every((dim) => typeof dim === "string"));
  });

  it("versions that are no versions, and attributes that count beyond 2⁵³, are refused", () => {
    const graph = single(18, "Softmax", [2, 3], { axis: most });
    assert.throws(() => differentiateGraph(graph), {
      code: "ERR_MODEL_INVALID",
      message: /axis.*9223372036854775807/,
    });
    const model = fromBinary(ModelProtoSchema, encodeModel(single(18, "Relu", [2], {})));
    model.opsetImport[0]!.version = most;
    const huge = toBinary(ModelProtoSchema, model);
    assert.throws(() => decodeModel(huge), { code: "ERR_MODEL_INVALID", message: /no version/ });
  });
});
