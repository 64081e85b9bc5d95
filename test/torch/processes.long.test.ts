/** Worker threads, several models at once, and leaving with work in flight. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { native, torchModulePath } from "../../lib/native/binding.js";
import { finish } from "../support/process.js";
import { demoFile, needsTorch } from "../support/torch.js";

const file = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const addonPath = process.env["TR0N_ADDON"] ?? file("build/Release/tr0n.node");
const runtimePath =
  process.env["TR0N_ONNXRUNTIME"] ??
  file(`node_modules/onnxruntime-node/bin/napi-v6/${process.platform}/${process.arch}/libonnxruntime.so.1`);
const models = {
  generator: demoFile("gan-generator.pt"),
  classifier: demoFile("classifier.pt"),
  onnx: demoFile("classifier.onnx"),
};

const start = (mode: "run" | "busy"): Worker =>
  new Worker(new URL("../fixtures/torch/worker.mjs", import.meta.url), {
    workerData: { addonPath, modulePath: torchModulePath(), runtimePath, models, mode },
  });
const result = async (worker: Worker): Promise<Float32Array[]> => {
  const exited = once(worker, "exit");
  const [answer] = (await once(worker, "message")) as [Float32Array[]];
  assert.equal((await exited)[0], 0);
  return answer;
};

describe("torchscript: threads and processes", function () {
  this.timeout(180_000);
  before(function () {
    needsTorch(this);
  });

  it("several workers run two TorchScript models and an ONNX one each, with the same results", async () => {
    const [first, ...others] = await Promise.all(["run", "run", "run"].map(() => result(start("run"))));
    for (const other of others) assert.deepEqual(other, first);
  });

  it("survives terminate() with work in flight", async () => {
    const before = native().counters();
    for (let round = 0; round < 2; round++) {
      const workers = [start("busy"), start("busy")];
      await Promise.all(workers.map((worker) => once(worker, "message")));
      for (const code of await Promise.all(workers.map((worker) => worker.terminate())))
        assert.equal(code, 1);
    }
    await result(start("run"));
    assert.equal(native().counters().jobs, before.jobs);
  });

  for (const how of ["exit", "throw", "signal"] as const)
    it(`ends cleanly with work in flight: ${how}`, async () => {
      for (let i = 0; i < 3; i++) {
        const { code, signal, stderr } = await finish(
          process.execPath,
          [
            file("test/fixtures/torch/exit-in-flight.mjs"),
            addonPath,
            torchModulePath(),
            runtimePath,
            models.generator,
            models.classifier,
            models.onnx,
            how,
          ],
          { timeout: 60_000 },
        );
        assert.equal(code, { exit: 0, throw: 1, signal: null }[how], `${code} ${signal} ${stderr}`);
        if (how === "signal") assert.equal(signal, "SIGTERM");
      }
    });
});
