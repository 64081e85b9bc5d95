/** Models of which a device's provider leaves much to the CPU. */
import assert from "node:assert/strict";
import { loadModel, ModelError, Tr0n } from "../../lib/index.js";
import { Builder, DataType, emptyGraph, encodeModel } from "../../lib/onnx/index.js";
import { checkEmulator, emulator, gpusClosed, realGpu, requireGpu } from "../support/devices.js";
import { numbers } from "../support/numbers.js";
import { tinyEncoder, tinyGenerator } from "../support/tiny.js";
import { requireWebGpu } from "../support/webgpu.js";

/** x [batch, 8]: WebGPU has no kernel for Hardmax, and there is no other form of it. */
function withHardmax(): Uint8Array {
  const b = new Builder(emptyGraph("hardmax"));
  b.output("y", b.op("Hardmax", [b.op("Exp", [b.input("x", DataType.FLOAT, ["batch", 8])])], { axis: -1 }));
  return encodeModel(b.graph);
}

const refused = (operator: string, device: string) => (error: unknown) => {
  assert.ok(error instanceof ModelError, String(error));
  assert.equal(error.code, "ERR_DEVICE_FALLBACK");
  assert.match(error.message, new RegExp(`${operator} ".*CPU`));
  assert.match(error.message, /allowFallback: true/);
  assert.match(error.message, new RegExp(`inspect --device ${device}`));
  return true;
};

describe("a model of which WebGPU lacks heavy operators", function () {
  this.timeout(120_000);
  before(function () {
    return requireWebGpu(this);
  });

  it("is refused by name, unless that is accepted", async () => {
    const model = withHardmax();
    await assert.rejects(loadModel(model, { device: "webgpu" }), refused("Hardmax", "webgpu"));
    const x = { data: numbers(1, 16), shape: [2, 8] };
    using here = await loadModel(model, { device: "cpu" });
    using there = await loadModel(model, { device: "webgpu", allowFallback: true });
    assert.deepEqual((await there.run(x))["y"], (await here.run(x))["y"]);
  });

  it("is none where only sizes lie on the CPU", async () => {
    const b = new Builder(emptyGraph("sizes"));
    const x = b.input("x", DataType.FLOAT, ["batch", 8]);
    b.output("y", b.op("Reshape", [b.op("Exp", [x]), b.op("Shape", [x])]));
    using model = await loadModel(encodeModel(b.graph), { device: "webgpu" });
    assert.deepEqual((await model.run({ data: numbers(1, 16), shape: [2, 8] }))["y"]!.shape, [2, 8]);
  });
});

describe("a Tr0n of which a GPU lacks heavy operators", function () {
  this.timeout(120_000);
  before(function () {
    requireGpu(this);
    if (realGpu) this.skip();
  });
  afterEach(async () => {
    delete process.env["TR0N_TEST_PROVIDER_REFUSES"];
    await gpusClosed();
  });
  after(() => checkEmulator());

  it("is refused when its sessions open, unless that is accepted, and goes on elsewhere", async () => {
    assert.ok(emulator());
    process.env["TR0N_TEST_PROVIDER_REFUSES"] = "MatMul,Gemm,Conv";
    const create = async (allowFallback: boolean): Promise<Float32Array> => {
      using generator = await loadModel(tinyGenerator());
      using encoder = await loadModel(tinyEncoder());
      using tr0n = await Tr0n.create({
        ...{ generator, encoder, encoderKind: "logits", seed: 1, device: "cuda", allowFallback },
        onDecision: () => undefined,
      });
      return (await tr0n.encode(await tr0n.drawPrior(3, { seed: 2 }))).data as Float32Array;
    };
    await assert.rejects(create(false), refused("(MatMul|Gemm|Conv)", "cuda"));
    const shared = await create(true);
    delete process.env["TR0N_TEST_PROVIDER_REFUSES"];
    const whole = await create(false);
    shared.forEach((value, i) => assert.ok(Math.abs(value - whole[i]!) < 1e-5, `${value} ${whole[i]}`));
  });
});
