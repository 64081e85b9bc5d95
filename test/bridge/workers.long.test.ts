import assert from "node:assert/strict";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { finish } from "../support/process.js";
import { mlp } from "../support/bridge-models.js";
import { addon, fixture, idle, open, repositoryFile, sameBits } from "../support/bridge.js";
import { numbers } from "../support/numbers.js";

const addonPath = process.env["TR0N_ADDON"] ?? repositoryFile("build/Release/tr0n.node");
const runtimePath =
  process.env["TR0N_ONNXRUNTIME"] ??
  repositoryFile(
    `node_modules/onnxruntime-node/bin/napi-v6/${process.platform}/${process.arch}/libonnxruntime.so.1`,
  );
const model = repositoryFile("models/classifier.onnx");

const start = (mode: string) =>
  new Worker(fixture("worker.mjs"), {
    workerData: { addonPath, runtimePath, model, mode, random: numbers(1, 400_000) },
  });

describe("bridge: worker threads", function () {
  this.timeout(120_000);

  it("works in the main thread and three workers at once, with the same results", async () => {
    const session = await open(model);
    const image = { data: numbers(1, 8 * 3 * 32 * 32), shape: [8, 3, 32, 32] };
    const workers = ["run", "run", "run"].map(start);
    const answers = workers.map(async (worker) => {
      const exited = once(worker, "exit"); // before the message: exit may follow at once
      const [logits] = (await once(worker, "message")) as [Float32Array];
      assert.equal((await exited)[0], 0);
      return logits;
    });
    for (let i = 0; i < 10; i++) await session.run({ image }).promise;
    const { logits } = await session.run({ image }).promise;
    for (const answer of await Promise.all(answers)) sameBits(answer, logits!.data as Float32Array, "logits");
  });

  it("survives terminate() with work in flight", async () => {
    const counters = addon.counters();
    for (let round = 0; round < 4; round++) {
      const workers = ["busy", "busy", "busy"].map(start);
      await Promise.all(workers.map((worker) => once(worker, "message")));
      await idle(20 * round);
      for (const code of await Promise.all(workers.map((worker) => worker.terminate())))
        assert.equal(code, 1);
    }
    // The rest of the process is unharmed, and nothing is left of them.
    const { y } = await (await open(mlp(4, 8, 2))).run({ x: { data: numbers(1, 8), shape: [2, 4] } }).promise;
    assert.deepEqual(y!.shape, [2, 2]);
    assert.equal(addon.counters().jobs, counters.jobs);
  });

  it("survives where only workers, never the main thread, load it", async () => {
    const result = await finish(
      process.execPath,
      [fixture("only-workers.mjs"), addonPath, runtimePath, model],
      {
        timeout: 60_000,
      },
    );
    assert.equal(result.code, 0, `${result.signal} ${result.stderr}`);
    assert.equal(result.stdout, "fine\n");
  });
});

describe("bridge: beside onnxruntime-node", () => {
  it("shares a process with it, whichever comes first, and ends cleanly", async function () {
    this.timeout(60_000);
    for (const first of ["tr0n", "onnxruntime-node"]) {
      const result = await finish(
        process.execPath,
        [fixture("coexist.mjs"), addonPath, runtimePath, model, first],
        { timeout: 30_000 },
      );
      assert.equal(result.code, 0, `${first} first: ${result.signal} ${result.stderr}`);
      assert.equal(result.stdout, "the same\n");
    }
  });
});
