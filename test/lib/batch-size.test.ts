import assert from "node:assert/strict";
import { loadModel, Tr0n, type Decision } from "../../lib/index.js";
import { batchSize, fittingRows, rememberMemory } from "../../lib/model/batch-size.js";
import { memoryBytes } from "../../lib/model/memory-option.js";
import { openGraph } from "../../lib/model/weights.js";
import { native } from "../../lib/native/binding.js";
import { memoryLimit } from "../../lib/native/devices.js";
import { Builder, DataType, emptyGraph, finish, rowBytesSteps, type Graph } from "../../lib/onnx/index.js";
import { checkEmulator, requireGpu } from "../support/devices.js";
import { tinyEncoder, tinyGenerator } from "../support/tiny.js";

/** z [N, 4] → [N, size] → [N, 1]: the middle is what takes memory. */
function wide(size: number): Graph {
  const b = new Builder(emptyGraph("wide"));
  const z = b.input("z", DataType.FLOAT, ["batch", 4]);
  const shape = b.constant([1, size / 4], [2], DataType.INT64);
  b.output(
    "y",
    b.op("ReduceSum", [b.op("Tile", [z, shape]), b.constant([1], [1], DataType.INT64)], { keepdims: 1 }),
  );
  return b.graph;
}

describe("the rows of one run", () => {
  it("are the largest power of two that fits", () => {
    assert.equal(fittingRows(1000, 1, 64), 64);
    assert.equal(fittingRows(1000, 100, 64), 8);
    assert.equal(fittingRows(100, 100, 64), 1);
    assert.equal(fittingRows(99, 100, 64), 0);
    assert.equal(fittingRows(0, 0, 64), 0);
    assert.equal(fittingRows(100, 0, 64), 64);
  });

  it("follow from what a row's values take", async () => {
    const { bytes, complete } = finish(rowBytesSteps(wide(4096)));
    assert.ok(complete);
    assert.equal(bytes, 4 * (4 + 4096 + 1), "input, middle and output, all alive at the end");
    const graph = wide(4096);
    const session = await openGraph(graph, { name: "wide", threads: 1, what: "a test", measure: true });
    const told: Decision[] = [];
    const decided = (decision: Decision): number => told.push(decision);
    assert.equal(await batchSize("wide", "auto", [session], { decided }), 64);
    assert.equal(await batchSize("wide", 7, [session], { decided }), 7);
    assert.equal(told.length, 1);
    assert.match(told[0]!.reason, /a row of wide takes about .*cpu has/);
    session.dispose();
  });

  it("are refused where not one fits, with the bytes that it needs and that there are", async () => {
    const session = await openGraph(wide(4096), { name: "wide", threads: 1, what: "a test" });
    rememberMemory(session, { device: "cpu", rowBytes: memoryLimit() });
    await assert.rejects(batchSize("wide", "auto", [session], {}), (error: Error & { code?: string }) => {
      assert.equal(error.code, "ERR_OUT_OF_MEMORY");
      assert.match(
        error.message,
        /wide: a single row needs about .* \(\d+ bytes\), and cpu has .* \(\d+ bytes\)/,
      );
      return true;
    });
    session.dispose();
  });

  it("are bounded by memory, for all threads together, and that is told", async () => {
    const session = await openGraph(wide(4096), { name: "wide", threads: 1, what: "a test" });
    const told: Decision[] = [];
    const decided = (decision: Decision): number => told.push(decision);
    const row = 1e6;
    const all = row * native().threads();
    const rows = async (memory: number, wanted: number | "auto" = 64): Promise<number> => {
      rememberMemory(session, { device: "cpu", rowBytes: row, memory });
      return batchSize("wide", wanted, [session], { decided });
    };
    assert.equal(await rows(64 * all), 64);
    assert.equal(told.length, 0, "nothing was decided");
    assert.equal(await rows(9 * all), 8);
    assert.match(
      told.at(-1)!.reason,
      /a row of wide takes about 0\.00100 GB on each of \d+ threads, and memory is/,
    );
    assert.equal(told.at(-1)!.option, "maxBatch");
    assert.equal(await rows(9 * all, 4), 4, "fewer were asked for");
    assert.equal(await rows(3 * all, "auto"), 2);
    await assert.rejects(rows(all - 1), {
      code: "ERR_OUT_OF_MEMORY",
      message: new RegExp(`about .* \\(${all} bytes\\), and memory allows .* \\(${all - 1} bytes\\)`),
    });
    session.dispose();
  });

  it("say how much memory as bytes or with a unit", () => {
    assert.equal(memoryBytes("memory", "2GB"), 2e9);
    assert.equal(memoryBytes("memory", "1.5 GiB"), 1.5 * 2 ** 30);
    assert.equal(memoryBytes("memory", "300kb"), 300_000);
    assert.equal(memoryBytes("memory", 12), 12);
    assert.equal(memoryBytes("memory", undefined), undefined);
    for (const wrong of ["2", "GB", "-1GB", "2GBit", "0GB", "0.5B"])
      assert.throws(() => memoryBytes("memory", wrong), { code: "ERR_INVALID_ARGUMENT" }, wrong);
  });

  it("are fewer in a Tr0n with little memory, with the same samples", async () => {
    const told: Decision[] = [];
    const drawn: Float32Array[] = [];
    for (const memory of [undefined, "40KB"]) {
      using generator = await loadModel(tinyGenerator());
      using encoder = await loadModel(tinyEncoder());
      await using tr0n = await Tr0n.create({
        ...{ generator, encoder, seed: 1, memory },
        onDecision: (decision) => told.push(decision),
      });
      await tr0n.train({ pairs: 256, epochs: 1 });
      drawn.push((await tr0n.sample({ class: 1 }, { count: 40, seed: 2 })).latents.data);
    }
    assert.deepEqual(drawn[0], drawn[1]);
    assert.ok(
      told.some(({ option, reason }) => option === "maxBatch" && reason.includes("memory is")),
      JSON.stringify(told),
    );
  });

  it("are bounded by deviceMemory on CUDA, and on no other device", async function () {
    requireGpu(this);
    const session = await openGraph(wide(4096), { name: "wide", threads: 1, what: "a test" });
    const told: Decision[] = [];
    const decided = (decision: Decision): number => told.push(decision);
    const rows = async (device: "cpu" | "webgpu" | "cuda:0", limit: number): Promise<number> => {
      rememberMemory(session, { device, rowBytes: 1000, limit });
      return batchSize("wide", "auto", [session], { decided });
    };
    assert.deepEqual([await rows("cpu", 10), await rows("webgpu", 10)], [64, 64]);
    assert.equal(await rows("cuda:0", 2 ** 30), 1024);
    assert.equal(await rows("cuda:0", 10_000), 8);
    assert.match(told.at(-1)!.reason, /deviceMemory/);
    await assert.rejects(rows("cuda:0", 10), { code: "ERR_OUT_OF_MEMORY", message: /deviceMemory/ });
    session.dispose();
    await checkEmulator();
  });

  it("change nothing about the samples", async () => {
    const rows: Float32Array[] = [];
    for (const maxBatch of [3, "auto"] as const) {
      using generator = await loadModel(tinyGenerator());
      using encoder = await loadModel(tinyEncoder());
      const told: Decision[] = [];
      using tr0n = await Tr0n.create({
        ...{ generator, encoder, encoderKind: "logits", maxBatch, seed: 1, device: "cpu" },
        onDecision: (decision) => told.push(decision),
      });
      const z = await tr0n.drawPrior(20, { seed: 2 });
      rows.push((await tr0n.encode(z)).data as Float32Array);
      assert.equal(
        told.some(({ option }) => option === "maxBatch"),
        maxBatch === "auto",
      );
    }
    assert.deepEqual(rows[0], rows[1]);
  });
});
