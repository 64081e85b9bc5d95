/** Models on WebGPU behind the whole product: what the CPU computes, within rounding. */
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  loadModel,
  sampler,
  Tr0n,
  type Model,
  type OpeningProgress,
  type Tr0nOptions,
} from "../../lib/index.js";
import { native, packageRoot } from "../../lib/native/binding.js";
import { chosenForModels } from "../../lib/native/placement.js";
import type { NativeProviders } from "../../lib/native/types/devices.js";
import { finish } from "../support/process.js";
import { close, rejects, tinyEncoder, tinyGenerator } from "../support/tiny.js";
import { requireWebGpu } from "../support/webgpu.js";

const onDecision = (): void => undefined;
const settings = { pairs: 200, epochs: 2, batchSize: 32, seed: 3 };

describe("Tr0n with models on WebGPU", function () {
  this.timeout(240_000);
  let generator: Model;
  let encoder: Model;
  const create = (options: Partial<Tr0nOptions> = {}): Promise<Tr0n> =>
    Tr0n.create({ generator, encoder, seed: 1, device: "webgpu", maxBatch: 16, onDecision, ...options });
  before(async function () {
    await requireWebGpu(this);
    generator = await loadModel(tinyGenerator());
    encoder = await loadModel(tinyEncoder({ scale: 2 }));
  });
  after(() => {
    for (const model of [generator, encoder]) model?.[Symbol.dispose]();
  });

  it("trains and samples as on the CPU, with translator and samplers there", async () => {
    const stages = new Set<string>();
    const onOpening = ({ stage }: OpeningProgress): void => void stages.add(stage);
    using gpu = await create({ onOpening });
    using cpu = await create({ device: "cpu" });
    assert.deepEqual([gpu.device, gpu.modelDevice], ["cpu", "webgpu"]);
    assert.ok(stages.has("webgpu"));
    const condition = { class: 1 };
    const how = { count: 3, seed: 2, sampler: sampler.mala({ steps: 2 }) };
    const [a, b] = [await gpu.train(settings), await cpu.train(settings)];
    assert.ok(Math.abs(a.gap - b.gap) < 1e-3, `${a.gap} ${b.gap}`);
    const [got, expected] = [await gpu.sample(condition, how), await cpu.sample(condition, how)];
    close(got.energies, expected.energies, 1e-3);
    close(got.images.data, expected.images.data, 1e-3);
  });

  it("gives energies and gradients within 1e-4 of the CPU's", async () => {
    using gpu = await create();
    using cpu = await create({ device: "cpu" });
    const n = 5;
    const z = (await cpu.drawPrior(n, { seed: 1 })).data as Float32Array;
    const c = new Float32Array(n * cpu.conditionSize).fill(1 / cpu.conditionSize);
    const of = async (tr0n: Tr0n) => (await tr0n.objective.native(true)).evaluate(z, c, n).promise;
    const [got, expected] = [await of(gpu), await of(cpu)];
    close(got.energies, expected.energies, 1e-4);
    close(got.gradients, expected.gradients, 1e-4);
  });

  it("gives the outputs and gradients of the demo's models within 1e-4 of the CPU's", async () => {
    const file = (name: string): string => join(packageRoot, "models", `${name}.onnx`);
    using gan = await loadModel(file("gan-generator"));
    using classifier = await loadModel(file("classifier"));
    const n = 2;
    const of = async (device: "cpu" | "webgpu") => {
      using tr0n = await create({ generator: gan, encoder: classifier, device, maxBatch: n });
      const z = (await tr0n.drawPrior(n, { seed: 1 })).data as Float32Array;
      const c = new Float32Array(n * tr0n.conditionSize).fill(1 / tr0n.conditionSize);
      return (await tr0n.objective.native(true)).evaluate(z, c, n).promise;
    };
    const [got, expected] = [await of("webgpu"), await of("cpu")];
    close(got.energies, expected.energies, 1e-4);
    close(got.gradients, expected.gradients, 1e-4);
    using there = await loadModel(file("vae-decoder"), { device: "webgpu" });
    using here = await loadModel(file("vae-decoder"));
    const size = here.inputs[0]!.shape[1]!;
    const latents = {
      data: Float32Array.from({ length: n * size }, (_, i) => Math.sin(i)),
      shape: [n, size],
    };
    const [a, b] = [await there.run(latents), await here.run(latents)];
    for (const name of Object.keys(b)) close(a[name]!.data, b[name]!.data, 1e-4);
  });

  it("a model that was loaded with a device keeps it", async () => {
    using own = await loadModel(tinyEncoder({ scale: 2 }), { device: "webgpu" });
    using kept = await loadModel(tinyGenerator(), { device: "cpu" });
    assert.deepEqual([own.device, kept.device, generator.device], ["webgpu", "cpu", null]);
    using mixed = await create({ encoder: own, generator: kept });
    using cpu = await create({ device: "cpu" });
    const z = await cpu.drawPrior(4, { seed: 5 });
    close((await mixed.encode(z)).data as Float32Array, (await cpu.encode(z)).data as Float32Array, 1e-5);
  });

  it("serves two at the same time, is aborted, and lets go", async () => {
    const sessions = native().counters().sessions;
    const tr0ns = [await create(), await create()];
    const images = tr0ns.map(async (tr0n) => {
      const z = await tr0n.drawPrior(20, { seed: 1 });
      return (await tr0n.generate(z)).data;
    });
    const [a, b] = await Promise.all(images);
    assert.deepEqual(a, b);
    const stop = new AbortController();
    const z = await tr0ns[0]!.drawPrior(400, { seed: 1 });
    const aborted = tr0ns[0]!.encode(z, { signal: stop.signal });
    const disposed = tr0ns[1]!.encode(z);
    setTimeout(() => {
      stop.abort();
      tr0ns[1]!.dispose();
    }, 5);
    await rejects(aborted, "ERR_ABORTED");
    await rejects(disposed, "ERR_DISPOSED");
    tr0ns[0]!.dispose();
    for (let i = 0; i < 100 && native().counters().sessions > sessions; i++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(native().counters().sessions, sessions);
  });
});

describe("the device of models that auto takes", () => {
  const adapter = (software: boolean) => ({
    name: software ? "SwiftShader" : "Radeon",
    vulkan: "1.3.0",
    software,
  });
  const providers = (webgpu: string | null, software: boolean, cuda: string | null): NativeProviders => ({
    runtime: "1.30.0",
    webgpu: {
      driver: "libvulkan.so.1",
      problem: webgpu,
      adapters: webgpu === null ? [adapter(software)] : [],
    },
    cuda: { library: "libcuda_provider.so", plugIn: false, problem: cuda },
  });

  for (const [what, compute, found, models, reason] of [
    [
      "CUDA where its provider is there",
      "cuda:0",
      providers(null, false, null),
      "cuda:0",
      /libcuda_provider/,
    ],
    [
      "WebGPU for models without it",
      "cuda:0",
      providers(null, false, "no file"),
      "webgpu",
      /Radeon.*not CUDA: no file/,
    ],
    ["WebGPU on hardware", "cpu", providers(null, false, null), "webgpu", /Radeon.*no such device/],
    [
      "no software adapter",
      "cpu",
      providers(null, true, null),
      "cpu",
      /not WebGPU: its only adapters compute in software/,
    ],
    ["the CPU without a driver", "cpu", providers("no driver", false, null), "cpu", /not WebGPU: no driver/],
    [
      "the CPU for models beside CUDA",
      "cuda:1",
      providers("no driver", false, "no file"),
      "cpu",
      /no file.*no driver/,
    ],
  ] as const)
    it(`is ${what}`, () => {
      const chosen = chosenForModels(compute, found);
      assert.equal(chosen.models, models);
      assert.match(chosen.told!.reason, reason);
      assert.equal(chosen.told!.option, "device");
    });
});

describe("WebGPU that is not there", () => {
  it("is named by the option that asks for it, with the remedy; auto does without, and tells nothing", async () => {
    const script = `
      const { loadModel, Tr0n } = await import("./lib/index.ts");
      const { tinyEncoder, tinyGenerator } = await import("./test/support/tiny.ts");
      const tell = ({ code, message }) => console.log(code, message);
      await loadModel(tinyGenerator(), { device: "webgpu" }).catch(tell);
      const [generator, encoder] = [await loadModel(tinyGenerator()), await loadModel(tinyEncoder({ scale: 2 }))];
      await Tr0n.create({ generator, encoder, device: "webgpu" }).catch(tell);
      const tr0n = await Tr0n.create({ generator, encoder, onDecision: ({ option }) => console.log(option) });
      console.log(tr0n.device, tr0n.modelDevice);`;
    const { code, stdout, stderr } = await finish(
      process.execPath,
      ["--import=tsx", "--input-type=module", "--eval", script],
      { env: { ...process.env, VK_ICD_FILENAMES: "/nowhere", TR0N_DEVICE: "" } },
    );
    assert.equal(code, 0, stderr);
    assert.equal(stderr, "");
    assert.match(stdout, /^ERR_DEVICE_UNAVAILABLE options\.device: "webgpu" cannot be used: .*tr0n doctor/m);
    assert.match(stdout, /^ERR_DEVICE_UNAVAILABLE device: "webgpu" cannot be used: .*tr0n doctor/m);
    assert.match(stdout, /^cpu cpu$/m);
  });
});
