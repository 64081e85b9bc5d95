import assert from "node:assert/strict";
import { translatorRows, weightedSum } from "../../lib/condition/composition.js";
import { conditionRows, interpolated } from "../../lib/condition/condition.js";
import type { ConditionRows } from "../../lib/condition/rows.js";
import type { ConditionKind } from "../../lib/objective/energy.js";
import { tensor } from "../../lib/index.js";
import { close, rejects } from "../support/tiny.js";
import { numbers } from "../support/numbers.js";

const rows = (value: unknown, kind: ConditionKind, size = 3): Promise<ConditionRows> =>
  conditionRows("condition", value, size, kind);

describe("sums of conditions", () => {
  it("are Σ wᵢ·cᵢ, not rescaled; a part of one row goes with every row", async () => {
    const [a, b] = [numbers(1, 15), numbers(2, 5)];
    const [first, second] = [await rows(tensor(a, [3, 5]), "unit", 5), await rows(tensor(b, [5]), "unit", 5)];
    const sum = weightedSum(
      "all",
      [
        { rows: first, weight: 0.75 },
        { rows: second, weight: -2 },
      ],
      "unit",
    );
    const unit = (x: Float32Array): number[] => [...x].map((v) => v / Math.hypot(...x));
    for (let row = 0; row < 3; row++) {
      const [p, q] = [unit(a.subarray(5 * row, 5 * row + 5)), unit(b)];
      const expected = p.map((x, i) => 0.75 * x - 2 * q[i]!);
      close(sum.data.subarray(5 * row, 5 * row + 5), expected, 1e-6, `row ${row}`);
      const length = Math.hypot(...expected);
      close(
        sum.translator!.subarray(5 * row, 5 * row + 5),
        expected.map((x) => x / length),
        1e-6,
        `direction ${row}`,
      );
    }
    const one = weightedSum("all", [{ rows: second, weight: 1 }], "unit");
    assert.deepEqual(one.data, second.data);
  });

  it("show the translator a class distribution: the positive weights, or else what is pushed away from least", async () => {
    const shown = (row: number[]): number[] => [
      ...translatorRows(Float32Array.from(row), row.length, "probabilities"),
    ];
    close(shown([2, 1, -1]), [2 / 3, 1 / 3, 0], 1e-7);
    close(shown([0, -1, 0]), [0.5, 0, 0.5], 1e-7);
    close(shown([-2, -1, -3]), [0, 1, 0], 1e-7);
    close(shown([0.25, 0.75]), [0.25, 0.75], 1e-7);
  });

  it("are refused where nothing is left, and where the numbers of rows differ", async () => {
    const [seven, others] = [
      await rows({ class: 1 }, "probabilities"),
      await rows({ class: [0, 1] }, "probabilities"),
    ];
    const parts = [
      { rows: others, weight: 1 },
      { rows: seven, weight: -1 },
    ];
    await rejects(
      () => weightedSum("condition.all", parts, "probabilities"),
      "ERR_INVALID_ARGUMENT",
      /^condition.all: expected conditions that do not cancel each other out, in row 1/,
    );
    const three = { rows: await rows({ class: [0, 1, 2] }, "probabilities"), weight: 1 };
    await rejects(
      () => weightedSum("all", [three, parts[0]!], "probabilities"),
      "ERR_SHAPE_MISMATCH",
      /^all\[1\]: expected 3 conditions, as another part has, or one for all, got 2/,
    );
    await rejects(
      () => weightedSum("all", [{ rows: seven, weight: 0 }], "probabilities"),
      "ERR_INVALID_ARGUMENT",
    );
  });

  it("interpolate: directions on the circle, lengths in equal steps", async () => {
    const from = weightedSum(
      "from",
      [{ rows: await rows(tensor([1, 0, 0], [3]), "unit"), weight: 2 }],
      "unit",
    );
    const { data, translator } = interpolated(from, await rows(tensor([0, 9, 0], [3]), "unit"), 9, "unit");
    for (let i = 0; i < 9; i++) {
      const t = 0.1 + 0.1 * i;
      const direction = [Math.cos((t * Math.PI) / 2), Math.sin((t * Math.PI) / 2), 0];
      close(
        data.subarray(3 * i, 3 * i + 3),
        direction.map((x) => x * (2 - t)),
        1e-6,
        `point ${i}`,
      );
      close(translator!.subarray(3 * i, 3 * i + 3), direction, 1e-6, `direction ${i}`);
    }
  });
});
