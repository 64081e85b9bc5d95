/**
 * Sessions of ONNX Runtime on a GPU that is not there: the plug-in provider of native/emulator/provider, whose tensors lie in
 * the emulator's memory and whose runs are work in its streams. It computes on the CPU, so that results are the CPU's bits.
 */
import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { AttributeProto_AttributeType, AttributeProtoSchema, ModelProtoSchema } from "onnx-buf";
import { differentiateModel } from "../../lib/index.js";
import type { NativeSession } from "../../lib/native/types/models.js";
import { mlp } from "../support/bridge-models.js";
import { open, rejectsCode, repositoryFile, sameBits } from "../support/bridge.js";
import {
  checkEmulator,
  emulator,
  gpusClosed,
  realGpu,
  requireGpu,
  type Emulator,
} from "../support/devices.js";
import { emulatorHooks } from "../support/emulator-build.js";
import {
  classes,
  crossEntropy,
  image,
  latent,
  load,
  objectiveOf,
  segmentOf,
} from "../support/bridge-pipelines.js";
import { numbers, relativeError } from "../support/numbers.js";
import { onnxModel } from "../support/onnx.js";
import { finish } from "../support/process.js";

type Feed = Record<string, { data: Float32Array; shape: number[] }>;

const onGpu = (source: string | Uint8Array): Promise<NativeSession> => open(source, { device: "cuda:0" });
const x = (rows: number, seed = 1): Feed => ({ x: { data: numbers(seed, rows * 7), shape: [rows, 7] } });

/** A process of its own runs a module in TypeScript. */
const child = (script: string, environment: Record<string, string>) =>
  finish(process.execPath, ["--import=tsx", "--input-type=module", "--eval", script], {
    env: { ...process.env, ...environment },
  });

/** Tells why the GPU does not open, then runs on the CPU. */
const gpuThenCpu = `
  const { native } = await import("./lib/native/binding.ts");
  const { mlp } = await import("./test/support/bridge-models.ts");
  for (const device of ["cuda:0", "cpu"]) {
    const session = await native().openSession(mlp(3, 5, 2), { device }).promise.catch(({ code, message }) => console.log(code, message));
    if (!session) continue;
    const { y } = await session.run({ x: { data: Float32Array.of(1, 2, 3), shape: [1, 3] } }).promise;
    console.log(y.data.length);
  }`;

/** What a session gives for each of some feeds, one after the other. */
async function outputs(source: string | Uint8Array, device: "cpu" | "cuda:0", feeds: Feed[]) {
  const session = await open(source, { device });
  try {
    const all: Record<string, Float32Array>[] = [];
    for (const feed of feeds) {
      const result = await session.run(feed).promise;
      all.push(
        Object.fromEntries(Object.entries(result).map(([name, { data }]) => [name, data as Float32Array])),
      );
    }
    return all;
  } finally {
    session.dispose();
  }
}

/** The same bits on the CPU and on the GPU. */
async function same(source: string | Uint8Array, feeds: Feed[]) {
  const expected = await outputs(source, "cpu", feeds);
  const got = await outputs(source, "cuda:0", feeds);
  expected.forEach((values, run) => {
    for (const [name, value] of Object.entries(values))
      sameBits(got[run]![name]!, value, `${name}, run ${run}`);
  });
}

