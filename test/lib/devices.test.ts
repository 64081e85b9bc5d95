import assert from "node:assert/strict";
import { join } from "node:path";
import { checkDevice, checkPrecision } from "../../lib/native/devices.js";
import { diagnose } from "../../lib/native/doctor.js";
import { devices, loadModel, Translator } from "../../lib/index.js";
import { native, packageRoot } from "../../lib/native/binding.js";
import { tr0n } from "../support/cli.js";
import { emulator, emulatorLibrary, gpusClosed, onDevices, realGpu, requireGpu } from "../support/devices.js";
import { finish } from "../support/process.js";
import { rejects, tinyGenerator } from "../support/tiny.js";

/** What a process of its own prints as JSON when it evaluates `code`, which may use the addon and `caught`. */
async function elsewhere(code: string, env: Record<string, string>): Promise<Record<string, unknown>> {
  const addon = process.env["TR0N_ADDON"] ?? join(packageRoot, "build", "Release", "tr0n.node");
  const run = await finish(
    process.execPath,
    [
      "-e",
      `const addon = require(${JSON.stringify(addon)});
       const caught = (body) => { try { return body(); } catch (error) { return error.code + ": " + error.message; } };
       ${code}`,
    ],
    { env: { ...process.env, ...env } },
  );
  assert.equal(run.code, 0, run.stdout + run.stderr);
  return JSON.parse(run.stdout) as Record<string, unknown>;
}

const chosen = `console.log(JSON.stringify(Object.fromEntries(
  ["auto", "cpu", "cuda", "cuda:0", "cuda:1"].map((name) => [name, caught(() => addon.resolveDevice(name))]))))`;

