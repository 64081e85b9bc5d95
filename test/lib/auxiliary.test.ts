/** A group of a latent that the translator regresses: its loss, where chains start, what samples are, files and errors. */
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  AbortError,
  Tr0n,
  Translator,
  energy,
  latent,
  loadModel,
  sampler,
  tensor,
  type Device,
  type Latent,
  type Model,
  type Sampler,
  type Tensor,
} from "../../lib/index.js";
import { drawPairs } from "../../lib/training/pairs.js";
import { readWholeFile } from "../../lib/base/read-file.js";
import { decodeSafetensors, encodeSafetensors } from "../../lib/base/safetensors.js";
import { writeFile } from "node:fs/promises";
import { onDevices } from "../support/devices.js";
import { a, bMatrix, flatEncoder, layered, twoInputs } from "../support/latents.js";
import { assertPosterior, posterior } from "../support/posterior.js";
import { close, rejects, withFolder } from "../support/tiny.js";
import { numbers } from "../support/numbers.js";

const c = [0.5, -1, 0.75];
const condition = { embedding: tensor(c, [1, 3]) };
const table = tensor(numbers(9, 12), [4, 3]);
const normals = latent.product({ z: latent.normal(2), y: latent.normal(3, { std: 0.5 }) });
/** y first, as rows of a table; z within ±2, as BigGAN's. */
const bigGan = latent.product({ y: latent.table(table), z: latent.truncatedNormal(2, 2) });

/** Columns begin … end − 1 of rows. */
function columns({ data, shape }: Tensor, begin: number, end: number): Float32Array {
  const [n, d] = shape as [number, number];
  return Float32Array.from({ length: n * (end - begin) }, (_, i) => {
    const row = Math.floor(i / (end - begin));
    return data[row * d + begin + (i % (end - begin))]!;
  });
}

let generator: Model;
let encoder: Model;
before(async () => {
  generator = await loadModel(twoInputs());
  encoder = await loadModel(flatEncoder());
});
after(() => {
  generator[Symbol.dispose]();
  encoder[Symbol.dispose]();
});
function create(prior: Latent, translator = {}, rest = {}): Promise<Tr0n> {
  return Tr0n.create({
    generator,
    encoder,
    latent: prior,
    energy: energy.squaredError(),
    translator: { auxiliary: "y", ...translator },
    device: "cpu",
    seed: 3,
    ...rest,
  });
}