describe("bridge: sessions on a GPU (emulated)", function () {
  this.timeout(60_000);
  let hooks: Emulator;
  before(function () {
    requireGpu(this);
    if (realGpu) this.skip();
    hooks = emulator()!;
    hooks.reset();
  });
  afterEach(() => {
    hooks.failNone();
    for (const mistake of ["own-stream", "stray-copies", "late-outputs"] as const) hooks.plant(mistake, 0);
    delete process.env["TR0N_TEST_PROVIDER_REFUSES"];
  });
  after(() => checkEmulator());

  const provider = () =>
    JSON.parse(hooks.provider()) as { parts: number; runs: number; deferred: number; left: string[] };
  const traffic = () =>
    JSON.parse(hooks.traffic()) as { toDevice: number; toHost: number; peeked: number; poked: number };

  it("compute what the CPU computes, the demo's classifier and its gradient too, as one part", async () => {
    const before = provider();
    const file = repositoryFile("models/classifier.onnx");
    const image = (seed: number, rows: number): Feed => ({
      image: { data: numbers(seed, rows * 3 * 32 * 32), shape: [rows, 3, 32, 32] },
    });
    await same(mlp(7, 33, 5), [x(6), x(6, 2), x(3)]);
    await same(file, [image(1, 3), image(2, 3), image(3, 1)]);
    const gradient = await differentiateModel(file);
    const seed = { grad_logits: { data: numbers(4, 30), shape: [3, 10] } };
    await same(gradient, [
      { ...image(1, 3), ...seed },
      { ...image(2, 3), ...seed },
    ]);
    const after = provider();
    assert.equal(after.parts - before.parts, 3);
    assert.equal(after.runs - before.runs, 8);
    // The second run of the same shapes is not waited for.
    assert.equal(after.deferred - before.deferred, 3);
    assert.deepEqual(after.left, before.left);
  });

  it("bring inputs and outputs across once, and nothing else", async () => {
    const session = await onGpu(mlp(7, 33, 5));
    for (const rows of [6, 6, 2]) {
      hooks.reset();
      await session.run(x(rows)).promise;
      const { toDevice, toHost, peeked, poked } = traffic();
      assert.deepEqual(
        { toDevice, toHost, peeked, poked },
        {
          toDevice: rows * 7 * 4,
          toHost: rows * 5 * 4,
          peeked: rows * 7 * 4,
          poked: rows * 5 * 4,
        },
      );
    }
    session.dispose();
  });

  it("keep activations between segments, and what objectives do not give, on the device", async () => {
    const n = 4;
    const [z, c] = [numbers(1, n * 64), numbers(2, n * classes).map(Math.abs)];
    const results = [];
    for (const device of ["cpu", "cuda:0"] as const) {
      const generator = await segmentOf(load("gan-generator"), latent, "generator", { device });
      const encoder = await segmentOf(load("classifier"), image, "encoder", { device });
      const whole = await objectiveOf([generator, encoder], crossEntropy(), [classes], { device });
      await whole.evaluate(z, c, n).promise;
      hooks.reset();
      results.push(await whole.evaluate(z, c, n).promise);
      const { toDevice, toHost } = traffic();
      const bytes = device === "cpu" ? [0, 0] : [n * (64 + classes) * 4, n * (64 + 1) * 4];
      assert.deepEqual([toDevice, toHost], bytes, device);
      whole.dispose();
      for (const segment of [generator, encoder])
        for (const session of [segment.forward, segment.recorded, segment.backward]) session?.dispose();
    }
    const [expected, got] = results;
    assert.ok(relativeError(got!.energies, expected!.energies) < 1e-6, "energies");
    assert.ok(relativeError(got!.gradients, expected!.gradients) < 1e-5, "gradients");
  });

  it("keep what branches contain with their node", async () => {
    const before = provider();
    const feeds = [1, -1].map((sign) => ({
      x: { data: numbers(1, 14).map((v) => sign * Math.abs(v)), shape: [2, 7] },
    }));
    await same(branches(), [...feeds, ...feeds]);
    assert.equal(provider().parts - before.parts, 1);
    assert.deepEqual(provider().left, before.left);
  });

  it("share a graph with the CPU where the GPU lacks an operator", async () => {
    process.env["TR0N_TEST_PROVIDER_REFUSES"] = "Relu";
    const before = provider();
    hooks.reset();
    await same(mlp(7, 33, 5), [x(6), x(6, 2)]);
    assert.equal(provider().parts - before.parts, 2);
    assert.ok(provider().left.some((node) => node.startsWith("Relu")));
    // The hidden values cross twice in each run.
    assert.equal(traffic().toHost, 2 * (6 * 33 + 6 * 5) * 4);
  });

  for (const mistake of ["own-stream", "stray-copies", "late-outputs"] as const)
    it(`show a missing synchronisation: ${mistake}`, async () => {
      const [expected] = await outputs(mlp(7, 33, 5), "cpu", [x(6)]);
      const session = await onGpu(mlp(7, 33, 5));
      const right = async () => {
        const { y } = await session.run(x(6)).promise;
        return (y!.data as Float32Array).every((value, i) => value === expected!["y"]![i]);
      };
      assert.ok(await right());
      hooks.reset();
      assert.equal(hooks.plant(mistake, 1), 0);
      const noticed = !(await right()) || hooks.violations() > 0;
      assert.ok(noticed, "nobody noticed");
      // What comes late may hit memory that is somebody else's by then: with the GPU's context it ends.
      hooks.plant(mistake, 0);
      session.dispose();
      await gpusClosed();
      hooks.reset();
      sameBits((await outputs(mlp(7, 33, 5), "cuda:0", [x(6)]))[0]!["y"]!, expected!["y"]!, "y");
      await gpusClosed();
      assert.equal(hooks.violations(), 0, hooks.report());
    });

  it("run out of memory with a typed error at every allocation, and go on", async () => {
    const session = await onGpu(mlp(7, 33, 5));
    const { y } = await session.run(x(6)).promise;
    let failures = 0;
    for (let nth = 1; ; nth++) {
      hooks.fail("cuMemAlloc*", nth, 2, 0);
      const result = session.run(x(6)).promise;
      if (await result.then(() => true).catch(() => false)) break;
      await rejectsCode(result, "ERR_OUT_OF_MEMORY", /allocate memory|out of memory/);
      failures++;
      hooks.failNone();
      const again = await session.run(x(6)).promise;
      sameBits(again["y"]!.data as Float32Array, y!.data as Float32Array, "y");
    }
    assert.equal(failures, 2, "an input and an output");
    session.dispose();
  });

  it("say that the GPU was lost in a run, and open on it again when all on it is gone", async () => {
    const [expected] = await outputs(mlp(7, 33, 5), "cpu", [x(6)]);
    const [one, other] = [await onGpu(mlp(7, 33, 5)), await onGpu(mlp(7, 33, 5))];
    await one.run(x(6)).promise;
    hooks.fail("@work", 2, 719, 0);
    await rejectsCode(
      one.run(x(6)).promise,
      "ERR_DEVICE_LOST",
      /"cuda:0" failed during a run.*CUDA failure 719/,
    );
    await rejectsCode(other.run(x(6)).promise, "ERR_DEVICE_LOST", /cuda:0/);
    await rejectsCode(onGpu(mlp(3, 5, 2)), "ERR_DEVICE_LOST", /cuda:0/);
    sameBits((await outputs(mlp(7, 33, 5), "cpu", [x(6)]))[0]!["y"]!, expected!["y"]!, "y");
    for (const session of [one, other]) session.dispose();
    await gpusClosed();
    sameBits((await outputs(mlp(7, 33, 5), "cuda:0", [x(6)]))[0]!["y"]!, expected!["y"]!, "y");
  });

  it("are of the GPU that is named, where there are two", async () => {
    const script = `
      const { native } = await import("./lib/native/binding.ts");
      const { mlp } = await import("./test/support/bridge-models.ts");
      for (const device of ["cuda:1", "cuda:0", "cuda:2"]) {
        const session = await native().openSession(mlp(3, 5, 2), { device }).promise.catch(({ code }) => console.log(code));
        if (!session) continue;
        const { y } = await session.run({ x: { data: Float32Array.of(1, 2, 3), shape: [1, 3] } }).promise;
        console.log(y.data.length, native().counters().openGpus);
      }`;
    const { stdout, stderr } = await child(script, { TR0N_EMULATOR_DEVICES: "2" });
    assert.equal(stdout, "2 1\n2 2\nERR_DEVICE_UNAVAILABLE\n", stderr);
  });

  it("say that the provider's library is missing, or is none, and leave the CPU usable", async () => {
    for (const library of ["/nowhere/provider.so", repositoryFile("package.json")]) {
      const { code, stdout, stderr } = await child(gpuThenCpu, { TR0N_ORT_PROVIDER: library });
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^ERR_DEVICE_UNAVAILABLE .*TR0N_ORT_PROVIDER/);
      assert.ok(stdout.includes(library), stdout);
      assert.match(stdout, /\n2\n$/);
    }
  });

  it("say that the provider's library is of another version, and leave the CPU usable", async () => {
    const { code, stdout, stderr } = await child(gpuThenCpu, { TR0N_TEST_PROVIDER_ABI: "99" });
    assert.equal(code, 0, stderr);
    assert.match(
      stdout,
      /^ERR_DEVICE_UNAVAILABLE .*libtr0n_test_provider\.so.* version 99 of ONNX Runtime's interface, which ONNX Runtime 1\.30\.0 does not have.*\n2\n$/,
    );
  });

  it("cannot be read by the host", async () => {
    const script = `require(${JSON.stringify(emulatorHooks)}).readAsHost()`;
    const { code, signal } = await finish(process.execPath, ["--eval", script]);
    assert.deepEqual({ code, signal }, { code: null, signal: "SIGSEGV" });
  });
});

