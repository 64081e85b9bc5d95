import assert from "node:assert/strict";
import { native } from "../../lib/native/binding.js";
import { bits, close, rejects } from "../support/tiny.js";
import { numbers } from "../support/numbers.js";
import { runJob } from "../../lib/native/job.js";
import type { NativeJob } from "../../lib/native/types/values.js";

const run = <T>(start: () => NativeJob<T>): Promise<T> => runJob("rows", undefined, start);
/** Odd sizes, one row, one column, none, more than one block of a million numbers. */
const shapes = [
  [1, 1],
  [1, 7],
  [5, 1],
  [33, 31],
  [1025, 33],
  [70_001, 17],
] as const;

describe("rows of numbers, natively", () => {
  it("find the first number that is not finite", async () => {
    for (const count of [0, 1, 2, 1023, 1024, 1025, 2_100_001]) {
      const data = numbers(1, count);
      assert.equal(await run(() => native().firstNotFinite(data)), -1, `${count}`);
      for (const [at, value] of [
        [count - 1, NaN],
        [Math.floor(count / 2), -Infinity],
        [0, Infinity],
      ] as const) {
        if (count === 0) continue;
        data[at] = value;
        assert.equal(await run(() => native().firstNotFinite(data)), at, `${count}, ${at}`);
      }
    }
  });

  it("copy to a place of an array, and say what is not finite", async () => {
    const into = new Float32Array(12);
    const data = numbers(2, 5);
    assert.equal(await run(() => native().copyFinite(data, { owned: into }, 7)), -1);
    assert.equal(bits(into.slice(7)), bits(data));
    assert.ok(into.subarray(0, 7).every((x) => x === 0));
    data[3] = NaN;
    assert.equal(await run(() => native().copyFinite(data, { owned: into }, 0)), 3);
    await rejects(
      () => run(() => native().copyFinite(data, { owned: into }, 8)),
      "ERR_INVALID_ARGUMENT",
      /room/,
    );
    await rejects(
      () => run(() => native().copyFinite(data, into as never, 0)),
      "ERR_INVALID_ARGUMENT",
      /owned/,
    );
  });

  for (const [n, d] of shapes)
    it(`have the moments of float64 in the rows' order, [${n}, ${d}]`, async () => {
      const rows = numbers(3, n * d, 1000, 1002);
      const [mean, square] = [new Float64Array(d), new Float64Array(d)];
      for (let i = 0; i < n; i++)
        for (let j = 0; j < d; j++) {
          const difference = rows[i * d + j]! - mean[j]!;
          mean[j]! += difference / (i + 1);
          square[j]! += difference * (rows[i * d + j]! - mean[j]!);
        }
      const running = await run(() => native().columnMoments(rows, n, d, true));
      assert.deepEqual(running.mean, mean);
      assert.deepEqual(
        running.std,
        square.map((sum) => Math.sqrt(sum / n)),
      );
      const [own, deviation] = [new Float64Array(d), new Float64Array(d)];
      for (let i = 0; i < n * d; i++) own[i % d]! += rows[i]! / n;
      for (let i = 0; i < n * d; i++) {
        const difference = rows[i]! - own[i % d]!;
        deviation[i % d]! += (difference * difference) / n;
      }
      const passes = await run(() => native().columnMoments(rows, n, d, false));
      assert.deepEqual(passes.mean, own);
      assert.deepEqual(passes.std, deviation.map(Math.sqrt));
    });

  it("are split by columns, all of them and none included", async () => {
    for (const [n, d] of shapes)
      for (const [begin, size] of [
        [0, d],
        [0, 0],
        [d >> 1, d - (d >> 1)],
        [d >> 2, d >> 1],
      ] as const) {
        const rows = numbers(4, n * d);
        const { part, rest } = await run(() => native().splitColumns(rows, n, d, begin, size));
        const inside = (i: number): boolean => i % d >= begin && i % d < begin + size;
        assert.equal(bits(part), bits(rows.filter((_, i) => inside(i))), `${n}, ${d}, ${begin}, ${size}`);
        assert.equal(bits(rest), bits(rows.filter((_, i) => !inside(i))), `${n}, ${d}, ${begin}, ${size}`);
      }
  });

  it("are rescaled and summed in double", async () => {
    const data = numbers(5, 100_003);
    const scaled = await run(() => native().rescale(data, -1, 255 / 2, 0.1));
    assert.equal(bits(scaled), bits(data.map((x) => (x + 1) * (255 / 2) + 0.1)));
    const sum = await run(() => native().sumOfSquares(data, 3));
    assert.equal(
      sum,
      data.reduce((total, x) => total + x * x, 3),
    );
  });

  it("become conditions: −0 is 0, directions have the length 1, and the first fault is told", async () => {
    const [n, m] = [3001, 17];
    const rows = numbers(6, n * m);
    rows[5] = -0;
    const unit = Float32Array.from(rows, (x) => x + 0);
    for (let i = 0; i < n; i++) {
      const row = unit.subarray(i * m, (i + 1) * m);
      const scale = 1 / Math.sqrt(row.reduce((sum, x) => sum + x * x, 0));
      row.forEach((x, j) => (row[j] = x * scale));
    }
    const own = rows.slice();
    assert.equal(await run(() => native().makeConditions({ owned: own }, n, m, "unit")), null);
    assert.equal(bits(own), bits(unit));
    for (const row of [2999, 40]) rows.fill(0, row * m, (row + 1) * m);
    assert.deepEqual(await run(() => native().makeConditions({ owned: rows.slice() }, n, m, "unit")), {
      what: "direction",
      row: 40,
      index: 0,
      value: 0,
    });
    const shares = Float32Array.of(0.5, 0.5, 0.25, 0.25, 1.5, -0.5);
    const fault = await run(() => native().makeConditions({ owned: shares.slice() }, 3, 2, "probabilities"));
    assert.deepEqual([fault?.what, fault?.row, fault?.value], ["sum", 1, 0.5]);
    const rest = shares.slice(4);
    const negative = await run(() => native().makeConditions({ owned: rest }, 1, 2, "probabilities"));
    assert.deepEqual([negative?.what, negative?.value], ["negative", -0.5]);
  });

  it("count equal rows before each", async () => {
    const rows = Float32Array.from({ length: 5000 }, (_, i) => (i * 7) % 13);
    const seen = new Map<number, number>();
    const expected = [...rows].map((x) => {
      seen.set(x, (seen.get(x) ?? -1) + 1);
      return seen.get(x)!;
    });
    assert.deepEqual([...(await run(() => native().equalRowsBefore(rows, 5000, 1)))], expected);
    assert.deepEqual([...(await run(() => native().equalRowsBefore(rows, 1, 5000)))], [0]);
  });

  it("of pixels are floats between black and white, or their luma", async () => {
    const pixels = Uint8Array.from({ length: 3 * 301 }, (_, i) => (i * 31) % 256);
    const planes = await run(() => native().pixelsToFloats(pixels, -1, 1, false));
    const value = (i: number, k: number): number => Math.fround((pixels[3 * i + k]! / 255) * 2 - 1);
    for (const i of [0, 150, 300]) for (const k of [0, 1, 2]) assert.equal(planes[k * 301 + i], value(i, k));
    const luma = await run(() => native().pixelsToFloats(pixels, -1, 1, true));
    assert.equal(luma.length, 301);
    for (const i of [0, 150, 300])
      assert.equal(luma[i], Math.fround(0.299 * value(i, 0) + 0.587 * value(i, 1) + 0.114 * value(i, 2)));
  });

  it("end when they are cancelled", async () => {
    const abort = new AbortController();
    const data = numbers(7, 4_000_000);
    const job = runJob("rows", abort.signal, () =>
      native().meanPairwiseDistance({ owned: data }, 4000, 1000),
    );
    setTimeout(() => abort.abort(), 20);
    await rejects(job, "ERR_ABORTED");
  });

  it("of a table and a map are drawn as their numbers say", async () => {
    const table = numbers(9, 5 * 3);
    const base = {
      kind: "elements" as const,
      dim: 3,
      elements: Float32Array.of(0, 1, -Infinity, Infinity, 2.5, Infinity, 0, 5, 0, 2, -Infinity, Infinity),
    };
    const draws = await run(() => native().drawPrior(base, 7n, 3, 11, 1000));
    const groups = [
      { base: 1, size: 1 },
      { base: 1, size: 3, table: { owned: table }, rows: 5 },
      { base: 1, size: 0 },
    ];
    const latents = await run(() => native().drawPrior({ ...base, groups }, 7n, 3, 11, 1000));
    assert.equal(latents.length, 4000);
    for (let i = 0; i < 1000; i++) {
      assert.equal(latents[4 * i], draws[3 * i]);
      const row = Math.min(4, Math.floor(draws[3 * i + 1]!));
      assert.equal(bits(latents.slice(4 * i + 1, 4 * i + 4)), bits(table.slice(3 * row, 3 * row + 3)));
    }
    await rejects(
      () => run(() => native().drawPrior({ ...base, groups: groups.slice(1) }, 7n, 3, 0, 2)),
      "ERR_SHAPE_MISMATCH",
      /groups/,
    );
    close([latents[0]!], [draws[0]!], 0);
  });
});
