/** Models that do not work: typed errors that say what to do, and nothing left behind. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import {
  differentiate,
  differentiateModel,
  energy,
  latent,
  loadModel,
  sampler,
  tensor,
  Tr0n,
} from "../../lib/index.js";
import { native } from "../../lib/native/binding.js";
import type { NativeCounters } from "../../lib/native/types/addon.js";
import { demoFile, needsTorch, torchFixture } from "../support/torch.js";

const bytes = (name: string): Uint8Array => new Uint8Array(readFileSync(torchFixture(name)));
const shapes = { x: [null, 4] };
const two = (value: number) => tensor(new Float32Array(8).fill(value), [2, 4]);

describe("torchscript: models that do not work", function () {
  this.timeout(120_000);
  let start: NativeCounters;
  before(function () {
    needsTorch(this);
  });
  beforeEach(() => {
    start = native().counters();
  });
  afterEach(async () => {
    const kinds = Object.keys(start) as (keyof NativeCounters)[];
    const more = (): string[] => {
      const now = native().counters();
      return kinds
        .filter((kind) => now[kind] > start[kind])
        .map((kind) => `${start[kind]} ${kind}: ${now[kind]}`);
    };
    // A job lets go of its model on its own thread, a moment after its promise has settled.
    for (let waited = 0; more().length > 0 && waited < 2000; waited += 5)
      await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(more(), []);
  });

  for (const [what, source, code, message] of [
    ["fails on whatever it is given", "always_throws", "ERR_RUN_FAILED", /this model never works/],
    ["uses an operator of a Python process", "python_operator", "ERR_MODEL_UNSUPPORTED", /tr0n_test::twice/],
    ["returns a text", "text", "ERR_MODEL_UNSUPPORTED", /returns a String, expected a tensor/],
    ["returns a number among tensors", "partly_text", "ERR_MODEL_UNSUPPORTED", /Int as "output_1"/],
    ["is what torch.save() writes of a state", "state_dict", "ERR_MODEL_INVALID", /torch\.jit/],
    [
      "is what old versions of torch.save() write",
      "legacy_pickle",
      "ERR_MODEL_INVALID",
      /pickle.*torch\.jit/,
    ],
  ] as const)
    it(`one that ${what}`, async () => {
      for (const from of [torchFixture(source), bytes(source)])
        await assert.rejects(loadModel(from, { inputShapes: shapes }), (error: Error & { code: string }) => {
          assert.equal(error.code, code, error.message);
          assert.match(error.message, message);
          return true;
        });
    });

  it("one that is truncated or damaged anywhere", async () => {
    const whole = readFileSync(demoFile("classifier.pt"));
    const outcomes = new Set<string>();
    const attempt = async (changed: Uint8Array): Promise<void> => {
      try {
        (await loadModel(Uint8Array.from(changed))).dispose();
        outcomes.add("fine"); // a weight was hit
      } catch (error) {
        outcomes.add((error as { code: string }).code);
      }
    };
    for (let i = 1; i < 10; i++) await attempt(whole.subarray(0, Math.floor((whole.length * i) / 10)));
    assert.deepEqual([...outcomes], ["ERR_MODEL_INVALID"]);
    for (let i = 0; i < 40; i++) {
      const copy = Buffer.from(whole);
      // The directory lies at the end, code and pickles at both ends.
      const near = (i * 997) % 6000;
      copy[i % 2 ? near : copy.length - 1 - near]! ^= 1 << (i % 8);
      await attempt(copy);
    }
    for (const code of outcomes)
      assert.ok(
        ["fine", "ERR_MODEL_INVALID", "ERR_MODEL_UNSUPPORTED", "ERR_RUN_FAILED"].includes(code),
        code,
      );
    await assert.rejects(loadModel(Uint8Array.of(0x50, 0x4b, 3, 4)), { code: "ERR_MODEL_INVALID" });
  });

  it("one whose forward() raises now and then says what it raised, and works afterwards", async () => {
    using model = await loadModel(torchFixture("throws"), { inputShapes: shapes });
    for (const call of [() => model.run(two(9)), () => model.vjp(two(9), two(1))])
      await assert.rejects(call(), { code: "ERR_RUN_FAILED", message: /numbers above 5 are too large/ });
    assert.equal((await model.run(two(2)))["output"]!.data[0], 4);
  });

  it("one whose backward pass fails", async () => {
    using model = await loadModel(torchFixture("bad_backward"), { inputShapes: shapes });
    await assert.rejects(model.vjp(two(1), two(1)), {
      code: "ERR_RUN_FAILED",
      message: /backward.*inplace/s,
    });
    assert.ok(Number.isFinite((await model.run(two(1)))["output"]!.data[0]));
  });

  it("one without a gradient", async () => {
    using model = await loadModel(torchFixture("no_gradient"), { inputShapes: shapes });
    await assert.rejects(model.vjp(two(1), two(1)), { code: "ERR_NO_GRADIENT", message: /torch\.no_grad/ });
  });

  it("one whose gradient is zeros and nothing else, and one where it is so in part", async () => {
    using model = await loadModel(torchFixture("signs"), { inputShapes: shapes });
    await assert.rejects(model.vjp(two(1), two(1)), {
      code: "ERR_NO_GRADIENT",
      message: /no path with a gradient .*: floor is constant almost everywhere/,
    });
    using partly = await loadModel(torchFixture("partly_rounded"), { inputShapes: shapes });
    const { gradients } = await partly.vjp(two(1.2), two(3));
    assert.deepEqual([...gradients["x"]!.data], new Array(8).fill(3));
  });

  it("as parts of a pipeline whose energy has no gradient: resampling works, and is named", async () => {
    using generator = await loadModel(torchFixture("partly_rounded"), { inputShapes: { x: [null, 4] } });
    for (const name of ["signs", "no_gradient"]) {
      using encoder = await loadModel(torchFixture(name), { inputShapes: { x: [null, 4] } });
      using tr0n = await Tr0n.create({ generator, encoder, energy: energy.squaredError(), seed: 1 });
      await tr0n.train({ pairs: 200, epochs: 1 });
      const c = tensor([2, -2, 2, 2], [1, 4]);
      await assert.rejects(tr0n.sample(c), {
        code: "ERR_NO_GRADIENT",
        message: /sampler\.resample\(\{ steps: 0 \}\)/,
      });
      const { energies } = await tr0n.sample(c, { sampler: sampler.resample({ steps: 0 }), count: 4 });
      assert.ok(energies.every(Number.isFinite));
    }
  });

  it("one whose batch is another axis, and one whose rows influence each other", async () => {
    using encoder = await loadModel(demoFile("classifier.onnx"));
    using second = await loadModel(torchFixture("batch_second"), { inputShapes: { w: [8, null, 6] } });
    await assert.rejects(Tr0n.create({ generator: second, encoder, latent: latent.normal(48) }), {
      code: "ERR_MODEL_UNSUPPORTED",
      message: /axis 1 of w .*transposes, or to ONNX/,
    });
    using across = await loadModel(torchFixture("across_rows"), { inputShapes: { x: [null, 6] } });
    await assert.rejects(Tr0n.create({ generator: across, encoder }), {
      code: "ERR_MODEL_UNSUPPORTED",
      message: /rows of .* influence each other/,
    });
  });

  it("one that changes its output's shape", async () => {
    using model = await loadModel(torchFixture("shape_changes"), { inputShapes: shapes });
    assert.deepEqual(model.outputs[0]!.shape, [null, 2]);
    await assert.rejects(model.run(two(3)), { code: "ERR_RUN_FAILED", message: /changed its shape/ });
    await assert.rejects(model.vjp(two(3), tensor([1, 1, 1, 1], [2, 2])), { code: "ERR_RUN_FAILED" });
  });

  it("as parts of a pipeline", async () => {
    using encoder = await loadModel(demoFile("classifier.onnx"));
    using noise = await loadModel(torchFixture("noise"), { inputShapes: { z: [null, 6] } });
    await assert.rejects(Tr0n.create({ generator: noise, encoder }), {
      code: "ERR_MODEL_UNSUPPORTED",
      message: /generator: .*random numbers.*aten::randn/,
    });
    using trained = await loadModel(torchFixture("traced_in_training"));
    await assert.rejects(Tr0n.create({ generator: trained, encoder: trained }), {
      code: "ERR_MODEL_UNSUPPORTED",
      message: /aten::batch_norm in training mode/,
    });
    using dictionary = await loadModel(torchFixture("dictionary"));
    await assert.rejects(Tr0n.create({ generator: dictionary, encoder, generatorOutput: "image" }), {
      code: "ERR_INVALID_ARGUMENT",
      message: /"scores", "embedding"/,
    });
    using classifier = await loadModel(demoFile("classifier.pt"));
    await assert.rejects(Tr0n.create({ generator: dictionary, encoder: classifier }), {
      code: "ERR_SHAPE_MISMATCH",
    });
    using flat = await loadModel(torchFixture("no_gradient"), { inputShapes: { x: [null, 4] } });
    using tr0n = await Tr0n.create({
      generator: flat,
      encoder: flat,
      energy: energy.squaredError(),
      seed: 1,
    });
    const objective = await tr0n.objective.native(true);
    await assert.rejects(objective.evaluate(new Float32Array(8), new Float32Array(8), 2).promise, {
      code: "ERR_NO_GRADIENT",
      message: /no_gradient/,
    });
  });

  it("where an ONNX graph is needed", async () => {
    const path = demoFile("classifier.pt");
    for (const call of [
      () => differentiateModel(path),
      async () => differentiate(new Uint8Array(readFileSync(path))),
      async () => energy.fromOnnx(new Uint8Array(readFileSync(path))) && energyOf(path),
    ])
      await assert.rejects(call(), {
        code: "ERR_MODEL_UNSUPPORTED",
        message: /TorchScript.*torch\.onnx\.export/s,
      });
  });

  it("an aborted load", async () => {
    await assert.rejects(loadModel(demoFile("classifier.pt"), { signal: AbortSignal.abort() }), {
      code: "ERR_ABORTED",
    });
    const stop = new AbortController();
    const loading = loadModel(demoFile("vae-decoder.pt"), { signal: stop.signal });
    setImmediate(() => stop.abort());
    await loading.then(
      (model) => model.dispose(),
      (error: { code: string }) => assert.equal(error.code, "ERR_ABORTED"),
    );
  });
});

/** Energies are read when the models are joined. */
async function energyOf(path: string): Promise<void> {
  using generator = await loadModel(demoFile("gan-generator.onnx"));
  using encoder = await loadModel(demoFile("classifier.onnx"));
  const own = energy.fromOnnx(new Uint8Array(readFileSync(path)));
  (await Tr0n.create({ generator, encoder, energy: own })).dispose();
}