/** y = tanh(x)·w where the mean of x is positive, else tanh(x) − w: branches that capture a value and an initialiser. */
function branches(): Uint8Array {
  const dims = ["batch", 7];
  const branch = (op: string) => {
    const inner = onnxModel({ inputs: [], outputs: [{ name: op, dims }], nodes: [[op, ["h", "w"], [op]]] });
    return create(AttributeProtoSchema, {
      name: op === "Mul" ? "then_branch" : "else_branch",
      type: AttributeProto_AttributeType.GRAPH,
      g: fromBinary(ModelProtoSchema, inner).graph!,
    });
  };
  const model = fromBinary(
    ModelProtoSchema,
    onnxModel({
      inputs: [{ name: "x", dims }],
      outputs: [{ name: "y", dims }],
      nodes: [
        ["ReduceMean", ["x"], ["mean"], { attributes: { keepdims: 0 } }],
        ["Greater", ["mean", "zero"], ["positive"]],
        ["Tanh", ["x"], ["h"]],
        ["If", ["positive"], ["y"]],
      ],
      weights: [
        { name: "zero", dims: [], data: Float32Array.of(0) },
        { name: "w", dims: [7], data: numbers(8, 7) },
      ],
    }),
  );
  model.graph!.node[3]!.attribute = [branch("Mul"), branch("Sub")];
  return toBinary(ModelProtoSchema, model);
}
