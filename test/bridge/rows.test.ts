import assert from "node:assert/strict";
import type { NativeRowFacts, NativeRowMap, NativeRowMapConfig } from "../../lib/native/types/pipeline.js";
import { mlp, rowSum, distanceConfig, squaredDistance, unary } from "../support/bridge-models.js";
import { onnxModel } from "../support/onnx.js";
import {
  addon,
  blocksOf,
  objectiveBlocks,
  open,
  rejectsCode,
  repositoryFile,
  sameBits,
  throwsCode,
} from "../support/bridge.js";
import { numbers } from "../support/numbers.js";

async function rowMap(
  source: string | Uint8Array,
  inputShape: number[],
  {
    fixedBatch = 0,
    maxBatch = 64,
    outputs = ["y"],
    input = "x",
    ...facts
  }: Partial<NativeRowMapConfig> & NativeRowFacts & { outputs?: string[]; input?: string } = {},
): Promise<NativeRowMap> {
  const session = await open(source);
  const map = addon.createRowMap({ session, input, inputShape, outputs, fixedBatch, maxBatch, ...facts });
  session.dispose(); // the map keeps it
  return map;
}

/** A row's bits must not depend on n, the split, its place, the threads or the alignment of the caller's memory. */
async function invariant(map: NativeRowMap, size: number, what: string): Promise<void> {
  const n = 71;
  const rows = numbers(21, n * size).map((x) => 2.5 * x);
  const threads = addon.threads();
  try {
    addon.setThreads(2);
    const [whole] = await map.run(rows, n).promise;
    const out = whole!.data.length / n;
    for (const workers of [1, 3]) {
      addon.setThreads(workers);
      for (const split of [1, 2, 3, 5, 8, 13, 32, 33, 64, 71]) {
        // Shifted by some elements, so that rows do not begin on the boundaries they began on before.
        const shifted = new Float32Array(rows.length + 5).subarray(split % 5);
        shifted.set(rows);
        for (let first = 0; first < n; first += split) {
          const count = Math.min(split, n - first);
          const [part] = await map.run(shifted.slice(first * size, (first + count) * size), count).promise;
          sameBits(
            part!.data,
            whole!.data.subarray(first * out, (first + count) * out),
            `${what}: rows ${first}… in blocks of ${split}, ${workers} threads`,
          );
        }
      }
    }
  } finally {
    addon.setThreads(threads);
  }
}

