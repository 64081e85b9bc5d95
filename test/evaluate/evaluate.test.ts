import assert from "node:assert/strict";
import { evaluate } from "../../lib/evaluate/evaluate.js";
import { formatEvaluation } from "../../lib/evaluate/report.js";
import type { EvaluateProgress } from "../../lib/evaluate/options.js";
import { Tr0n, energy, loadModel, sampler, type Model } from "../../lib/index.js";
import { recipes } from "../../lib/evaluate/recipes.js";
import { analyticClassifier, analyticGenerator, posterior } from "../support/analytic.js";

describe("evaluate", () => {
  let models: { generator: Model; encoder: Model };
  let tr0n: Tr0n;
  before(async () => {
    models = {
      generator: await loadModel(analyticGenerator()),
      encoder: await loadModel(analyticClassifier()),
    };
    tr0n = await Tr0n.create({ ...models, seed: 3 });
    await tr0n.train({ pairs: 20_000, epochs: 4 });
  });
  after(() => {
    tr0n.dispose();
    models.generator.dispose();
    models.encoder.dispose();
  });

  it("finds what is known of a posterior that can be computed", async () => {
    const [samples, reference] = [2000, 3000];
    const report = await evaluate(tr0n, {
      samples,
      reference,
      seed: 1,
      recipes: [recipes.prior, recipes.resample, recipes.naive],
    });
    const truth = [posterior(0), posterior(1)];
    const [exact, prior, ours] = report.rows as [
      (typeof report.rows)[0],
      (typeof report.rows)[0],
      (typeof report.rows)[0],
    ];
    assert.deepEqual(report.classes, [0, 1]);
    assert.equal(report.features.width, 3);

    // The features are the latent, so all figures have closed forms. Four standard errors each.
    const accuracy = (truth[0]!.accuracy + truth[1]!.accuracy) / 2;
    const error = 4 * Math.sqrt((accuracy * (1 - accuracy)) / (2 * samples));
    assert.ok(Math.abs(exact.accuracy - accuracy) < error, `${exact.accuracy}, known ${accuracy}`);
    assert.ok(Math.abs(ours.accuracy - accuracy) < 1.5 * error, `${ours.accuracy}, known ${accuracy}`);
    const draws = (1 / truth[0]!.mass + 1 / truth[1]!.mass) / 2;
    assert.ok(
      Math.abs(exact.forwards / draws - 1) < 0.05,
      `${exact.forwards} draws a sample, known ${draws}`,
    );

    // FD of the prior: N(0, 1) against the posterior's moments in the one dimension that differs.
    prior.perClass.forEach(({ fd }, c) => {
      const { mean, variance } = truth[c]!;
      const known = mean ** 2 + (1 - Math.sqrt(variance)) ** 2;
      assert.ok(Math.abs(fd - known) < 0.1 * known + 0.01, `FD ${fd}, known ${known}`);
    });
    assert.ok(Math.abs(prior.accuracy - 0.5) < 0.03, `${prior.accuracy}`); // independent of the class asked for

    assert.ok(report.floor < 0.015, `floor ${report.floor}`);
    assert.equal(exact.fd, report.floor);
    assert.ok(ours.fd < 0.02, `FD ${ours.fd}`);
    assert.ok(Math.abs(ours.relativeDiversity - 1) < 0.05, `${ours.relativeDiversity}`);
    assert.ok(Math.abs(prior.latentRms - 1) < 0.02, `${prior.latentRms}`);
    assert.ok(prior.relativeDiversity > 1.02, `${prior.relativeDiversity}`);
  });

  it("counts what sampling costs and reports plain JSON", async () => {
    const seen: EvaluateProgress[] = [];
    const report = await evaluate(tr0n, {
      samples: 40,
      reference: 50,
      seed: 7,
      recipes: [recipes.translator, recipes.resample, { name: "six", sampler: sampler.mala({ steps: 6 }) }],
      onProgress: (p) => seen.push(p),
    });
    const [exact, translator, resample, six] = report.rows;
    assert.equal(exact!.gradients, 0);
    assert.equal(translator!.gradients, 0);
    assert.equal(resample!.gradients, 5);
    assert.ok(resample!.forwards >= 16 && resample!.forwards < 17.5, `${resample!.forwards}`);
    assert.equal(six!.gradients, 7);
    assert.ok(resample!.ess! > 4 && resample!.ess! <= 16);
    assert.ok(six!.acceptance! > 0 && six!.acceptance! <= 1);
    assert.equal(translator!.ess, null);
    for (const row of report.rows) assert.ok(row.secondsPer1000 > 0);
    assert.deepEqual(JSON.parse(JSON.stringify(report)), report);
    assert.deepEqual(
      new Set(seen.map((p) => p.phase)),
      new Set(["exact", translator!.recipe, resample!.recipe, "six"]),
    );

    const table = formatEvaluation(report);
    for (const row of report.rows)
      assert.ok(table.includes(`${row.recipe} `) && table.includes(row.accuracy.toFixed(3)));
  });

  it("is a function of the seed", async () => {
    const run = async (seed: number) => {
      const { rows } = await evaluate(tr0n, { samples: 30, reference: 30, seed });
      return rows.map(({ accuracy, fd, diversity, latentRms }) => [accuracy, fd, diversity, latentRms]);
    };
    const [a, b, c] = [await run(5), await run(5), await run(6)];
    assert.deepEqual(a, b);
    assert.notDeepEqual(a, c);
  });

  it("takes named features, and an encoder that ends in Softmax", async () => {
    const encoder = await loadModel(analyticClassifier(0, true));
    const soft = await Tr0n.create({ generator: models.generator, encoder, seed: 3 });
    try {
      const options = { samples: 30, reference: 30, seed: 5, recipes: [recipes.prior] };
      const plain = await evaluate(tr0n, options);
      const same = await evaluate(soft, options);
      assert.ok(Math.abs(plain.rows[0]!.fd - same.rows[0]!.fd) < 1e-6);
      assert.equal(plain.rows[0]!.accuracy, same.rows[0]!.accuracy);
      const flat = await evaluate(soft, { ...options, features: "flat" });
      assert.deepEqual(flat.features, { value: "flat", width: 6 });
      assert.ok(flat.floor > 0 && flat.floor !== plain.floor);
      await assert.rejects(evaluate(soft, { features: "nothing" }), { code: "ERR_INVALID_ARGUMENT" });
    } finally {
      soft.dispose();
      encoder.dispose();
    }
  });

  it("refuses what it cannot measure", async () => {
    const cases: [Parameters<typeof evaluate>[1], RegExp][] = [
      [{ classes: [0, 2] }, /classes: expected integers from 0 to 1, got 2/],
      [{ classes: [] }, /classes/],
      [{ classes: [1, 1] }, /once/],
      [{ samples: 1 }, /samples/],
      [{ reference: 0 }, /reference/],
      [{ samples: 50, reference: 50, maxDraws: 100 }, /exact samples of class \d to compare with/],
      [{ recipe: [] } as object, /unknown option/],
      [{ recipes: [{ name: "" }] }, /recipes\[0\].name/],
      [{ recipes: [{ name: "x", sampler: {} as never }] }, /recipes\[0\].sampler/],
    ];
    for (const [options, message] of cases)
      await assert.rejects(evaluate(tr0n, options), (error: Error & { code?: string }) => {
        assert.equal(error.code, "ERR_INVALID_ARGUMENT", error.stack);
        assert.match(error.message, message);
        return true;
      });
    const encoder = await loadModel(analyticClassifier(1));
    const other = await Tr0n.create({ generator: models.generator, encoder });
    await assert.rejects(evaluate(tr0n, { recipes: [{ name: "other", tr0n: other }] }), {
      code: "ERR_SHAPE_MISMATCH",
    });
    other.dispose();
    encoder.dispose();
    const vectors = await Tr0n.create({ ...models, energy: energy.cosine() });
    await assert.rejects(evaluate(vectors), /needs a classifier/);
    vectors.dispose();
    const stop = new AbortController();
    stop.abort();
    await assert.rejects(evaluate(tr0n, { signal: stop.signal }), { code: "ERR_ABORTED" });
  });

  it("tells a rare class from one that cannot be had", async () => {
    const encoder = await loadModel(analyticClassifier(-40));
    const rare = await Tr0n.create({ generator: models.generator, encoder, seed: 1 });
    try {
      const options = { samples: 5, reference: 5, recipes: [recipes.prior], maxDraws: 2000, seed: 1 };
      await assert.rejects(evaluate(rare, options), /of class 1 to compare with, got 0 in 2000 draws/);
      const report = await evaluate(rare, { ...options, classes: [0] });
      assert.equal(report.rows[0]!.accuracy, 1);
    } finally {
      rare.dispose();
      encoder.dispose();
    }
  });
});
