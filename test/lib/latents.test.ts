/** Latents of several inputs, tables and mapped ones: posteriors against their closed form, files, errors, update rules. */
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  DivergenceError,
  Tr0n,
  Translator,
  energy,
  generatePairs,
  latent,
  sampler,
  tensor,
  type Latent,
  type Model,
} from "../../lib/index.js";
import {
  a,
  bMatrix,
  flatEncoder,
  layered,
  mappingModel,
  scale,
  shift,
  twoInputs,
} from "../support/latents.js";
import { assertPosterior, posterior } from "../support/posterior.js";
import { bits, close, rejects, tinyEncoder, tinyGenerator, withFolder } from "../support/tiny.js";
import { numbers } from "../support/numbers.js";
import { keeper } from "../support/keeper.js";

describe("latents of several inputs, tables and mapped latents", function () {
  this.timeout(120_000);
  let encoder: Model;
  const { load: open, closeAll } = keeper();
  before(async () => {
    encoder = await open(flatEncoder());
  });
  after(closeAll);
  const create = (generator: Model, prior: Latent, rest = {}): Promise<Tr0n> =>
    Tr0n.create({
      generator,
      encoder,
      latent: prior,
      energy: energy.squaredError(),
      device: "cpu",
      seed: 3,
      ...rest,
    });
  const condition = { embedding: tensor([0.5, -1, 0.75], [1, 3]) };
  const c = [0.5, -1, 0.75];
  const table = tensor(numbers(9, 12), [4, 3]);

  for (const row of [[6], [6, 1, 1], [3, 2], [1, 2, 3]])
    it(`keeps the shape of the generator's input: [N, ${row.join(", ")}]`, async () => {
      const models = {
        generator: await open(tinyGenerator({ latent: row })),
        encoder: await open(tinyEncoder()),
      };
      using tr0n = await Tr0n.create({ ...models, device: "cpu", seed: 3, encoderKind: "logits" });
      assert.deepEqual([tr0n.latentShape, tr0n.latentSize], [row, 6]);
      const drawn = await tr0n.drawPrior(4, { seed: 2 });
      assert.deepEqual(drawn.shape, [4, ...row]);
      // Numbers lie as in the input; flat rows serve as well.
      const images = await tr0n.generate(drawn);
      const alone = await models.generator.run(drawn);
      close(images.data, alone["image"]!.data, 1e-6);
      assert.equal(bits((await tr0n.generate({ data: drawn.data, shape: [4, 6] })).data), bits(images.data));
      assert.deepEqual(tr0n.splitLatents(drawn)["z"]!.shape, [4, ...row]);
      await rejects(
        tr0n.generate({ data: drawn.data, shape: [4, 2, 3, 1] }),
        "ERR_SHAPE_MISMATCH",
        row.length > 1
          ? /expected the shape \[n, .*\] or \[n, 6\], got \[4, 2, 3, 1\]/
          : /expected the shape \[n, 6\], got/,
      );
      await tr0n.train({ pairs: 64, epochs: 1 });
      const samples = await tr0n.sample({ class: 1 }, { count: 3, steps: 1 });
      assert.deepEqual(samples.latents.shape, [3, ...row]);
      for await (const step of tr0n.sampleSteps({ class: 1 }, { count: 2, steps: 1, every: 1 }))
        assert.deepEqual(step.latents!.shape, [2, ...row]);
    });

  it("large latents have low-rank means, which is told and can be chosen", async () => {
    const rank = (latent: number, more = {}): number => {
      using translator = new Translator({
        condition: 1,
        hidden: 64,
        components: 64,
        latent,
        device: "cpu",
        ...more,
      });
      return translator.rank;
    };
    assert.deepEqual([rank(4096), rank(4097), rank(4097, { rank: 0 }), rank(5, { rank: 4 })], [0, 256, 0, 4]);
    await rejects(
      () => rank(5, { rank: 5 }),
      "ERR_INVALID_ARGUMENT",
      /rank: expected a number below the latent's size 5/,
    );
    const generator = await open(tinyGenerator({ latent: [4097] }));
    const small = { hidden: 64, components: 64 };
    for (const translator of [small, { ...small, rank: 8 }]) {
      using tr0n = await create(generator, latent.normal(4097), {
        encoder: await open(tinyEncoder()),
        energy: energy.crossEntropy(),
        encoderKind: "logits",
        translator,
      });
      for (let twice = 0; twice < 2; twice++) await tr0n.train({ pairs: 32, epochs: 1, batchSize: 16 });
      const told = tr0n.decisions.filter(({ option }) => option === "translator.rank");
      assert.deepEqual(
        told.map(({ value }) => value),
        "rank" in translator ? [] : ["256, means of rank 256 in a latent of 4097 numbers"],
      );
      await withFolder(async (folder) => {
        const path = join(folder, "t.safetensors");
        await tr0n.save(path);
        using back = await Tr0n.load(path, { generator, encoder: await open(tinyEncoder()), device: "cpu" });
        const run = { count: 2, seed: 5, sampler: sampler.resample({ candidates: 4, steps: 1 }) };
        const [before, after] = [await tr0n.sample({ class: 0 }, run), await back.sample({ class: 0 }, run)];
        assert.equal(bits(after.latents.data), bits(before.latents.data));
      });
    }
  });

  it("product: samples have the exact posterior of a linear generator", async () => {
    const prior = latent.product({ z: latent.normal(2), y: latent.normal(3, { std: 0.5 }) });
    using tr0n = await create(await open(twoInputs()), prior);
    assert.equal(tr0n.latentSize, 5);
    const report = await tr0n.train({ pairs: 8000, epochs: 4 });
    assert.ok(report.gap < 0);
    const exact = posterior([...a, ...bMatrix], [0, 0, 0, 0, 0], [1, 1, 0.5, 0.5, 0.5], c);
    const many = { count: 4000, seed: 1 };
    assertPosterior(
      await tr0n.sample(condition, { ...many, sampler: sampler.resample({ candidates: 64, steps: 8 }) }),
      exact,
    );
    const rounds = sampler.resample({ candidates: 32, rounds: 3, steps: 3, adapt: "pilot" });
    const samples = await tr0n.sample(condition, { ...many, sampler: rounds });
    assertPosterior(samples, exact);
    assert.deepEqual(samples.trace.shape, [10, 1]);
    assert.ok(samples.stepSizes[0]! > 0);
    const mean = samples.energies.reduce((sum, e) => sum + e / 4000, 0);
    assert.ok(Math.abs(samples.trace.data.at(-1)! - mean) < 1e-3 * mean);
  });

  it("product: the generator gets the groups as its inputs, with any batch that it was exported for", async () => {
    const prior = latent.product({ y: latent.uniform(3), z: latent.truncatedNormal(2, 1.5) });
    for (const batch of ["batch", 4] as const) {
      const generator = await open(twoInputs(batch));
      using tr0n = await create(generator, prior);
      const latents = await tr0n.drawPrior(8, { seed: 2 });
      for (let i = 0; i < 8; i++) {
        const [y, z] = [latents.data.subarray(5 * i, 5 * i + 3), latents.data.subarray(5 * i + 3, 5 * i + 5)];
        assert.ok(y.every((v) => Math.abs(v) <= 1) && z.every((v) => Math.abs(v) <= 1.5));
      }
      const parts = tr0n.splitLatents(latents);
      assert.deepEqual(parts["z"]!.shape, [8, 2]);
      assert.deepEqual(parts["y"]!.shape, [8, 3, 1]);
      const images = await tr0n.generate(latents);
      for (let i = 0; i < 8; i++)
        for (let k = 0; k < 3; k++) {
          let value = 0;
          for (let j = 0; j < 3; j++) value += latents.data[5 * i + j]! * bMatrix[j]![k]!;
          for (let j = 0; j < 2; j++) value += latents.data[5 * i + 3 + j]! * a[j]![k]!;
          assert.ok(Math.abs(images.data[3 * i + k]! - value) < 1e-5);
        }
    }
  });

  it("mapped: samples have the exact posterior in w, which goes into every layer", async () => {
    const mapping = await open(mappingModel());
    using tr0n = await create(await open(layered()), latent.mapped(mapping, latent.normal(2)));
    assert.equal(tr0n.latentSize, 2);
    await tr0n.train({ pairs: 8000, epochs: 4 });
    const samples = await tr0n.sample(condition, {
      count: 4000,
      seed: 1,
      sampler: sampler.resample({ candidates: 64, steps: 8 }),
    });
    // The prior's moments are estimates from 10,000 draws: a hundredth of a deviation off, which the tolerance holds.
    assertPosterior(
      samples,
      posterior(
        a.map((row) => row.map((v) => 2 * v)),
        shift,
        scale,
        c,
      ),
    );
    const { data } = await tr0n.drawPrior(4000, { seed: 5 });
    for (let j = 0; j < 2; j++) {
      const column = Array.from({ length: 4000 }, (_, i) => data[2 * i + j]!);
      const mean = column.reduce((s, v) => s + v / 4000, 0);
      assert.ok(Math.abs(mean - shift[j]!) < (5 * scale[j]!) / Math.sqrt(4000));
    }
    const tail = await tr0n.drawPrior(3000, { seed: 5, first: 1000 });
    assert.deepEqual(tail.data, data.slice(2000));
  });

  it("table: pairs and starts are its rows; samplers move between them", async () => {
    const prior = latent.product({ z: latent.normal(2), y: latent.table(table) });
    using tr0n = await create(await open(twoInputs()), prior);
    const rows = Array.from({ length: 4 }, (_, r) => table.data.slice(3 * r, 3 * r + 3).join());
    const seen = new Map<string, number>();
    const drawn = await tr0n.drawPrior(4000, { seed: 7 });
    for (let i = 0; i < 4000; i++) {
      const row = drawn.data.slice(5 * i + 2, 5 * i + 5).join();
      seen.set(row, (seen.get(row) ?? 0) + 1);
    }
    assert.deepEqual([...seen.keys()].sort(), rows.sort());
    for (const count of seen.values()) assert.ok(Math.abs(count - 1000) < 5 * Math.sqrt(750));
    await tr0n.train({ pairs: 2000, epochs: 2 });
    const start = sampler.direct({ start: "prior" });
    const twice = tensor([...c, ...c], [2, 3]);
    const direct = await tr0n.sample({ embedding: twice }, { count: 20, seed: 7, sampler: start });
    for (let i = 0; i < 40; i++)
      assert.ok(rows.includes(direct.latents.data.slice(5 * i + 2, 5 * i + 5).join()));
    assert.notDeepEqual(direct.latents.data.slice(0, 100), direct.latents.data.slice(100));
    for (const chosen of [
      sampler.resample(),
      sampler.mala(),
      sampler.hybrid({ steps: 30, noise: 0 }),
      sampler.langevin({ steps: 30 }),
    ]) {
      const from = await tr0n.sample(condition, { count: 8, seed: 1, sampler: chosen, steps: 1 });
      const to = await tr0n.sample(condition, { count: 8, seed: 1, sampler: chosen });
      assert.ok(to.energies.every(Number.isFinite));
      if (chosen.kind === "hybrid") assert.ok(to.energies[0]! < from.energies[0]!);
    }
  });

  it("hierarchical: groups have the temperature as their deviation", () => {
    const prior = latent.hierarchical({ z: 2, y: 3 }, { temperature: 0.6 });
    assert.deepEqual(prior.groups["y"], latent.normal(3, { std: 0.6 }));
    assert.equal(prior.dim, 5);
  });

  it("groups have their own rules: a fixed one stays, Adam's first step is its rate", async () => {
    const prior = latent.product({ z: latent.normal(2), y: latent.normal(3) });
    using tr0n = await create(await open(twoInputs()), prior);
    const options = { count: 2, seed: 4 };
    const groups = { z: { rule: "fixed" }, y: { rule: "adam", learningRate: 0.01 } } as const;
    const direct = sampler.direct({ start: "prior" });
    const { latents: before } = await tr0n.sample(condition, { ...options, sampler: direct });
    const step = sampler.langevin({ start: "prior", steps: 1, groups });
    const { latents: after } = await tr0n.sample(condition, { ...options, sampler: step });
    for (let i = 0; i < 10; i++) {
      const moved = Math.abs(after.data[i]! - before.data[i]!);
      assert.ok(Math.abs(moved - (i % 5 < 2 ? 0 : 0.01)) < 1e-5, `${i}: ${moved}`);
    }
    const wrong = sampler.hybrid({ groups: { x: { rule: "fixed" } } });
    await rejects(
      tr0n.sample(condition, { sampler: wrong }),
      "ERR_INVALID_ARGUMENT",
      /groups: expected some of z, y, got x/,
    );
    await rejects(
      () => sampler.hybrid({ groups: { z: { rate: 1 } as never } }),
      "ERR_INVALID_ARGUMENT",
      /groups\.z.*rate/,
    );
    await rejects(
      () => sampler.langevin({ groups: { z: { rule: "adam", momentum: 0.5 } } }),
      "ERR_INVALID_ARGUMENT",
      /momentum/,
    );
  });

  it("diverging chains end with the energies so far", async () => {
    const prior = latent.product({ z: latent.normal(2), y: latent.normal(3) });
    using tr0n = await create(await open(twoInputs()), prior);
    const wild = sampler.langevin({ start: "prior", learningRate: 1e6, clip: 0, steps: 40 });
    const error = await rejects(
      tr0n.sample(condition, { sampler: wild, seed: 1 }),
      "ERR_DIVERGED",
      /step \d+ in chain 0/,
    );
    assert.ok(error instanceof DivergenceError);
    assert.ok(error.trace.length > 2 && error.trace[1]! > error.trace[0]!);
  });

  it("are saved and come back with their tables and mapping networks", async () => {
    const mapping = await open(mappingModel());
    const other = await open(mappingModel(2));
    const generator = await open(twoInputs());
    const prior = latent.product({
      z: latent.mapped(mapping, latent.uniform(2, -1, 2)),
      y: latent.table(table),
    });
    await withFolder(async (folder) => {
      const path = join(folder, "t.safetensors");
      using tr0n = await create(generator, prior);
      await tr0n.train({ pairs: 500, epochs: 1 });
      await tr0n.save(path);
      const before = await tr0n.sample(condition, { count: 5, seed: 2 });
      for (const given of [mapping, { z: mapping }]) {
        using loaded = await Tr0n.load(path, { generator, encoder, mapping: given, device: "cpu" });
        assert.deepEqual((await loaded.sample(condition, { count: 5, seed: 2 })).latents, before.latents);
        const again = join(folder, "again.safetensors");
        await loaded.save(again);
      }
      const load = (rest: object): Promise<Tr0n> => Tr0n.load(path, { generator, encoder, ...rest });
      await rejects(load({}), "ERR_INVALID_ARGUMENT", /models\.mapping: .*give it again/);
      await rejects(load({ mapping: other }), "ERR_FILE_MISMATCH", /mapping network/);
      const pairs = { generator, encoder, energy: energy.squaredError(), count: 100, seed: 1 };
      await generatePairs({ ...pairs, latent: prior, folder: join(folder, "pairs") });
      await tr0n.train({ pairs: join(folder, "pairs"), epochs: 1 });
      const swapped = latent.product({
        y: latent.table(table),
        z: latent.mapped(mapping, latent.uniform(2, -1, 2)),
      });
      await rejects(
        generatePairs({ ...pairs, latent: swapped, folder: join(folder, "pairs") }),
        "ERR_FILE_MISMATCH",
        /latent was/,
      );
    });
  });

  it("pairs do not depend on how they are split", async () => {
    const prior = latent.product({ z: latent.normal(2), y: latent.table(table) });
    const generator = await open(twoInputs());
    await withFolder(async (folder) => {
      const files: string[] = [];
      for (const shardSize of [64, 7]) {
        const path = join(folder, `pairs-${shardSize}`);
        await generatePairs({
          generator,
          encoder,
          latent: prior,
          energy: energy.squaredError(),
          folder: path,
          count: 64,
          shardSize,
          seed: 5,
        });
        files.push(path);
      }
      const { readPairs } = await import("../../lib/training/pairs-folder.js");
      using tr0n = await create(generator, prior);
      const [whole, split] = await Promise.all(files.map((path) => readPairs(path, tr0n.objective)));
      assert.deepEqual(whole!.z, split!.z);
      assert.deepEqual(whole!.c, split!.c);
    });
  });

  it("errors name the group, what was expected and what came", async () => {
    const generator = await open(twoInputs());
    const mapping = await open(mappingModel());
    const normal = latent.normal(2);
    await rejects(
      create(generator, latent.normal(5)),
      "ERR_INVALID_ARGUMENT",
      /latent\.product\(\{ z: latent\.normal\(2\), y: latent\.normal\(3\) \}\)/,
    );
    await rejects(create(generator, latent.product({ z: normal })), "ERR_SHAPE_MISMATCH", /z, y\), got z/);
    await rejects(
      create(generator, latent.product({ z: normal, y: latent.normal(3), x: normal })),
      "ERR_SHAPE_MISMATCH",
      /got z, y, x/,
    );
    await rejects(
      create(generator, latent.product({ z: normal, y: normal })),
      "ERR_SHAPE_MISMATCH",
      /latent\.y: expected 3/,
    );
    await rejects(() => latent.product({}), "ERR_INVALID_ARGUMENT", /groups/);
    await rejects(
      () => latent.product({ z: { kind: "none" } as never }),
      "ERR_INVALID_ARGUMENT",
      /groups\.z: expected one of/,
    );
    await rejects(() => latent.table(tensor([1, 2], [2])), "ERR_SHAPE_MISMATCH", /\[rows, dim\], got \[2\]/);
    await rejects(
      () => latent.mapped(mapping, latent.normal(3)),
      "ERR_SHAPE_MISMATCH",
      /\[batch, 3\].*z \[\?, 2\]/,
    );
    await rejects(
      () => latent.mapped(mapping, normal, { dim: 4 }),
      "ERR_INVALID_ARGUMENT",
      /dim: expected 2/,
    );
    await rejects(() => latent.hierarchical({ z: 2 }, { heat: 1 } as never), "ERR_INVALID_ARGUMENT", /heat/);
  });
});
