/** The demo from end to end with its models on WebGPU, in a small size. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageRoot } from "../../lib/native/binding.js";
import { finish } from "../support/process.js";
import { requireWebGpu } from "../support/webgpu.js";

describe("the demo on WebGPU", function () {
  this.timeout(900_000);
  let folder: string;
  before(async function () {
    await requireWebGpu(this);
    folder = await mkdtemp(join(tmpdir(), "webgpu-demo-"));
  });
  after(async () => {
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  it("trains two translators there, and draws the picture", async () => {
    const { code, stdout, stderr } = await finish(
      process.execPath,
      ["--import=tsx", "examples/demo.ts", "--quick", "--json", "--device", "webgpu", "--out", folder],
      { cwd: packageRoot, timeout: 800_000 },
    );
    assert.equal(code, 0, stderr);
    const report = JSON.parse(stdout) as {
      device: string;
      modelDevice: string;
      training: { heldOutNll: number };
    };
    assert.equal(report.modelDevice, "webgpu");
    assert.equal(report.device, "cpu");
    assert.ok(Number.isFinite(report.training.heldOutNll));
    assert.ok((await readFile(join(folder, "classes.png"))).length > 1000);
  });
});
