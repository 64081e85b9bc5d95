import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  Tr0n,
  covarianceOf,
  generatePairs,
  loadModel,
  sampler,
  tensor,
  type Model,
  type TrainOptions,
  type TrainProgress,
  type Tr0nOptions,
} from "../../lib/index.js";
import { moments } from "../../lib/training/calibration.js";
import { readCheckpoint, writeCheckpoint } from "../../lib/training/checkpoint.js";
import { decodeSafetensors, encodeSafetensors } from "../../lib/base/safetensors.js";
import { bits, close, rejects, tinyEncoder, tinyGenerator, withFolder } from "../support/tiny.js";
import { numbers } from "../support/numbers.js";

const settings = { pairs: 600, epochs: 3, batchSize: 32, seed: 3 };

describe("Training", () => {
  let generator: Model;
  let classifier: Model;
  let embedder: Model;
  before(async () => {
    generator = await loadModel(tinyGenerator());
    classifier = await loadModel(tinyEncoder({ scale: 2 }));
    embedder = await loadModel(tinyEncoder({ scale: 2, output: "embedding" }));
  });
  after(() => {
    for (const model of [generator, classifier, embedder]) model[Symbol.dispose]();
  });
  const create = (options: Partial<Tr0nOptions> = {}) =>
    Tr0n.create({ generator, encoder: classifier, seed: 1, ...options });
  const values = (tr0n: Tr0n): string => bits(tr0n.translator!.native.values());

  describe("validation", () => {
    /** A rate at which so small a network soon fits the few pairs it has, and nothing else. */
    const greedy: TrainOptions = {
      pairs: 100,
      epochs: 30,
      batchSize: 8,
      learningRate: 0.03,
      heldOut: 40,
      seed: 3,
    };

    it("keeps the epoch with the smallest held-out loss", async () => {
      using tr0n = await create();
      const seen: TrainProgress[] = [];
      const report = await tr0n.train({ ...greedy, onProgress: (p) => seen.push(p) });
      assert.deepEqual([report.pairs, report.heldOut, report.epochs, report.stopped], [100, 40, 30, false]);
      assert.equal(report.validation.length, 30);
      const best = Math.min(...report.validation);
      assert.equal(report.heldOutLoss, best);
      assert.equal(report.heldOutNll, best);
      assert.equal(report.bestEpoch, report.validation.indexOf(best) + 1);
      assert.ok(report.bestEpoch < 30, "it overfits");
      const last = seen.at(-1)! as TrainProgress & { phase: "train" };
      assert.equal(last.heldOutLoss, report.validation.at(-2));
      // The same as a training whose schedule is the same but which ends there.
      using other = await create();
      const stopped = await other.train({ ...greedy, patience: 30 - report.bestEpoch });
      assert.equal(stopped.bestEpoch, report.bestEpoch);
      assert.equal(values(other), values(tr0n));
    });

    it("stops when nothing gets better for `patience` epochs", async () => {
      using tr0n = await create();
      const report = await tr0n.train({ ...greedy, patience: 3 });
      assert.ok(report.stopped);
      assert.equal(report.epochs, report.bestEpoch + 3);
      assert.equal(report.steps, report.epochs * Math.ceil(60 / 8));
      assert.equal(report.validation.length, report.epochs);
    });

    it("goes on from a checkpoint of a version before kinds and ranges", async () => {
      await withFolder(async (folder) => {
        const checkpoint = join(folder, "c.safetensors");
        const options = { pairs: 200, epochs: 2, seed: 1, checkpoint };
        using tr0n = await create();
        const report = await tr0n.train(options);
        const { settings, ...rest } = (await readCheckpoint(checkpoint))!;
        assert.equal(settings["encoderKind"], "logits");
        delete settings["encoderKind"];
        await writeCheckpoint(checkpoint, { settings, ...rest });
        assert.equal((await tr0n.train(options)).heldOutLoss, report.heldOutLoss);
      });
    });

    it("is the same after a checkpoint, wherever the run was cut", async () => {
      await withFolder(async (folder) => {
        using whole = await create();
        const expected = await whole.train({ ...greedy, patience: 4 });
        for (const cut of [1, 17, (expected.epochs - 1) * 8]) {
          const checkpoint = join(folder, `${cut}.safetensors`);
          const controller = new AbortController();
          using first = await create();
          await rejects(
            first.train({
              ...greedy,
              patience: 4,
              checkpoint,
              checkpointSeconds: 0,
              signal: controller.signal,
              onProgress: (p) => p.phase === "train" && p.done >= cut && controller.abort(),
            }),
            "ERR_ABORTED",
          );
          assert.ok((await readCheckpoint(checkpoint))!.state.step >= cut);
          using second = await create();
          const report = await second.train({ ...greedy, patience: 4, checkpoint });
          assert.equal(values(second), values(whole), `cut at ${cut}`);
          assert.deepEqual(
            [report.validation, report.bestEpoch, report.stopped],
            [expected.validation, expected.bestEpoch, true],
          );
          await rejects(second.train({ ...greedy, checkpoint }), "ERR_FILE_MISMATCH", /patience was 4/);
        }
      });
    });

    it("refuses what leaves nothing to train or to validate on", async () => {
      using tr0n = await create();
      await rejects(
        tr0n.train({ ...settings, heldOut: 600 }),
        "ERR_INVALID_ARGUMENT",
        /heldOut.*fewer than the 600/,
      );
      await rejects(tr0n.train({ ...settings, heldOut: 0 }), "ERR_INVALID_ARGUMENT", /heldOut/);
      await rejects(tr0n.train({ ...settings, patience: 0 }), "ERR_INVALID_ARGUMENT", /patience/);
    });
  });

  describe("calibrate", () => {
    it("has the moments of float64", async () => {
      const rows = numbers(1, 3000).map((x, i) => 1000 * (i % 3) + x * (i % 3));
      const { mean, std } = await moments(rows, 3);
      for (const j of [0, 1, 2]) {
        const column = Array.from({ length: 1000 }, (_, i) => rows[3 * i + j]!);
        const expected = column.reduce((p, q) => p + q) / 1000;
        close([mean[j]!], [expected], 1e-8);
        close([std[j]!], [Math.sqrt(column.reduce((p, q) => p + (q - expected) ** 2, 0) / 1000)], 1e-8);
      }
    });

    for (const bound of [0, 4])
      it(`starts at the latents' mean and deviation${bound ? ", within a bound" : ""}`, async () => {
        await withFolder(async (folder) => {
          // Pairs whose latents have been moved: what a mapping network does to them.
          await generatePairs({ generator, encoder: classifier, folder, count: 600, seed: 4 });
          const file = join(folder, "pairs-00000.safetensors");
          const before = decodeSafetensors(await readFile(file), file);
          const z = before.tensors.get("z")!;
          const moved = { ...z, data: z.data.map((x, i) => 1.5 + 0.1 * (1 + (i % 6)) * x) };
          const bytes = encodeSafetensors(new Map([...before.tensors, ["z", moved]]), before.metadata);
          await writeFile(file, bytes);
          const manifest = JSON.parse(await readFile(join(folder, "manifest.json"), "utf8")) as {
            shards: { bytes: number; sha256: string }[];
          };
          manifest.shards[0]!.bytes = bytes.length;
          manifest.shards[0]!.sha256 = createHash("sha256").update(bytes).digest("hex");
          await writeFile(join(folder, "manifest.json"), JSON.stringify(manifest));
          const start = async (calibrate: boolean) => {
            using tr0n = await create({ translator: { bound } });
            // A rate that moves nothing: what is validated is the start.
            const report = await tr0n.train({
              pairs: folder,
              epochs: 1,
              learningRate: 1e-12,
              calibrate,
              seed: 2,
            });
            const { means, stds } = await tr0n.translator!.forward(tensor([1, 0, 0], [1, 3]));
            return { report, means: means.data, stds: stds.data };
          };
          const calibrated = await start(true);
          const plain = await start(false);
          calibrated.stds.forEach((std, j) =>
            assert.ok(Math.abs(std / (0.1 * (1 + j)) - 1) < 0.15, `std ${std}`),
          );
          calibrated.means.forEach((mean, i) =>
            assert.ok(Math.abs(mean - 1.5) < 2 * 0.1 * (1 + (i % 6)), `mean ${mean}`),
          );
          assert.ok(calibrated.report.heldOutNll < plain.report.heldOutNll - 3);
        });
      });

    it("leaves a given log-std, and survives checkpoints", async () => {
      await withFolder(async (folder) => {
        using tr0n = await create();
        await tr0n.train({ ...settings, epochs: 1, learningRate: 1e-12, calibrate: true, initialLogStd: -1 });
        const { stds } = await tr0n.translator!.forward(tensor([1, 0, 0], [1, 3]));
        close(stds.data, Array(6).fill(Math.exp(-1)), 1e-4);
        using whole = await create();
        await whole.train({ ...settings, calibrate: true });
        const checkpoint = join(folder, "c.safetensors");
        const controller = new AbortController();
        using cut = await create();
        const running = cut.train({
          ...settings,
          calibrate: true,
          checkpoint,
          signal: controller.signal,
          onProgress: (p) => p.phase === "pairs" && p.done === p.total && controller.abort(),
        });
        await rejects(running, "ERR_ABORTED");
        assert.equal((await readCheckpoint(checkpoint))!.state.step, 0);
        await cut.train({ ...settings, calibrate: true, checkpoint });
        assert.equal(values(cut), values(whole));
      });
    });
  });

  describe("condition noise with a covariance of the pairs", () => {
    it("is the covariance of their conditions, times the square of the scale", async () => {
      using fromPairs = await create({
        translator: { conditionNoise: { kind: "covariance", from: "pairs", scale: 0.5 } },
      });
      const report = await fromPairs.train(settings);
      // The same pairs again, in a folder.
      const c = await withFolder(async (folder) => {
        await generatePairs({ generator, encoder: classifier, folder, count: 600, seed: settings.seed });
        const file = join(folder, "pairs-00000.safetensors");
        return decodeSafetensors(await readFile(file), file).tensors.get("c")!;
      });
      const trained = tensor(c.data.slice(0, 540 * 3), [540, 3]);
      const { data, shape } = await covarianceOf(trained);
      using given = await create({
        translator: {
          conditionNoise: {
            kind: "covariance",
            covariance: tensor(
              data.map((x) => 0.25 * x),
              shape,
            ),
          },
        },
      });
      const other = await given.train(settings);
      assert.equal(other.heldOutNll, report.heldOutNll);
      assert.equal(values(given), values(fromPairs));
      using none = await create();
      assert.notEqual((await none.train(settings)).heldOutNll, report.heldOutNll);
    });

    it("is estimated about the mean, and from two rows on", async () => {
      const rows = tensor([1, 10, 3, 14, 5, 12], [3, 2]);
      const { data, shape } = await covarianceOf(rows);
      assert.deepEqual(
        [[...data], shape],
        [
          [4, 2, 2, 4],
          [2, 2],
        ],
      );
      await rejects(covarianceOf(tensor([1, 2], [1, 2])), "ERR_SHAPE_MISMATCH", /at least 2, got \[1, 2\]/);
      await rejects(covarianceOf(tensor([1, NaN], [2, 1])), "ERR_INVALID_ARGUMENT", /rows/);
    });
  });

  describe("loss: mse", () => {
    it("regresses a point, which samplers with a density refuse and others start from", async () => {
      await withFolder(async (folder) => {
        using tr0n = await create();
        const report = await tr0n.train({ ...settings, epochs: 6, loss: "mse" });
        assert.ok(tr0n.translator!.deterministic);
        assert.equal(report.loss, "mse");
        assert.ok(Number.isNaN(report.heldOutNll) && Number.isNaN(report.gap));
        assert.ok(report.heldOutLoss < 1, "a mean is nearer than 0 is to N(0, 1)");
        assert.ok(Math.abs(report.trainLoss - report.heldOutLoss) < 0.2);
        const path = join(folder, "t.safetensors");
        await tr0n.save(path);
        using back = await Tr0n.load(path, { generator, encoder: classifier });
        assert.deepEqual(back.report, report);
        for (const trained of [tr0n, back]) {
          await rejects(
            trained.sample({ class: 1 }, { sampler: sampler.resample() }),
            "ERR_INVALID_ARGUMENT",
            /sampler: resampling.*deterministic/,
          );
          const { means } = await trained.translator!.forward(tensor([0, 1, 0], [1, 3]));
          for (const start of ["translator", "mode"] as const) {
            const { latents } = await trained.sample(
              { class: 1 },
              { count: 2, sampler: sampler.direct({ start }) },
            );
            assert.deepEqual([...latents.data], [...means.data, ...means.data]);
          }
          const moved = await trained.sample({ class: 1 }, { count: 2, seed: 1 });
          assert.ok(moved.acceptance[0]! > 0, "MALA by default");
          assert.notEqual(bits(moved.latents.data.slice(0, 6)), bits(moved.latents.data.slice(6)));
          await trained.sample({ class: 1 }, { sampler: sampler.hybrid({ steps: 2 }) });
        }
        // A later training is not bound to what this one was.
        assert.equal((await back.train({ ...settings, epochs: 1 })).loss, "nll");
        assert.equal(back.translator!.components, 10);
        using three = await create({ translator: { components: 3 } });
        await rejects(
          three.train({ ...settings, loss: "mse" }),
          "ERR_INVALID_ARGUMENT",
          /components: a deterministic translator/,
        );
      });
    });
  });

  describe("loss: cosine", () => {
    const options: TrainOptions = {
      ...settings,
      epochs: 12,
      loss: "cosine",
      temperature: 0.5,
      learningRate: 1e-2,
    };

    it("brings the images' embeddings to the condition, the same however it is cut", async () => {
      await withFolder(async (folder) => {
        using tr0n = await create({ encoder: embedder, translator: { bound: 2 } });
        const report = await tr0n.train(options);
        assert.ok(report.heldOutLoss < -0.7, `held-out −cos ${report.heldOutLoss}`);
        assert.ok(report.heldOutLoss < report.validation[0]!);
        assert.ok(Number.isFinite(report.heldOutNll));
        const checkpoint = join(folder, "c.safetensors");
        const controller = new AbortController();
        using other = await create({ encoder: embedder, translator: { bound: 2 } });
        const running = other.train({
          ...options,
          checkpoint,
          checkpointSeconds: 0,
          signal: controller.signal,
          onProgress: (p) => p.phase === "train" && p.done > 20 && controller.abort(),
        });
        await rejects(running, "ERR_ABORTED");
        assert.deepEqual((await other.train({ ...options, checkpoint })).validation, report.validation);
        assert.equal(values(other), values(tr0n));
      });
    });

    it("is refused where conditions are classes, and its temperature without it", async () => {
      using classes = await create();
      await rejects(classes.train(options), "ERR_INVALID_ARGUMENT", /loss: "cosine".*class probabilities/);
      await rejects(
        classes.train({ ...settings, temperature: 0.5 }),
        "ERR_INVALID_ARGUMENT",
        /temperature.*"cosine" and not "nll"/,
      );
      await rejects(classes.train({ loss: "l1" as never }), "ERR_INVALID_ARGUMENT", /loss/);
    });
  });

  it("keeps the network's settings in the saved file, for the next training", async () => {
    await withFolder(async (folder) => {
      const translator = {
        depth: 2,
        stds: "component",
        components: 3,
        conditionNoise: { kind: "covariance", from: "pairs", scale: 0.3 },
      } as const;
      using tr0n = await create({ translator });
      await tr0n.train(settings);
      const path = join(folder, "t.safetensors");
      await tr0n.save(path);
      using back = await Tr0n.load(path, { generator, encoder: classifier });
      assert.equal(values(back), values(tr0n));
      const sampled = async (t: Tr0n): Promise<string> =>
        bits((await t.sample({ class: 2 }, { count: 3, seed: 5 })).latents.data);
      assert.equal(await sampled(back), await sampled(tr0n));
      await back.train({ ...settings, seed: settings.seed });
      assert.equal(values(back), values(tr0n));
    });
  });

  it("reads files whose tensors have the names of w-space, and writes those of z-space", async () => {
    await withFolder(async (folder) => {
      using tr0n = await create();
      await tr0n.train(settings);
      const [path, former] = [join(folder, "t.safetensors"), join(folder, "w.safetensors")];
      await tr0n.save(path);
      const { tensors, metadata } = decodeSafetensors(await readFile(path), path);
      const config = JSON.parse(metadata.get("config")!) as { translator: Record<string, unknown> };
      config.translator["space"] = "w";
      const renamed = [...tensors].map(([name, value]) => [name.replace(/^z_/, "w_"), value] as const);
      await writeFile(
        former,
        encodeSafetensors(new Map(renamed), new Map(metadata).set("config", JSON.stringify(config))),
      );
      using back = await Tr0n.load(former, { generator, encoder: classifier });
      assert.equal(values(back), values(tr0n));
      await back.save(former);
      const saved = decodeSafetensors(await readFile(former), former);
      assert.deepEqual(saved.tensors, tensors);
      const rewritten = JSON.parse(saved.metadata.get("config")!) as typeof config;
      delete config.translator["space"];
      assert.deepEqual(rewritten.translator, config.translator);
    });
  });

  it("refuses a file with settings that a newer version wrote", async () => {
    await withFolder(async (folder) => {
      using tr0n = await create();
      await tr0n.train(settings);
      const path = join(folder, "t.safetensors");
      await tr0n.save(path);
      const file = decodeSafetensors(await readFile(path), path);
      const config = JSON.parse(file.metadata.get("config")!) as { translator: Record<string, unknown> };
      const rewritten = async (translator: object): Promise<void> => {
        const metadata = new Map([...file.metadata, ["config", JSON.stringify({ ...config, translator })]]);
        await writeFile(path, encodeSafetensors(file.tensors, metadata));
      };
      await rewritten({ ...config.translator, wings: 2 });
      const load = () => Tr0n.load(path, { generator, encoder: classifier });
      await rejects(load(), "ERR_FILE_INVALID", /unknown setting "wings"; a newer tr0n/);
      // What a version without the newer settings wrote.
      const { components, hidden, bound, conditionNoise } = config.translator;
      await rewritten({ components, hidden, bound, conditionNoise });
      using back = await load();
      assert.equal(values(back), values(tr0n));
    });
  });
});