describe("bridge: rows", function () {
  this.timeout(120_000);

  it("gives a row the same bits in every split, on every number of threads", async () => {
    await invariant(await rowMap(mlp(10, 40, 7), [10]), 10, "an MLP");
    // These have a scalar tail, or a sum whose order depends on the row's address.
    for (const op of ["Softplus", "Elu", "Sin", "Sigmoid", "Tanh"])
      await invariant(await rowMap(unary(op, 3), [3]), 3, op);
    await invariant(await rowMap(rowSum(10), [10]), 10, "ReduceSum");
    await invariant(await rowMap(rowSum(10), [10], { maxBatch: 6 }), 10, "ReduceSum, at most 6 rows");
    await invariant(await rowMap(unary("Softplus", 3), [3], { maxBatch: 2 }), 3, "Softplus, at most 2 rows");
  });

  it("does so for convolutions, forwards and backwards", async () => {
    const classifier = repositoryFile("models/classifier.onnx");
    const map = await rowMap(classifier, [3, 32, 32], { input: "image", outputs: ["logits"] });
    await invariant(map, 3 * 32 * 32, "the classifier");
    const session = await open(repositoryFile("models/gan-generator.onnx"));
    const input = session.inputs[0]!;
    const generator = await rowMap(repositoryFile("models/gan-generator.onnx"), [input.shape[1]!], {
      input: input.name,
      outputs: [session.outputs[0]!.name],
    });
    await invariant(generator, input.shape[1]!, "the generator");
  });

  it("finds which block sizes agree", async () => {
    assert.ok((await blocksOf(await rowMap(mlp(8, 16, 8), [8]))).rows >= 8, "an MLP runs in blocks");
    assert.equal((await blocksOf(await rowMap(mlp(8, 16, 8), [8], { maxBatch: 1 }))).rows, 1);
    assert.deepEqual(await blocksOf(await rowMap(mlp(8, 16, 8, 5), [8], { fixedBatch: 5 })), {
      granularity: 5,
      rows: 5,
    });
  });

  /** What it takes to find a rule, and the rule. */
  async function probed(
    map: NativeRowMap,
  ): Promise<{ evaluated: number; granularity: number; rows: number }> {
    const before = addon.rowsRun();
    const rule = await blocksOf(map);
    return { evaluated: addon.rowsRun() - before, ...rule };
  }
  const cheap = { rowFlops: 5e7 };
  const manyNodes = { rowFlops: 2e8, callNodes: 1000 };
  const costly = { rowFlops: 1e10, callNodes: 1000, weightBytes: 1e8 };

  it("evaluates three blocks at most to find them, and none where a row takes long", async () => {
    const fine = await probed(await rowMap(mlp(8, 16, 64), [8], cheap));
    assert.equal(fine.rows, 32);
    assert.ok(fine.evaluated <= 3 * 32, `${fine.evaluated} rows`);
    for (const [model, size] of [
      [mlp(8, 16, 64), 8],
      [unary("Softplus", 3), 3],
    ] as const) {
      const padded = await probed(await rowMap(model, [size], manyNodes));
      assert.equal(padded.rows, 8);
      assert.ok(padded.evaluated <= 3 * 8, `${padded.evaluated} rows`);
    }
    const alone = await probed(await rowMap(mlp(8, 16, 8), [8], costly));
    assert.deepEqual(alone, { evaluated: 2, granularity: 1, rows: 1 });
    // Weights that every call reads, of rows that compute little.
    const wide = await probed(await rowMap(mlp(8, 16, 8), [8], { rowFlops: 5e8, weightBytes: 1e9 }));
    assert.equal(wide.rows, 8);
  });

  it("gives a row the same bits whatever was worth finding out", async () => {
    for (const facts of [cheap, manyNodes, costly])
      for (const op of ["Softplus", "Elu"])
        await invariant(await rowMap(unary(op, 3), [3], facts), 3, `${op} at ${JSON.stringify(facts)}`);
    await invariant(await rowMap(rowSum(10), [10], manyNodes), 10, "ReduceSum");
    await invariant(await rowMap(mlp(10, 40, 7), [10], manyNodes), 10, "an MLP");
  });

  it("asks the book of rules first, and writes into it", async () => {
    const key = "k".repeat(8);
    addon.forgetBlockRules();
    const first = await probed(await rowMap(unary("Softplus", 3), [3], { ...cheap, ruleKey: key }));
    const { granularity, rows } = first;
    assert.deepEqual(addon.blockRules(key), [{ key, granularity, rows }]);
    const second = await probed(await rowMap(unary("Softplus", 3), [3], { ...cheap, ruleKey: key }));
    assert.deepEqual(second, { evaluated: 2, granularity, rows }, "the shape of the output, and no probe");
    // What is known stands; what could not have been found is not used.
    addon.learnBlockRules([{ key, granularity: 1, rows: 1 }]);
    assert.deepEqual(addon.blockRules(key), [{ key, granularity, rows }]);
    for (const bad of [
      { granularity: 1, rows: 64 },
      { granularity: 3, rows: 8 },
      { granularity: 16, rows: 16 },
      { granularity: 8, rows: 4 },
    ]) {
      addon.forgetBlockRules();
      addon.learnBlockRules([{ key, ...bad }]);
      const found = await probed(await rowMap(unary("Softplus", 3), [3], { ...cheap, ruleKey: key }));
      assert.deepEqual([found.granularity, found.rows], [granularity, rows]);
      assert.ok(found.evaluated > 2);
    }
    throwsCode(
      () => addon.learnBlockRules([{ key, granularity: 0, rows: 1 }]),
      "ERR_INVALID_ARGUMENT",
      /rules\[0\]\.granularity/,
    );
    addon.forgetBlockRules();
  });

  it("pads blocks of a fixed batch", async () => {
    const fixed = await rowMap(mlp(8, 16, 3, 5), [8], { fixedBatch: 5 });
    const free = await rowMap(mlp(8, 16, 3), [8]);
    const rows = numbers(1, 13 * 8);
    for (const n of [1, 4, 5, 6, 13]) {
      const [got] = await fixed.run(rows.slice(0, n * 8), n).promise;
      const [expected] = await free.run(rows.slice(0, n * 8), n).promise;
      assert.deepEqual(got!.shape, [n, 3]);
      got!.data.forEach((value, i) => assert.ok(Math.abs(value - expected!.data[i]!) < 1e-6));
    }
  });

  it("refuses what does not fit", async () => {
    const session = await open(mlp(8, 16, 3), { name: "head" });
    const config = { session, input: "x", inputShape: [8], outputs: ["y"], fixedBatch: 0, maxBatch: 4 };
    const bad = (change: object, code: string, message: RegExp) =>
      throwsCode(() => addon.createRowMap({ ...config, ...change }), code, message);
    bad({ input: "z" }, "ERR_INVALID_ARGUMENT", /head has no input "z"; its inputs are: "x"/);
    bad({ outputs: ["z"] }, "ERR_INVALID_ARGUMENT", /head has no output "z"/);
    bad({ outputs: [] }, "ERR_INVALID_ARGUMENT", /outputs/);
    bad({ inputShape: [9] }, "ERR_SHAPE_MISMATCH", /rows of shape \[9\] do not fit the model's \[batch, 8\]/);
    bad({ inputShape: [8, 1] }, "ERR_SHAPE_MISMATCH", /do not fit/);
    bad({ inputShape: [0] }, "ERR_INVALID_ARGUMENT", /rows with elements/);
    bad({ maxBatch: 0 }, "ERR_INVALID_ARGUMENT", /config\.maxBatch/);
    const fixed = await open(mlp(8, 16, 3, 5), { name: "fixed" });
    bad({ session: fixed }, "ERR_SHAPE_MISMATCH", /expected a symbolic batch, the model has shape \[5, 8\]/);
    const map = addon.createRowMap(config);
    throwsCode(
      () => map.run(numbers(1, 15), 2),
      "ERR_INVALID_ARGUMENT",
      /rows: expected a Float32Array of length 16/,
    );
    // Not a row per row: only a run can tell.
    const doubled = onnxModel({
      inputs: [{ name: "x", dims: ["batch", 8] }],
      outputs: [{ name: "y", dims: ["twice", 8] }],
      nodes: [["Concat", ["x", "x"], ["y"], { attributes: { axis: 0 } }]],
    });
    const run = (await rowMap(doubled, [8])).run(numbers(1, 16), 2).promise;
    await rejectsCode(
      run,
      "ERR_SHAPE_MISMATCH",
      /one row per row of the inputs, got shape \[4, 8\] for 2 rows/,
    );
  });

  it("learns shapes that the model does not tell", async () => {
    const model = onnxModel({
      inputs: [{ name: "x", dims: ["batch", 8] }],
      outputs: [{ name: "y", dims: ["p", "q", "r"] }],
      nodes: [["Reshape", ["x", "shape"], ["y"]]],
      weights: [{ name: "shape", dims: [3], data: BigInt64Array.of(-1n, 2n, 4n) }],
    });
    const [output] = await (await rowMap(model, [8])).run(numbers(1, 24), 3).promise;
    assert.deepEqual(output!.shape, [3, 2, 4]);
  });

  it("draws pairs that do not depend on how they were asked for", async () => {
    const map = await rowMap(mlp(10, 40, 7), [10]);
    const prior = { kind: "truncatedNormal", dim: 10, std: 1, bound: 2 } as const;
    const seen: number[] = [];
    const whole = await map.pairs(prior, 5n, 100, 900, (rows) => seen.push(rows)).promise;
    assert.equal(seen.at(-1), 900);
    const part = await map.pairs(prior, 5n, 600, 400).promise;
    sameBits(part.z, whole.z.subarray(500 * 10), "z");
    sameBits(part.outputs[0]!.data, whole.outputs[0]!.data.subarray(500 * 7), "outputs");
    const [direct] = await map.run(whole.z, 900).promise;
    sameBits(direct!.data, whole.outputs[0]!.data, "the map of z");
    throwsCode(
      () => map.pairs({ kind: "normal", dim: 9 }, 5n, 0, 1),
      "ERR_SHAPE_MISMATCH",
      /expected 10.*got 9/,
    );
  });
});

describe("bridge: objectives", () => {
  const d = 12;
  const m = 5;
  async function objective(maxBatch = 64) {
    const session = await open(squaredDistance(d, m), { name: "distance" });
    return addon.createObjective(distanceConfig(session, d, m, maxBatch));
  }

  it("computes E and its gradient, each row its own", async () => {
    const n = 67;
    const z = numbers(31, n * d);
    const c = numbers(32, n * m);
    const o = await objective();
    const { energies, gradients } = await o.evaluate(z, c, n).promise;
    const w = numbers(7, d * m);
    for (const row of [0, 31, 32, 66]) {
      const residual = Array.from({ length: m }, (_, j) => {
        let sum = -c[row * m + j]!;
        for (let i = 0; i < d; i++) sum += z[row * d + i]! * w[i * m + j]!;
        return sum;
      });
      const energy = residual.reduce((sum, r) => sum + r * r, 0);
      assert.ok(Math.abs(energies[row]! - energy) < 1e-5 * (1 + energy));
      for (let i = 0; i < d; i++) {
        const gradient = residual.reduce((sum, r, j) => sum + 2 * r * w[i * m + j]!, 0);
        assert.ok(Math.abs(gradients[row * d + i]! - gradient) < 1e-5 * (1 + Math.abs(gradient)));
      }
    }
    const alone = await o.energy(z, c, n).promise;
    alone.forEach((e, row) => assert.ok(Math.abs(e - energies[row]!) < 1e-5 * (1 + Math.abs(e))));
    for (const maxBatch of [1, 3, 16]) {
      const other = await (await objective(maxBatch)).evaluate(z, c, n).promise;
      sameBits(other.energies, energies, `energies, at most ${maxBatch} rows`);
      sameBits(other.gradients, gradients, `gradients, at most ${maxBatch} rows`);
    }
    assert.ok((await objectiveBlocks(o)).gradient.rows > 1);
  });

  it("knows when it has no gradient", async () => {
    const session = await open(squaredDistance(d, m));
    const config = { ...distanceConfig(session, d, m, 8), gradient: null };
    const o = addon.createObjective(config);
    throwsCode(() => o.evaluate(numbers(1, d), numbers(1, m), 1), "ERR_NO_GRADIENT", /without a gradient/);
    assert.equal((await o.energy(numbers(1, d), numbers(1, m), 1).promise).length, 1);
    // A gradient that is none.
    const wrong = addon.createObjective({ ...config, gradient: session, gradientOutput: "energy" });
    await rejectsCode(
      wrong.evaluate(numbers(1, d), numbers(1, m), 1).promise,
      "ERR_SHAPE_MISMATCH",
      /rows of 1 elements, expected 12/,
    );
    throwsCode(
      () => addon.createObjective({ ...config, inputShape: [3, 4] }),
      "ERR_SHAPE_MISMATCH",
      /\[3, 4\]/,
    );
    o.dispose();
    throwsCode(() => o.energy(numbers(1, d), numbers(1, m), 1), "ERR_DISPOSED", /objective/);
  });
});