describe("a latent's auxiliary group", function () {
  this.timeout(120_000);

  it("is trained by the paper's loss: alpha·NLL of z, and the mean squared error of y", async () => {
    using tr0n = await create(bigGan);
    const report = await tr0n.train({ preset: "official", pairs: 200, heldOut: 40, epochs: 2, seed: 5 });
    const { z: latents, c: conditions } = await drawPairs(tr0n.objective, 5, 0, 200);
    const all = { data: latents, shape: [200, 5] };
    const rows = (data: Float32Array, width: number, from: number, to: number): Tensor => ({
      data: data.slice(from * width, to * width),
      shape: [to - from, width],
    });
    const [y, z] = [columns(all, 0, 3), columns(all, 3, 5)];
    using own = new Translator({
      condition: 3,
      latent: 2,
      auxiliary: 3,
      bound: 2,
      initialLogStd: Math.log(0.01),
      seed: 5,
      device: "cpu",
    });
    using trainer = own.trainer({
      z: rows(z, 2, 0, 160),
      y: rows(y, 3, 0, 160),
      c: rows(conditions, 3, 0, 160),
      epochs: 2,
      batchSize: 16,
      learningRate: 1e-4,
      alpha: 1e-4,
      seed: 5,
    });
    await trainer.run();
    assert.deepEqual(tr0n.translator!.values(), own.values());
    assert.equal(tr0n.translator!.auxiliary, 3);
    assert.equal(tr0n.latentSize, 5);
    // What the report says about the pairs held out.
    const [heldZ, heldC] = [rows(z, 2, 160, 200), rows(conditions, 3, 160, 200)];
    const heldY = rows(y, 3, 160, 200);
    const { loss } = await own.loss(heldZ, heldC, { y: heldY, alpha: 1e-4 });
    assert.ok(Math.abs(report.heldOutLoss - loss) < 1e-5 * Math.abs(loss));
    const nll = (await own.logProb(heldZ, heldC)).reduce((sum, log) => sum - log / 40, 0);
    assert.ok(Math.abs(report.heldOutNll - nll) < 1e-4 * Math.abs(nll));
    const head = (await own.forward(heldC)).y!.data;
    const error = head.reduce((sum, v, i) => sum + (v - heldY.data[i]!) ** 2 / head.length, 0);
    assert.ok(Math.abs(report.heldOutAuxiliary - error) < 1e-5 * error);
    assert.equal(
      report.priorEntropy,
      new Array(2).fill(0).reduce<number>((sum) => sum + report.priorEntropy / 2, 0),
    );
  });

  it("has as much to say as z: alpha is 2v/n by default", async () => {
    const losses: number[] = [];
    for (const options of [{}, { alpha: (2 * 0.25) / 3 }, { alpha: 1 }]) {
      using tr0n = await create(normals);
      const report = await tr0n.train({ pairs: 10_000, ...options });
      losses.push(report.heldOutLoss);
      assert.ok(report.gap < 0 && report.heldOutAuxiliary < 0.25, "y's variance is 0.25");
    }
    assert.equal(losses[0], losses[1]);
    assert.notEqual(losses[0], losses[2]);
    for (const [loss, other] of [
      ["mse", (0.25 / 3) * 2],
      ["cosine", 1],
    ] as const) {
      const seen: number[] = [];
      for (const options of [{}, { alpha: other }]) {
        using tr0n = await create(normals, {}, loss === "cosine" ? { energy: energy.cosine() } : {});
        seen.push((await tr0n.train({ pairs: 200, epochs: 1, loss, ...options })).trainLoss);
      }
      assert.equal(seen[0], seen[1]);
    }
  });

  it("is sampled with the rest: resampling has the exact posterior", async () => {
    for (const calibrate of [false, true]) {
      using tr0n = await create(normals);
      await tr0n.train({ pairs: 8000, epochs: 4, calibrate });
      const exact = posterior([...a, ...bMatrix], [0, 0, 0, 0, 0], [1, 1, 0.5, 0.5, 0.5], c);
      for (const chosen of [
        sampler.resample({ candidates: 128, steps: 0 }),
        sampler.resample({ candidates: 32, steps: 6 }),
      ]) {
        const samples = await tr0n.sample(condition, { count: 4000, seed: 1, sampler: chosen });
        assertPosterior(samples, exact);
        assert.ok(samples.ess[0]! > 4);
      }
    }
  });

  it("starts at its head's output, wherever it lies, and moves by Adam", async () => {
    for (const prior of [bigGan, normals]) {
      const begin = prior === bigGan ? 0 : 2;
      using tr0n = await create(prior);
      await tr0n.train({ pairs: 500, epochs: 2 });
      const { y, means } = await tr0n.translator!.forward(tensor(c, [1, 3]));
      if (prior === bigGan)
        assert.ok(
          means.data.every((v) => Math.abs(v) <= 2),
          "z's bound",
        );
      const three = Float32Array.from({ length: 9 }, (_, i) => y!.data[i % 3]!);
      const options = { count: 3, seed: 4 };
      for (const chosen of [
        sampler.direct(),
        sampler.direct({ start: "mode" }),
        sampler.hybrid(),
        sampler.langevin(),
        sampler.mala(),
      ]) {
        const steps = chosen.kind === "direct" ? undefined : 0;
        const { latents } = await tr0n.sample(condition, { ...options, sampler: chosen, steps });
        assert.deepEqual(columns(latents, begin, begin + 3), three, chosen.kind);
      }
      for (const kind of ["hybrid", "langevin"] as const) {
        const one = await tr0n.sample(condition, { ...options, sampler: sampler[kind](), steps: 1 });
        const moved = columns(one.latents, begin, begin + 3).map((v, i) => Math.abs(v - three[i]!));
        close(moved, new Float32Array(9).fill(5e-3), 1e-5, kind);
        const groups = { y: { rule: "fixed" } } as const;
        const held = await tr0n.sample(condition, {
          ...options,
          sampler: sampler[kind]({ groups }),
          steps: 5,
        });
        assert.deepEqual(columns(held.latents, begin, begin + 3), three);
      }
      const from = await tr0n.sample(condition, { ...options, sampler: sampler.hybrid(), steps: 0 });
      const to = await tr0n.sample(condition, {
        ...options,
        sampler: sampler.hybrid({ noise: 0 }),
        steps: 60,
      });
      assert.ok(to.energies.every((e, i) => e < from.energies[i]!));
    }
  });

  it("gives the same chains for a seed however they are asked for", async () => {
    using tr0n = await create(bigGan);
    await tr0n.train({ pairs: 500, epochs: 1 });
    const other = tensor([-0.25, 0.5, 1], [1, 3]);
    const both = tensor([...c, ...other.data], [2, 3]);
    for (const chosen of [
      sampler.resample(),
      sampler.resample({ rounds: 2, steps: 2, adapt: "pilot" }),
      sampler.mala(),
      sampler.langevin({ steps: 5 }),
      sampler.hybrid({ steps: 5 }),
      sampler.direct(),
    ]) {
      const options = { seed: 6, sampler: chosen };
      const whole = await tr0n.sample({ embedding: both }, { ...options, count: 6 });
      const few = await tr0n.sample({ embedding: both }, { ...options, count: 2 });
      const second = await tr0n.sample({ embedding: other }, { ...options, count: 6 });
      assert.deepEqual(few.latents.data.slice(0, 10), whole.latents.data.slice(0, 10));
      assert.deepEqual(few.latents.data.slice(10), whole.latents.data.slice(30, 40));
      assert.deepEqual(second.latents.data, whole.latents.data.slice(30));
    }
  });

  it("goes with deterministic and cosine training", async () => {
    using point = await create(normals);
    const report = await point.train({ pairs: 10_000, loss: "mse" });
    assert.ok(report.heldOutAuxiliary < 0.25, String(report.heldOutAuxiliary));
    assert.ok(Number.isNaN(report.heldOutNll));
    const { means, y } = await point.translator!.forward(tensor(c, [1, 3]));
    const { latents } = await point.sample(condition, { sampler: sampler.direct(), count: 2 });
    close(latents.data, [...means.data, ...y!.data, ...means.data, ...y!.data], 0);
    assert.ok((await point.sample(condition)).acceptance[0]! > 0);
    await rejects(
      point.sample(condition, { sampler: sampler.resample() }),
      "ERR_INVALID_ARGUMENT",
      /sampler/,
    );

    using tr0n = await create(normals, {}, { energy: energy.cosine() });
    const cosine = await tr0n.train({
      pairs: 2000,
      epochs: 8,
      batchSize: 64,
      learningRate: 1e-2,
      loss: "cosine",
    });
    assert.ok(cosine.validation.at(-1)! < cosine.validation[0]!);
    const start = await tr0n.sample(condition, { sampler: sampler.direct(), count: 200, seed: 1 });
    const prior = await tr0n.sample(condition, {
      sampler: sampler.direct({ start: "prior" }),
      count: 200,
      seed: 1,
    });
    const mean = (values: Float32Array): number => values.reduce((sum, v) => sum + v / values.length, 0);
    const [got, unasked] = [mean(start.energies), mean(prior.energies)];
    assert.ok(got < unasked - 0.3, `${got} against ${unasked}`);
  });

  it("is saved and comes back", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "t.safetensors");
      using tr0n = await create(bigGan);
      const report = await tr0n.train({ pairs: 500, epochs: 1 });
      await tr0n.save(path);
      using loaded = await Tr0n.load(path, { generator, encoder, device: "cpu" });
      assert.deepEqual(loaded.report, report);
      for (const chosen of [sampler.resample(), sampler.hybrid({ steps: 5 })]) {
        const o = { count: 4, seed: 2, sampler: chosen };
        assert.deepEqual(
          (await loaded.sample(condition, o)).latents,
          (await tr0n.sample(condition, o)).latents,
        );
      }
      const again = await loaded.train({ pairs: 500, epochs: 1 });
      assert.equal(again.heldOutAuxiliary, report.heldOutAuxiliary);
      const bytes = await readWholeFile(path);
      using network = Translator.fromSafetensors(bytes);
      assert.deepEqual([network.latent, network.auxiliary], [2, 3]);

      const file = decodeSafetensors(bytes, path);
      const change = async (
        expected: RegExp,
        edit: (tensors: Map<string, Tensor>, translator: Record<string, unknown>) => void,
      ): Promise<void> => {
        const tensors = new Map<string, Tensor>(file.tensors);
        const config = JSON.parse(file.metadata.get("config")!) as { translator: Record<string, unknown> };
        edit(tensors, config.translator);
        const metadata = new Map([...file.metadata, ["config", JSON.stringify(config)]]);
        const changed = join(folder, "changed.safetensors");
        await writeFile(changed, encodeSafetensors(tensors, metadata));
        await rejects(
          Tr0n.load(changed, { generator, encoder, device: "cpu" }),
          "ERR_FILE_INVALID",
          expected,
        );
      };
      await change(/latent was 2, is 5/, (_, translator) => delete translator["auxiliary"]);
      await change(
        /auxiliary: expected one of the latent's groups, y, z, got "x"/,
        (_, t) => (t["auxiliary"] = "x"),
      );
      await change(/auxiliary_stds/, (_, t) => (t["auxiliary"] = "z"));
      await change(/auxiliary_stds/, (tensors) => tensors.delete("latent.auxiliary_stds"));
      await change(/auxiliary_stds: expected finite deviations above 0/, (tensors) =>
        tensors.set("latent.auxiliary_stds", tensor([1, 0, 1], [3])),
      );
      await change(/unknown setting "auxiliaries"/, (_, t) => (t["auxiliaries"] = "y"));
    });
  });

  it("goes on from a checkpoint as if nothing had been", async () => {
    await withFolder(async (folder) => {
      const options = { pairs: 2000, epochs: 4, batchSize: 16, calibrate: true, seed: 8 };
      using whole = await create(bigGan);
      await whole.train(options);
      using cut = await create(bigGan);
      const checkpoint = join(folder, "c.safetensors");
      const stop = new AbortController();
      const stopped = cut.train({
        ...options,
        checkpoint,
        signal: stop.signal,
        onProgress: (p) => p.phase === "train" && p.epoch > 1 && stop.abort(),
      });
      await assert.rejects(stopped, AbortError);
      using other = await create(bigGan, { auxiliary: "z" });
      await rejects(other.train({ ...options, checkpoint }), "ERR_FILE_MISMATCH", /translator was/);
      const report = await cut.train({ ...options, checkpoint });
      assert.deepEqual(cut.translator!.values(), whole.translator!.values());
      assert.deepEqual(report.validation, whole.report!.validation);
    });
  });

  it("must be one of several groups", async () => {
    const fails = (prior: Latent, auxiliary: unknown, expected: RegExp): Promise<unknown> =>
      rejects(create(prior, { auxiliary }), "ERR_INVALID_ARGUMENT", expected);
    await fails(normals, "x", /^translator\.auxiliary: expected one of the latent's groups, z, y, got "x"/);
    await fails(normals, "", /translator\.auxiliary: expected the name of a group/);
    await fails(normals, 1, /translator\.auxiliary: expected the name of a group.*got 1/);
    using single = await loadModel(layered());
    const alone = { generator: single, latent: latent.product({ w: latent.normal(6) }) };
    await rejects(create(normals, { auxiliary: "w" }, alone), "ERR_INVALID_ARGUMENT", /only "w"/);
    await rejects(
      create(normals, {}, { generator: single, latent: latent.normal(6) }),
      "ERR_INVALID_ARGUMENT",
      /translator\.auxiliary: expected none, for the latent is no product/,
    );
  });
});