describe("devices", function () {
  this.timeout(120_000);

  it("are listed with what they are, the CPU first", () => {
    const [cpu, ...others] = devices();
    assert.equal(cpu!.id, "cpu");
    assert.equal(cpu!.problem, null);
    assert.ok(cpu!.threads! >= 1);
    for (const [index, gpu] of others.entries()) {
      assert.equal(gpu.id, `cuda:${index}`);
      assert.equal(gpu.emulated, !realGpu);
      assert.match(gpu.computeCapability!, /^\d+\.\d$/);
      assert.ok(gpu.memory > 2 ** 20);
    }
  });

  it("are checked where they are named", async () => {
    assert.equal(checkDevice("device", "cpu"), "cpu");
    for (const wrong of ["gpu", "cuda:", "cuda:-1", "cuda:x", 0, null, {}])
      await rejects(() => checkDevice("device", wrong), "ERR_INVALID_ARGUMENT", /device: expected a device/);
    await rejects(() => checkPrecision("precision", "bf16"), "ERR_INVALID_ARGUMENT", /precision/);
    await rejects(() => checkDevice("device", "cuda:9999"), "ERR_DEVICE_UNAVAILABLE", /"cuda:9999"/);
    await rejects(
      loadModel(tinyGenerator(), { device: "cuda:9999" }),
      "ERR_DEVICE_UNAVAILABLE",
      /options\.device: "cuda:9999"/,
    );
    await rejects(loadModel(tinyGenerator(), { device: "gpu" as never }), "ERR_INVALID_ARGUMENT");
    assert.throws(() => native().resolveDevice("cuda:1x"), { code: "ERR_INVALID_ARGUMENT" });
  });

  it("without a driver: the CPU for auto, an error that names what was tried for the rest", async () => {
    const found = await elsewhere(chosen, { TR0N_CUDA_DRIVER: "/nowhere/libcuda.so.1" });
    assert.equal(found["auto"], "cpu");
    assert.equal(found["cpu"], "cpu");
    for (const name of ["cuda", "cuda:0", "cuda:1"])
      assert.match(
        String(found[name]),
        /^ERR_DEVICE_UNAVAILABLE: "cuda.*cannot be opened: \/nowhere\/libcuda\.so\.1.*TR0N_CUDA_DRIVER/,
      );
  });

  it("neither importing nor computing on the CPU opens the driver", async function () {
    if (realGpu) this.skip();
    requireGpu(this);
    const found = await elsewhere(
      `const mapped = () => require("fs").readFileSync("/proc/self/maps", "utf8").includes("tr0n_cuda_emulator");
       const before = mapped();
       const shape = { condition: 3, hidden: 4, latent: 2, components: 2 };
       const translator = addon.createTranslator(shape, 1n, addon.resolveDevice("cpu"));
       translator.values();
       const after = mapped();
       addon.deviceInventories();
       console.log(JSON.stringify({ before, after, asked: mapped() }));`,
      { TR0N_CUDA_DRIVER: emulatorLibrary },
    );
    assert.deepEqual(found, { before: false, after: false, asked: true });
  });

  for (const [what, env, cuda, cuda0, cuda1] of [
    [
      "too old a driver",
      { DRIVER_VERSION: "10020" },
      /CUDA 10\.2; expected 11\.0/,
      /CUDA 10\.2/,
      /CUDA 10\.2/,
    ],
    ["no device", { DEVICES: "0" }, /CUDA_ERROR_NO_DEVICE/, /CUDA_ERROR_NO_DEVICE/, /CUDA_ERROR_NO_DEVICE/],
    ["a wrong index", {}, "cuda:0", "cuda:0", /expected a device from cuda:0 to cuda:0/],
    ["two devices", { DEVICES: "2" }, "cuda:0", "cuda:0", "cuda:1"],
    [
      "too old a device",
      { SM: "70" },
      /capability 7\.5 or above, got 7\.0/,
      /7\.5.*7\.0/,
      /cuda:0 to cuda:0/,
    ],
  ] as const)
    it(`with ${what}`, async function () {
      if (realGpu) this.skip();
      requireGpu(this);
      const settings = Object.entries(env).map(([name, value]) => [`TR0N_EMULATOR_${name}`, value as string]);
      const found = await elsewhere(chosen, {
        TR0N_CUDA_DRIVER: emulatorLibrary,
        ...(Object.fromEntries(settings) as Record<string, string>),
      });
      assert.equal(found["auto"], "cpu"); // an emulated device is never chosen by itself
      for (const [name, expected] of Object.entries({ cuda, "cuda:0": cuda0, "cuda:1": cuda1 }))
        if (typeof expected === "string") assert.equal(found[name], expected);
        else {
          assert.match(String(found[name]), /^ERR_DEVICE_UNAVAILABLE: "cuda/);
          assert.match(String(found[name]), expected);
        }
    });

  it("TR0N_DEVICE says what auto is", async function () {
    requireGpu(this);
    const before = process.env["TR0N_DEVICE"];
    try {
      for (const [named, meant] of [
        ["cuda", "cuda:0"],
        ["cpu", "cpu"],
        ["", realGpu ? "cuda:0" : "cpu"],
      ] as const) {
        process.env["TR0N_DEVICE"] = named;
        assert.equal(checkDevice("device", "auto"), meant);
        assert.equal(checkDevice("device", undefined), meant);
        assert.equal(checkDevice("device", "cpu"), "cpu");
      }
      process.env["TR0N_DEVICE"] = "tpu";
      await rejects(() => checkDevice("device", "auto"), "ERR_INVALID_ARGUMENT", /TR0N_DEVICE: expected/);
    } finally {
      process.env["TR0N_DEVICE"] = before;
    }
  });
});

describe("tr0n doctor", function () {
  this.timeout(120_000);

  it("opens every device, loads every kernel, and finds nothing wrong", async function () {
    requireGpu(this);
    const found = await diagnose("cuda");
    assert.ok(found.healthy, JSON.stringify(found.findings));
    assert.ok(found.trials.length >= 1);
    for (const trial of found.trials) {
      assert.equal(trial.problem, null);
      assert.ok(trial.seconds! > 0);
      assert.deepEqual(Object.keys(trial.images).sort(), Object.keys(found.cuda.images).sort());
      for (const image of Object.values(trial.images))
        assert.match(image, realGpu ? /./ : /^compute_80 \(PTX\)$/);
    }
    const { code, json, out } = await tr0n(["doctor", "--device", "cuda", "--json"]);
    assert.equal(code, 0, out);
    assert.equal(json()["healthy"], true);
    assert.match(
      (await tr0n(["doctor"])).out,
      /^device +name.*\n.*\ncpu .*\ncuda:0 .*\n\nok +CUDA driver: .*\n(.*\n)*ok +cuda:0: .*one checked/,
    );
    await gpusClosed();
    assert.equal(emulator()?.leaks() ?? 0, 0);
  });

  it("says what does not work, with exit code 1", async function () {
    const { code, out } = await tr0n(["doctor", "--device", "cuda:99"]);
    assert.equal(code, 1);
    assert.match(out, /failed +device "cuda:99": .*"cuda:99" cannot be used/);
    assert.equal((await tr0n(["doctor", "--device", "tpu"])).code, 2);
    const fault = emulator();
    if (!fault) return;
    requireGpu(this);
    fault.fail("cuModuleLoadDataEx", 1, 218, 1); // CUDA_ERROR_INVALID_PTX
    try {
      const broken = await tr0n(["doctor"]);
      assert.equal(broken.code, 1);
      assert.match(broken.out, /failed +cuda:0: .*no image of .*CUDA_ERROR_INVALID_PTX/s);
    } finally {
      fault.failNone();
    }
    await gpusClosed();
  });
});

onDevices("opening a device", (device) => {
  it("keeps it open as long as somebody holds it", async () => {
    const before = native().counters();
    const wanted = checkDevice("device", device);
    const opened = await native().openDevice(wanted).promise;
    assert.equal(opened.id, wanted);
    assert.equal(native().counters().devices, before.devices + 1);
    assert.equal(native().counters().openGpus, device === "cpu" ? 0 : 1);
    const probe = await opened.probe().promise;
    assert.equal(probe === null, device === "cpu");
    const memory = await opened.memory().promise;
    assert.equal(memory === null, device === "cpu");
    if (memory) assert.ok(memory.free > 0 && memory.free <= memory.total, JSON.stringify(memory));
    const translator = new Translator({ condition: 3, latent: 2, device, seed: 1 });
    assert.equal(translator.device, wanted);
    opened.dispose();
    translator.dispose();
    await gpusClosed();
    assert.equal(native().counters().devices, before.devices);
    assert.equal(native().counters().openGpus, 0);
  });
});
