import assert from "node:assert/strict";
import { conditionRows, conditionStreams, interpolated } from "../../lib/condition/condition.js";
import type { ConditionKind } from "../../lib/objective/energy.js";
import { tensor } from "../../lib/index.js";
import { close, rejects } from "../support/tiny.js";

const rows = (value: unknown, kind: ConditionKind = "raw", size = 3) =>
  conditionRows("condition", value, size, kind);

describe("conditions", () => {
  it("come from classes, tensors of rows, single vectors and embeddings", async () => {
    assert.deepEqual([...(await rows({ class: [2, 0] }, "probabilities")).data], [0, 0, 1, 1, 0, 0]);
    assert.equal((await rows({ class: 1 }, "probabilities")).count, 1);
    assert.deepEqual([...(await rows(tensor([1, 2, 3], [3]))).data], [1, 2, 3]);
    assert.equal((await rows(tensor([1, 2, 3, 4, 5, 6], [2, 3]))).count, 2);
    assert.deepEqual([...(await rows({ embedding: tensor([1, 2, 3], [1, 3]) })).data], [1, 2, 3]);
  });

  it("are normalised where only directions count, and copied always", async () => {
    const given = tensor([3, 0, 4], [3]);
    close((await rows(given, "unit")).data, [0.6, 0, 0.8], 1e-7);
    assert.deepEqual([...given.data], [3, 0, 4]);
    const raw = await rows(given);
    raw.data[0] = 9;
    assert.equal(given.data[0], 3);
  });

  const bad: [string, unknown, ConditionKind, "ERR_INVALID_ARGUMENT" | "ERR_SHAPE_MISMATCH", RegExp][] = [
    ["nothing", undefined, "raw", "ERR_INVALID_ARGUMENT", /expected a Tensor, \{ class \}/],
    ["null", null, "raw", "ERR_INVALID_ARGUMENT", /got null/],
    ["a number", 7, "probabilities", "ERR_INVALID_ARGUMENT", /got 7/],
    ["an array", [1, 0, 0], "raw", "ERR_INVALID_ARGUMENT", /an array of length 3/],
    [
      "a class above the last",
      { class: 3 },
      "probabilities",
      "ERR_INVALID_ARGUMENT",
      /whole numbers 0 … 2.* got 3/,
    ],
    ["a negative class", { class: [0, -1] }, "probabilities", "ERR_INVALID_ARGUMENT", /got -1/],
    ["half a class", { class: 0.5 }, "probabilities", "ERR_INVALID_ARGUMENT", /got 0.5/],
    ["NaN as a class", { class: Number.NaN }, "probabilities", "ERR_INVALID_ARGUMENT", /got NaN/],
    ["a class's name", { class: "cat" }, "probabilities", "ERR_INVALID_ARGUMENT", /got "cat"/],
    [
      "classes with a hole",
      { class: new Array<number>(2) },
      "probabilities",
      "ERR_INVALID_ARGUMENT",
      /got undefined/,
    ],
    ["no classes", { class: [] }, "probabilities", "ERR_INVALID_ARGUMENT", /at least one class/],
    [
      "a class for a cosine energy",
      { class: 1 },
      "unit",
      "ERR_INVALID_ARGUMENT",
      /classes need energy.crossEntropy/,
    ],
    ["no rows", tensor([], [0, 3]), "raw", "ERR_INVALID_ARGUMENT", /at least one condition/],
    [
      "rows of another size",
      tensor([1, 2], [1, 2]),
      "raw",
      "ERR_SHAPE_MISMATCH",
      /\[B, 3\] or \[3\].* got \[1, 2\]/,
    ],
    ["a scalar", tensor([1], []), "raw", "ERR_SHAPE_MISMATCH", /got \[\]/],
    ["rank 3", tensor([1, 2, 3], [1, 1, 3]), "raw", "ERR_SHAPE_MISMATCH", /got \[1, 1, 3\]/],
    ["NaN", tensor([1, Number.NaN, 0], [3]), "raw", "ERR_INVALID_ARGUMENT", /got NaN at index 1/],
    ["infinity", tensor([1, Infinity, 0], [3]), "unit", "ERR_INVALID_ARGUMENT", /got Infinity/],
    [
      "a vector without direction",
      tensor([0, 0, 0], [3]),
      "unit",
      "ERR_INVALID_ARGUMENT",
      /row 0: expected a vector with a direction/,
    ],
    [
      "probabilities that sum to 2",
      tensor([1, 0, 0, 1, 1, 0], [2, 3]),
      "probabilities",
      "ERR_INVALID_ARGUMENT",
      /row 1: .* sum 2/,
    ],
    [
      "negative probabilities",
      tensor([1.5, -0.5, 0], [3]),
      "probabilities",
      "ERR_INVALID_ARGUMENT",
      /got -0.5/,
    ],
    [
      "data that does not fit its shape",
      { data: new Float32Array(2), shape: [3] },
      "raw",
      "ERR_SHAPE_MISMATCH",
      /expected 3 elements/,
    ],
    [
      "float64 data",
      { data: new Float64Array(3), shape: [3] },
      "raw",
      "ERR_INVALID_ARGUMENT",
      /Float32Array/,
    ],
  ];
  for (const [name, value, kind, code, message] of bad)
    it(`are not ${name}`, () => rejects(() => rows(value, kind), code, message));

  it("get a stream that counts the equal rows before them", async () => {
    const streams = await conditionStreams(await rows({ class: [1, 1, 0, 1, 0] }, "probabilities"));
    assert.deepEqual([...streams], [0, 1, 0, 2, 1]);
    assert.deepEqual([...(await conditionStreams(await rows(tensor([0, -0, 1, -0, 0, 1], [2, 3]))))], [0, 1]);
  });

  it("interpolate along the circle between directions, with weights 0.1 … 0.9", async () => {
    const { data, count } = interpolated(
      await rows(tensor([1, 0, 0], [3]), "unit"),
      await rows(tensor([0, 2, 0], [3]), "unit"),
      9,
      "unit",
    );
    assert.equal(count, 9);
    for (let i = 0; i < 9; i++) {
      const angle = (0.1 + 0.1 * i) * (Math.PI / 2);
      close(data.subarray(3 * i, 3 * i + 3), [Math.cos(angle), Math.sin(angle), 0], 1e-6, `point ${i}`);
    }
  });

  it("interpolate straight between distributions and between equal vectors", async () => {
    const mixed = interpolated(
      await rows({ class: 0 }, "probabilities"),
      await rows({ class: 2 }, "probabilities"),
      1,
      "probabilities",
    );
    assert.deepEqual([...mixed.data], [0.5, 0, 0.5]);
    const same = await rows(tensor([1, 2, 3], [3]));
    close(interpolated(same, same, 2, "raw").data, [1, 2, 3, 1, 2, 3], 1e-6);
    const opposite = await rows(tensor([-1, -2, -3], [3]));
    await rejects(() => interpolated(same, opposite, 2, "raw"), "ERR_INVALID_ARGUMENT", /opposite/);
  });
});