onDevices("sampling with an auxiliary group", (device: Device) => {
  const samplers: Record<string, Sampler> = {
    direct: sampler.direct(),
    langevin: sampler.langevin({ steps: 4 }),
    hybrid: sampler.hybrid({ steps: 4 }),
    mala: sampler.mala({ steps: 2 }),
    resample: sampler.resample({ steps: 2, candidates: 8, maxCandidates: 8 }),
  };

  it("gives the CPU's numbers, from a translator of the CPU", async function () {
    this.timeout(300_000);
    await withFolder(async (folder) => {
      const path = join(folder, "t.safetensors");
      using tr0n = await create(bigGan, { components: 3, hidden: 8 });
      await tr0n.train({ pairs: 300, epochs: 1 });
      await tr0n.save(path);
      using other = await Tr0n.load(path, { generator, encoder, device });
      for (const [name, chosen] of Object.entries(samplers)) {
        const o = { count: 3, seed: 2, sampler: chosen };
        const expected = await tr0n.sample(condition, o);
        close((await other.sample(condition, o)).latents.data, expected.latents.data, 1e-4, name);
      }
    });
  });

  it("trains to the CPU's translator", async function () {
    this.timeout(300_000);
    const options = { pairs: 60, heldOut: 20, epochs: 1, batchSize: 20, seed: 1 };
    using cpu = await create(bigGan, { components: 3, hidden: 8 });
    const expected = await cpu.train(options);
    using tr0n = await create(bigGan, { components: 3, hidden: 8 }, { device });
    const report = await tr0n.train(options);
    assert.ok(Math.abs(report.heldOutLoss - expected.heldOutLoss) < 1e-4);
    assert.ok(Math.abs(report.heldOutAuxiliary - expected.heldOutAuxiliary) < 1e-5);
    const values = cpu.translator!.values();
    for (const [name, { data }] of Object.entries(tr0n.translator!.values()))
      close(data, values[name]!.data, 1e-3, name);
  });
});
