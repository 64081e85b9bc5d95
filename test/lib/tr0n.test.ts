import assert from "node:assert/strict";
import {
  energy,
  loadModel,
  sampler,
  stage,
  tensor,
  Tr0n,
  type Model,
  type SampleProgress,
  type Sampler,
  type SampleStep,
  type TrainProgress,
  type Tr0nOptions,
} from "../../lib/index.js";
import { native } from "../../lib/native/binding.js";
import { bits, close, countingController, rejects, tinyEncoder, tinyGenerator } from "../support/tiny.js";

const wrong = (value: unknown) => value as never;
const settings = { pairs: 2000, epochs: 8, batchSize: 32, seed: 3 };

async function drain(iterator: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of iterator) void _;
}

describe("Tr0n", () => {
  let generator: Model;
  let encoder: Model;
  let tr0n: Tr0n;
  const create = (options: Partial<Tr0nOptions> = {}) => Tr0n.create({ generator, encoder, ...options });
  before(async () => {
    generator = await loadModel(tinyGenerator());
    encoder = await loadModel(tinyEncoder({ scale: 2 }));
    tr0n = await create({ seed: 1 });
    await tr0n.train(settings);
  });
  after(() => {
    for (const item of [tr0n, generator, encoder]) item[Symbol.dispose]();
  });

  describe("train", () => {
    it("reports what it did, and knows more than the prior afterwards", async () => {
      using fresh = await create({ seed: 1 });
      const seen: TrainProgress[] = [];
      const report = await fresh.train({ ...settings, onProgress: (p) => seen.push(p) });
      assert.deepEqual(
        [report.pairs, report.heldOut, report.epochs, report.steps, report.seed],
        [2000, 200, 8, 8 * Math.ceil(1800 / 32), 3],
      );
      close([report.priorEntropy], [3 * Math.log(2 * Math.PI * Math.E)], 1e-4);
      close([report.gap], [report.heldOutNll - report.priorEntropy], 1e-9);
      assert.ok(report.gap < -0.05, `gap ${report.gap}`);
      assert.ok(
        Math.abs(report.trainLoss - report.heldOutNll) < 0.5,
        `${report.trainLoss} ${report.heldOutNll}`,
      );
      assert.ok(report.seconds > 0);
      assert.deepEqual(report.warnings, ["2000 pairs are few: 20,000 or more are recommended"]);
      assert.equal(fresh.report, report);
      const pairs = seen.filter((p) => p.phase === "pairs");
      const steps = seen.filter((p) => p.phase === "train");
      assert.deepEqual(pairs.at(-1), { phase: "pairs", done: 2000, total: 2000 });
      assert.equal(steps.at(-1)!.done, report.steps);
      assert.equal(steps.at(-1)!.epoch, 8);
      assert.ok(seen.findLastIndex((p) => p.phase === "pairs") < seen.findIndex((p) => p.phase === "train"));
      assert.equal(
        bits(fresh.translator!.native.values()),
        bits(tr0n.translator!.native.values()),
        "the same seed",
      );
    });

    it("warns when the translator knows less than the prior", async () => {
      using fresh = await create();
      const report = await fresh.train({ pairs: 100, epochs: 1, preset: "official", seed: 1 });
      assert.ok(report.gap > 0);
      assert.match(report.warnings[0]!, /nats above the prior's entropy/);
    });

    it("has the presets it documents, each option overriding them", async () => {
      using fresh = await create();
      const report = await fresh.train({ pairs: 100, preset: "official", seed: 1 });
      assert.deepEqual([report.epochs, report.steps], [10, 10 * Math.ceil(90 / 16)]);
      const stds = (await fresh.translator!.forward(tensor([1, 0, 0], [1, 3]))).stds.data;
      assert.ok(
        stds.every((std) => std < 0.02),
        "log-std starts at log 0.01",
      );
      const other = await fresh.train({ pairs: 100, preset: "official", epochs: 1, batchSize: 45, seed: 1 });
      assert.deepEqual([other.epochs, other.steps], [1, 2]);
    });

    it("starts anew each time, and keeps the translator it had when it fails or is aborted", async () => {
      using fresh = await create({ seed: 1 });
      await fresh.train(settings);
      const first = bits(fresh.translator!.native.values());
      const controller = new AbortController();
      const running = fresh.train({
        ...settings,
        epochs: 1000,
        signal: controller.signal,
        onProgress: (p) => p.phase === "train" && controller.abort(new Error("enough")),
      });
      const error = await rejects(running, "ERR_ABORTED", /train/);
      assert.equal((error.cause as Error).message, "enough");
      assert.equal(bits(fresh.translator!.native.values()), first);
      await rejects(fresh.train({ ...settings, learningRate: 1e30, clip: 0 }), "ERR_DIVERGED");
      assert.equal(bits(fresh.translator!.native.values()), first);
      await assert.rejects(
        fresh.train({
          ...settings,
          onProgress: () => {
            throw new RangeError("mine");
          },
        }),
        new RangeError("mine"),
      );
      await fresh.sample({ class: 0 });
      const { translators, trainers } = native().counters();
      await fresh.train(settings);
      assert.equal(bits(fresh.translator!.native.values()), first);
      const { counters } = native();
      assert.deepEqual(
        [counters().translators, counters().trainers],
        [translators, trainers],
        "the old one is freed",
      );
    });

    it("trains on the Tr0n's seed unless told another", async () => {
      using one = await create({ seed: 3 });
      const report = await one.train({ ...settings, seed: undefined });
      assert.equal(report.seed, 3);
      assert.equal(bits(one.translator!.native.values()), bits(tr0n.translator!.native.values()));
      using random = await create();
      assert.notEqual((await random.train({ pairs: 100, epochs: 1 })).seed, 3);
    });

    it("takes conditions from another model or a function", async () => {
      const pairEncoder = await loadModel(tinyEncoder({ scale: 2, last: "Softmax", output: "p" }));
      using same = await create({ pairEncoder });
      await same.train(settings);
      close(same.translator!.native.values(), tr0n.translator!.native.values(), 1e-3);
      let calls = 0;
      using called = await create({
        pairEncoder: async (images) => {
          calls++;
          const { p } = await pairEncoder.run(images);
          return p!;
        },
      });
      await called.train({ ...settings, pairs: 2000 });
      assert.equal(calls, Math.ceil(2000 / 64));
      close(called.translator!.native.values(), tr0n.translator!.native.values(), 1e-3);
      pairEncoder[Symbol.dispose]();
    });

    it("says what is wrong with a pair encoder's result", async () => {
      const results: [unknown, "ERR_INVALID_ARGUMENT" | "ERR_SHAPE_MISMATCH", RegExp][] = [
        [
          undefined,
          "ERR_INVALID_ARGUMENT",
          /pairEncoder's result: expected a Tensor \[64, 3\], got undefined/,
        ],
        [tensor([1, 0, 0], [1, 3]), "ERR_SHAPE_MISMATCH", /expected the shape \[64, 3\].* got \[1, 3\]/],
        [
          tensor(new Float32Array(192), [64, 3]),
          "ERR_INVALID_ARGUMENT",
          /row 0: expected probabilities that sum to 1/,
        ],
        [
          tensor(new Float32Array(192).fill(Number.NaN), [64, 3]),
          "ERR_INVALID_ARGUMENT",
          /finite numbers, got NaN/,
        ],
      ];
      for (const [result, code, message] of results) {
        using fresh = await create({ pairEncoder: async () => wrong(result) });
        await rejects(fresh.train({ pairs: 100 }), code, message);
      }
      using throwing = await create({ pairEncoder: () => Promise.reject(new RangeError("mine")) });
      await assert.rejects(throwing.train({ pairs: 100 }), new RangeError("mine"));
    });

    it("checks its options", async () => {
      const bad: [object, RegExp][] = [
        [{ pairs: 0 }, /pairs: expected an integer ≥ 20/],
        [{ pairs: -5 }, /pairs/],
        [{ pairs: "" }, /pairs/],
        [{ pairs: [] }, /pairs: expected an integer ≥ 20 and ≤ 4294967295 or a path, got/],
        [{ epochs: 0 }, /epochs/],
        [{ batchSize: 1.5 }, /batchSize/],
        [{ learningRate: 0 }, /learningRate/],
        [{ alpha: Number.NaN }, /alpha/],
        [{ preset: "fast" }, /preset: expected one of/],
        [{ checkpoint: 1 }, /checkpoint/],
        [{ onProgress: 1 }, /onProgress/],
        [{ signal: {} }, /signal: expected an AbortSignal/],
        [{ lr: 1 }, /unknown option "lr"/],
      ];
      for (const [options, message] of bad)
        await rejects(tr0n.train(options), "ERR_INVALID_ARGUMENT", message);
      await rejects(
        tr0n.train({ pairs: 4e9 }),
        "ERR_OUT_OF_MEMORY",
        /pairs: 4000000000 pairs: needs about \d+ GB/,
      );
      await rejects(tr0n.train({ pairs: "/nowhere/at/all" }), "ERR_IO", /no manifest.json/);
    });
  });

  describe("sample", () => {
    it("gives images, latents and energies that belong together", async () => {
      const samples = await tr0n.sample({ class: [2, 0] }, { count: 5, seed: 7 });
      assert.deepEqual(
        [samples.images.shape, samples.latents.shape, samples.energies.length],
        [[10, 3, 4, 4], [10, 6], 10],
      );
      assert.equal(samples.seed, 7);
      assert.equal(bits((await tr0n.generate(samples.latents)).data), bits(samples.images.data));
      const p = (await tr0n.encode(samples.latents)).data;
      close(
        samples.energies,
        Array.from({ length: 10 }, (_, i) => -Math.log(p[3 * i + (i < 5 ? 2 : 0)]!)),
        1e-4,
      );
      assert.deepEqual([samples.ess.length, samples.candidates.length, samples.acceptance.length], [2, 2, 2]);
      assert.ok(samples.ess.every((x) => x >= 1 && x <= 256));
      assert.ok(samples.acceptance.every((x) => x > 0 && x <= 1));
      assert.ok(samples.evaluations.forwards >= 160);
      assert.equal(samples.evaluations.gradients, 10 * 5);
    });

    it("obeys its condition", async () => {
      const share = async (s: Sampler): Promise<number> => {
        const { latents } = await tr0n.sample({ class: 1 }, { count: 200, seed: 1, sampler: s });
        const p = (await tr0n.encode(latents)).data;
        return Array.from({ length: 200 }, (_, i) => p[3 * i + 1]!).reduce((a, b) => a + b) / 200;
      };
      const prior = await share(sampler.direct({ start: "prior" }));
      const resampled = await share(sampler.resample());
      const faithful = await share(sampler.resample({ fidelity: 10 }));
      assert.ok(prior < 0.6, `prior ${prior}`);
      assert.ok(resampled > prior + 0.2, `resampled ${resampled}`);
      assert.ok(faithful > 0.97, `fidelity 10 ${faithful}`);
    });

    const recipes: [string, Sampler][] = [
      ["resample", sampler.resample()],
      ["resample alone", sampler.resample({ steps: 0 })],
      ["mala", sampler.mala({ steps: 3 })],
      ["langevin", sampler.langevin({ steps: 3 })],
      ["hybrid", sampler.hybrid({ steps: 3 })],
      ["direct", sampler.direct()],
    ];
    for (const [name, chosen] of recipes)
      it(`${name}: the same bits alone and in a crowd, for any number of threads and rows a run`, async () => {
        const options = { seed: 11, sampler: chosen };
        const whole = await tr0n.sample({ class: [0, 1, 0, 2] }, { count: 37, ...options });
        const part = (b: number, count: number) =>
          bits(whole.latents.data.slice(b * 37 * 6, (b * 37 + count) * 6));
        for (const [b, c] of [
          [0, 0],
          [1, 1],
          [3, 2],
        ] as const) {
          const alone = await tr0n.sample({ class: c }, { count: 5, ...options });
          assert.equal(bits(alone.latents.data), part(b, 5), `class ${c}`);
          assert.equal(bits(alone.energies), bits(whole.energies.slice(b * 37, b * 37 + 5)));
        }
        const twice = await tr0n.sample({ class: [0, 0] }, { count: 5, ...options });
        assert.equal(bits(twice.latents.data.slice(5 * 6)), part(2, 5), "the second of two equal conditions");
        if (name !== "hybrid") assert.notEqual(part(0, 5), part(2, 5), "equal conditions differ");
        const threads = native().threads();
        try {
          native().setThreads(threads === 1 ? 2 : 1);
          const again = await tr0n.sample({ class: [0, 1, 0, 2] }, { count: 37, ...options });
          assert.equal(bits(again.latents.data), bits(whole.latents.data), "threads");
          assert.equal(bits(again.images.data), bits(whole.images.data), "threads");
        } finally {
          native().setThreads(threads);
        }
        using narrow = await create({ seed: 1, maxBatch: 5 });
        await narrow.train(settings);
        const blocks = await narrow.sample({ class: 1 }, { count: 5, ...options });
        assert.equal(bits(blocks.latents.data), part(1, 5), "maxBatch");
      });

    it("draws and returns a seed where none is given", async () => {
      const first = await tr0n.sample({ class: 1 }, { count: 2, steps: 0 });
      const second = await tr0n.sample({ class: 1 }, { count: 2, steps: 0 });
      assert.notEqual(first.seed, second.seed);
      const again = await tr0n.sample({ class: 1 }, { count: 2, steps: 0, seed: first.seed });
      assert.equal(bits(again.latents.data), bits(first.latents.data));
    });

    it("starts from the prior without a translator, and says so where it needs one", async () => {
      using untrained = await create();
      const { latents } = await untrained.sample(
        { class: 1 },
        { count: 3, sampler: sampler.mala({ start: "prior", steps: 2 }) },
      );
      assert.deepEqual(latents.shape, [3, 6]);
      await rejects(untrained.sample({ class: 1 }), "ERR_NOT_TRAINED", /call train\(\)/);
      await rejects(untrained.save("t.safetensors"), "ERR_NOT_TRAINED");
    });

    it("reports each step, with the energies of that step", async () => {
      const seen: [number, number][] = [];
      let last: Float32Array = new Float32Array(0);
      const onProgress = (p: SampleProgress): void => {
        seen.push([p.step, p.steps]);
        last = p.energies;
      };
      const samples = await tr0n.sample({ class: 1 }, { count: 3, steps: 3, seed: 1, onProgress });
      assert.deepEqual(seen, [
        [0, 3],
        [1, 3],
        [2, 3],
        [3, 3],
      ]);
      assert.equal(bits(last), bits(samples.energies));
    });

    it("warns where the candidates do not suffice at the cap", async () => {
      const poor = sampler.resample({ candidates: 2, maxCandidates: 4, minEss: 4, steps: 0 });
      const { warnings, candidates } = await tr0n.sample(
        { class: [0, 1] },
        { count: 20, seed: 1, sampler: poor },
      );
      assert.deepEqual([...candidates], [4, 4]);
      assert.equal(warnings.length, 2);
      assert.match(warnings[1]!, /condition 1: the effective sample size is .* of 4 candidates, below 4/);
      assert.deepEqual((await tr0n.sample({ class: 0 }, { count: 20, seed: 1, steps: 0 })).warnings, []);
    });

    it("stops when aborted, at once where the signal has fired, and leaves no listener", async () => {
      const { controller, listeners } = countingController();
      const { signal } = controller;
      await tr0n.sample({ class: 1 }, { signal });
      assert.equal(listeners(), 0);
      const endless = { count: 50, steps: 1_000_000, signal };
      const running = tr0n.sample({ class: 1 }, endless);
      setTimeout(() => controller.abort(new Error("enough")), 50);
      const error = await rejects(running, "ERR_ABORTED", /sample was aborted/);
      assert.equal((error.cause as Error).message, "enough");
      assert.equal(error.name, "AbortError");
      assert.equal(listeners(), 0);
      await rejects(tr0n.sample({ class: 1 }, endless), "ERR_ABORTED");
      assert.equal((await tr0n.sample({ class: 1 })).energies.length, 1, "it works on");
      assert.equal(native().counters().jobs, 0);
    });

    it("throws on what a progress callback throws", async () => {
      const onProgress = (): void => {
        throw new RangeError("mine");
      };
      await assert.rejects(
        tr0n.sample({ class: 1 }, { steps: 1_000_000, onProgress }),
        new RangeError("mine"),
      );
    });

    it("checks its arguments before anything is allocated", async () => {
      const bad: [unknown, object, "ERR_INVALID_ARGUMENT" | "ERR_OUT_OF_MEMORY", RegExp][] = [
        [{ class: 3 }, {}, "ERR_INVALID_ARGUMENT", /0 … 2/],
        [{ class: [] }, {}, "ERR_INVALID_ARGUMENT", /at least one class/],
        [undefined, {}, "ERR_INVALID_ARGUMENT", /condition/],
        [{ class: 1 }, { count: 0 }, "ERR_INVALID_ARGUMENT", /count: expected an integer ≥ 1.*, got 0/],
        [{ class: 1 }, { count: 2.5 }, "ERR_INVALID_ARGUMENT", /count/],
        [
          { class: 1 },
          { count: 1e9 },
          "ERR_OUT_OF_MEMORY",
          /1 × 1000000000 samples: needs about \d+ GB.* has [\d.]+ GB/,
        ],
        [{ class: 1 }, { steps: -1 }, "ERR_INVALID_ARGUMENT", /steps/],
        [{ class: 1 }, { sampler: "mala" }, "ERR_INVALID_ARGUMENT", /sampler/],
        [{ class: 1 }, { seed: 0.1 }, "ERR_INVALID_ARGUMENT", /seed/],
        [{ class: 1 }, { cuont: 1 }, "ERR_INVALID_ARGUMENT", /unknown option "cuont"/],
        [{ class: 1 }, { signal: 1 }, "ERR_INVALID_ARGUMENT", /signal/],
        [{ class: 1 }, { onProgress: 1 }, "ERR_INVALID_ARGUMENT", /onProgress/],
      ];
      for (const [condition, options, code, message] of bad)
        await rejects(tr0n.sample(wrong(condition), options), code, message);
    });

    it("says which chain diverged at which step", async () => {
      const wild = sampler.langevin({ learningRate: 1e30, clip: 0, noise: 1e38, momentum: 0.9 });
      await rejects(
        tr0n.sample({ class: 1 }, { count: 2, steps: 200, sampler: wild }),
        "ERR_DIVERGED",
        /step \d+ in chain \d/,
      );
    });

    it("runs several at once", async () => {
      const one = await tr0n.sample({ class: 1 }, { count: 4, seed: 1 });
      const many = await Promise.all([1, 2, 1].map((seed) => tr0n.sample({ class: 1 }, { count: 4, seed })));
      assert.equal(bits(many[0]!.latents.data), bits(one.latents.data));
      assert.equal(bits(many[2]!.latents.data), bits(one.latents.data));
      assert.notEqual(bits(many[1]!.latents.data), bits(one.latents.data));
    });
  });

  describe("sampleSteps", () => {
    const collect = async (options: object): Promise<SampleStep[]> => {
      const steps: SampleStep[] = [];
      for await (const step of tr0n.sampleSteps({ class: [0, 1] }, { count: 2, seed: 5, ...options }))
        steps.push(step);
      return steps;
    };

    it("gives the run of sample() step by step, images every `every` steps and at the last", async () => {
      const samples = await tr0n.sample({ class: [0, 1] }, { count: 2, seed: 5, steps: 5 });
      const steps = await collect({ steps: 5, every: 2 });
      assert.deepEqual(
        steps.map((s) => s.step),
        [0, 1, 2, 3, 4, 5],
      );
      assert.deepEqual(
        steps.map((s) => s.images?.shape.length ?? 0),
        [4, 0, 4, 0, 4, 4],
      );
      assert.ok(
        steps.every(
          (s) => s.steps === 5 && s.seed === 5 && s.energies.length === 4 && !s.images === !s.latents,
        ),
      );
      const last = steps.at(-1)!;
      assert.equal(bits(last.latents!.data), bits(samples.latents.data));
      assert.equal(bits(last.images!.data), bits(samples.images.data));
      assert.equal(bits(last.energies), bits(samples.energies));
      for (const { latents, images, energies } of steps)
        if (latents) {
          assert.equal(bits((await tr0n.generate(latents)).data), bits(images!.data));
          const p = (await tr0n.encode(latents)).data;
          close(
            energies,
            [p[0]!, p[3]!, p[7]!, p[10]!].map((x) => -Math.log(x)),
            1e-4,
          );
        }
      assert.deepEqual(
        (await collect({ steps: 3 })).map((s) => s.images !== undefined),
        [false, false, false, true],
      );
      assert.deepEqual(
        (await collect({ steps: 0, every: 1 })).map((s) => s.step),
        [0],
      );
      assert.deepEqual(
        (await collect({ sampler: sampler.hybrid({ steps: 3 }) })).map((s) => s.step),
        [0, 1, 2, 3],
      );
    });

    it("returns the samples at its end", async () => {
      const iterator = tr0n.sampleSteps({ class: 1 }, { steps: 2, seed: 5 });
      let next = await iterator.next();
      while (!next.done) next = await iterator.next();
      assert.equal(next.value.seed, 5);
      assert.equal(next.value.images.shape[0], 1);
    });

    it("cancels the run when the loop is left, and does nothing before it is entered", async () => {
      tr0n.sampleSteps({ class: 1 }, { steps: 1_000_000 });
      assert.equal(native().counters().jobs, 0);
      for await (const { step } of tr0n.sampleSteps({ class: 1 }, { count: 10, steps: 1_000_000 }))
        if (step === 2) break;
      for (let i = 0; i < 100 && native().counters().jobs > 0; i++)
        await new Promise((resolve) => setTimeout(resolve, 10));
      assert.equal(native().counters().jobs, 0);
    });

    it("rejects when aborted, and on bad arguments at the first step", async () => {
      const controller = new AbortController();
      const run = async (): Promise<void> => {
        for await (const { step } of tr0n.sampleSteps(
          { class: 1 },
          { steps: 1_000_000, signal: controller.signal },
        ))
          if (step === 3) controller.abort("enough");
      };
      assert.equal((await rejects(run(), "ERR_ABORTED")).cause, "enough");
      await rejects(tr0n.sampleSteps({ class: 9 }).next(), "ERR_INVALID_ARGUMENT");
      await rejects(tr0n.sampleSteps({ class: 1 }, { every: 0 }).next(), "ERR_INVALID_ARGUMENT", /every/);
    });
  });

  describe("interpolate", () => {
    it("samples along the way with the same noise at each point", async () => {
      const samples = await tr0n.interpolate(
        { class: 0 },
        { class: 2 },
        { points: 3, count: 2, seed: 4, steps: 1 },
      );
      assert.deepEqual(samples.images.shape, [6, 3, 4, 4]);
      const middle = await tr0n.sample(tensor([0.5, 0, 0.5], [3]), { count: 2, seed: 4, steps: 1 });
      assert.equal(bits(samples.latents.data.slice(12, 24)), bits(middle.latents.data));
      assert.equal((await tr0n.interpolate({ class: 0 }, { class: 2 }, { steps: 0 })).energies.length, 9);
    });

    it("takes single conditions only", async () => {
      await rejects(
        tr0n.interpolate({ class: [0, 1] }, { class: 2 }),
        "ERR_INVALID_ARGUMENT",
        /from: expected one condition, got 2/,
      );
      await rejects(tr0n.interpolate({ class: 0 }, { class: 7 }), "ERR_INVALID_ARGUMENT", /to.class/);
      await rejects(
        tr0n.interpolate({ class: 0 }, { class: 1 }, { points: 0 }),
        "ERR_INVALID_ARGUMENT",
        /points/,
      );
    });
  });

  describe("other energies", () => {
    it("cosine: conditions of any length give the same chains", async () => {
      using cosine = await create({ energy: energy.sum([energy.cosine(), 5]) });
      await cosine.train(settings);
      assert.equal(cosine.conditionKind, "unit");
      const options = { count: 20, seed: 1, sampler: sampler.resample({ fidelity: 10 }) };
      const a = await cosine.sample(tensor([1, -2, 0.5], [3]), options);
      const b = await cosine.sample({ embedding: tensor([10, -20, 5], [1, 3]) }, options);
      close(a.latents.data, b.latents.data, 1e-4);
      const near = a.energies.reduce((p, q) => p + q) / 20;
      assert.ok(near < -4, `mean of −5 cos: ${near}`);
      await rejects(cosine.sample({ class: 1 }), "ERR_INVALID_ARGUMENT", /classes need/);
    });

    it("squaredError, with stages in between and a uniform latent", async () => {
      using squared = await create({
        energy: energy.squaredError(),
        preprocess: [stage.clamp(-0.9, 0.9), stage.affine(1.1, 0.1)],
        latent: { kind: "uniform", dim: 6, low: -1, high: 1 },
      });
      await squared.train(settings);
      const target = await squared.encode(tensor([0.3, -0.2, 0.5, 0.1, -0.4, 0.2], [1, 6]));
      const { energies, latents } = await squared.sample(target, {
        count: 20,
        seed: 1,
        sampler: sampler.resample({ fidelity: 10 }),
      });
      assert.ok(
        latents.data.every((z) => Math.abs(z) <= 1),
        "inside the prior's support",
      );
      assert.ok(energies.reduce((p, q) => p + q) / 20 < 1, `${energies}`);
    });
  });

  describe("dispose", () => {
    it("cancels what runs; `await using` waits for it", async () => {
      const failures: unknown[] = [];
      {
        await using passing = await create();
        await passing.train(settings);
        passing.sample({ class: 1 }, { steps: 1_000_000 }).catch((error: unknown) => failures.push(error));
        passing.train({ ...settings, epochs: 1_000_000 }).catch((error: unknown) => failures.push(error));
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      await new Promise((resolve) => setTimeout(resolve, 0));
      assert.deepEqual(
        failures.map((error) => (error as { code: string }).code),
        ["ERR_DISPOSED", "ERR_DISPOSED"],
      );
      assert.equal(native().counters().jobs, 0);
      assert.equal(
        (await generator.run(tensor(new Float32Array(6), [1, 6])))["image"]!.data.length,
        48,
        "models stay",
      );
    });
  });

  it("is not kept waiting by an iteration that nobody goes on with", async () => {
    await using passing = await create();
    const iterator = passing.sampleSteps(
      { class: 1 },
      { steps: 1_000_000, sampler: sampler.mala({ start: "prior" }) },
    );
    assert.equal((await iterator.next()).done, false);
    passing.dispose();
    await rejects(drain(iterator), "ERR_DISPOSED");
    const abandoned = (await create()) as Tr0n;
    await abandoned
      .sampleSteps({ class: 1 }, { steps: 1_000_000, sampler: sampler.mala({ start: "prior" }) })
      .next();
    await abandoned[Symbol.asyncDispose]();
    assert.equal(native().counters().jobs, 0);
  });

  it("draws from the prior by seed, any part of the list alone", async () => {
    const all = await tr0n.drawPrior(10, { seed: 3 });
    assert.equal(bits((await tr0n.drawPrior(4, { seed: 3, first: 6 })).data), bits(all.data.slice(36)));
    await rejects(tr0n.drawPrior(0), "ERR_INVALID_ARGUMENT", /count/);
    await rejects(tr0n.generate(tensor([1, 2], [1, 2])), "ERR_SHAPE_MISMATCH", /\[n, 6\]/);
    await rejects(tr0n.encode(tensor([], [0, 6])), "ERR_INVALID_ARGUMENT", /at least one row/);
  });
});
