import assert from "node:assert/strict";
import { argmax, drawClasses, drawExact, uniformAt, type DrawRows } from "../../lib/evaluate/exact.js";

/** Standard normals as a function of the row alone (Box–Muller). */
function normalAt(row: number): number {
  const u = 1 - uniformAt(77, 2 * row);
  return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * uniformAt(77, 2 * row + 1));
}

/** One latent z ~ N(0, 1), two classes with p(1|z) = 1/(1 + exp(−slope·z − offset)), the latent as the only feature. */
function logistic(slope: number, offset: number): DrawRows {
  return async (first, n) => {
    const latents = Float32Array.from({ length: n }, (_, i) => normalAt(first + i));
    const logits = new Float32Array(2 * n);
    latents.forEach((z, i) => (logits[2 * i + 1] = slope * z + offset));
    return { latents, scores: logits, kind: "logits", features: latents.slice() };
  };
}

/** Moments of p(z|1) ∝ N(z; 0, 1)·p(1|z) by summation over a fine grid, and p(1). */
function posterior(slope: number, offset: number): { mass: number; mean: number; variance: number } {
  let [mass, first, second] = [0, 0, 0];
  const h = 1e-3;
  for (let z = -10; z < 10; z += h) {
    const w = ((Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI)) * h) / (1 + Math.exp(-slope * z - offset));
    mass += w;
    first += w * z;
    second += w * z * z;
  }
  return { mass, mean: first / mass, variance: second / mass - (first / mass) ** 2 };
}

function moments(values: Float32Array): { mean: number; variance: number } {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return { mean, variance: values.reduce((a, b) => a + (b - mean) ** 2, 0) / (values.length - 1) };
}

describe("exact conditional samples", () => {
  it("have the moments of the posterior, for both classes at once", async () => {
    const count = 20_000;
    const { sets, draws } = await drawExact(logistic(2, -1), {
      classes: [1, 0],
      count,
      maxDraws: 1e6,
      seed: 5,
    });
    const one = posterior(2, -1);
    const zero = posterior(-2, 1);
    for (const [set, truth] of [
      [sets[0]!, one],
      [sets[1]!, zero],
    ] as const) {
      assert.equal(set.latents.length, count);
      const { mean, variance } = moments(set.latents);
      const sigma = Math.sqrt(truth.variance / count);
      assert.ok(Math.abs(mean - truth.mean) < 4 * sigma, `mean ${mean}, exact ${truth.mean} ± ${sigma}`);
      // Var of the sample variance of a near-normal: 2σ⁴/n.
      const spread = truth.variance * Math.sqrt(2 / count);
      assert.ok(
        Math.abs(variance - truth.variance) < 4 * spread,
        `variance ${variance}, exact ${truth.variance}`,
      );
      assert.ok(
        Math.abs(1 / set.drawsPerSample - truth.mass) <
          4 * Math.sqrt((truth.mass * (1 - truth.mass)) / draws),
      );
    }
  });

  it("take the label at random, not the likeliest", async () => {
    const { sets } = await drawExact(logistic(1, 0), { classes: [1], count: 4000, maxDraws: 1e5, seed: 1 });
    // P(z > 0 | class 1) = 1/2 + (2/√(2π)) ∫₀^∞ …; by summation over the same grid:
    let share = 0;
    const { mass } = posterior(1, 0);
    for (let z = 0; z < 10; z += 1e-3)
      share += (Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI) / (1 + Math.exp(-z))) * 1e-3;
    share /= mass;
    const hits = sets[0]!.hits.reduce((a, b) => a + b, 0) / 4000;
    assert.ok(
      Math.abs(hits - share) < 4 * Math.sqrt((share * (1 - share)) / 4000),
      `${hits}, exact ${share}`,
    );
  });

  it("do not depend on the block size, do on the seed, and never repeat a draw", async () => {
    const run = (seed: number, block: number) =>
      drawExact(logistic(1, 0), { classes: [0, 1], count: 300, maxDraws: 1e5, seed, block });
    const [a, b, c] = [await run(3, 1000), await run(3, 17), await run(4, 1000)];
    for (const k of [0, 1]) {
      assert.deepEqual(a.sets[k]!.latents, b.sets[k]!.latents);
      assert.deepEqual(a.sets[k]!.features, b.sets[k]!.features);
      assert.notDeepEqual(a.sets[k]!.latents, c.sets[k]!.latents);
    }
    assert.equal(new Set([...a.sets[0]!.latents, ...a.sets[1]!.latents]).size, 600);
  });

  it("give up on a class that the prior hardly makes, naming it", async () => {
    await assert.rejects(
      drawExact(logistic(0, -20), { classes: [0, 1], count: 5, maxDraws: 2500, seed: 1 }),
      (error: Error & { code?: string }) =>
        error.code === "ERR_INVALID_ARGUMENT" &&
        /of class 1 to compare with, got 0 in 2500 draws/.test(error.message),
    );
  });

  it("stop when asked", async () => {
    const stop = new AbortController();
    const draw = logistic(0, 0);
    const calls: number[] = [];
    const promise = drawExact(
      async (first, n) => {
        calls.push(first);
        if (calls.length === 2) stop.abort();
        return draw(first, n);
      },
      { classes: [0], count: 1e6, maxDraws: 1e7, seed: 1, signal: stop.signal },
    );
    await assert.rejects(promise, { code: "ERR_ABORTED" });
    assert.equal(calls.length, 2);
  });

  it("softmax and argmax survive large numbers", async () => {
    const scores = Float32Array.of(1000, 1000, -1000, 0, Math.log(3), Math.log(4));
    const expected = [
      [0.5, 0.5, 0],
      [1 / 8, 3 / 8, 4 / 8],
    ];
    // Draws at many numbers of the seed: each class as often as its probability says.
    const [n, seed] = [4000, 7];
    const many = new Float32Array(6 * n);
    for (let i = 0; i < n; i++) many.set(scores, 6 * i);
    const { drawn, likeliest } = await drawClasses({ scores: many, kind: "logits" }, 2 * n, seed, 3);
    for (const row of [0, 1]) {
      const counts = [0, 0, 0];
      for (let i = row; i < 2 * n; i += 2) {
        const u = uniformAt(seed, 3 + i);
        let sum = 0;
        const wanted = expected[row]!.findIndex((p) => u < (sum += p));
        // Beside the edge of a class rounding decides.
        if (Math.abs(u - sum) > 1e-7 && Math.abs(u - sum + expected[row]![wanted]!) > 1e-7)
          assert.equal(drawn[i], wanted);
        counts[drawn[i]!]!++;
      }
      expected[row]!.forEach((p, k) => assert.ok(Math.abs(counts[k]! / n - p) < 0.05));
      assert.equal(likeliest[row], [0, 2][row]);
    }
    assert.equal(argmax([1, 3, 3, 2]), 1);
  });

  it("take probabilities as they come, up to a factor, and none below 0", async () => {
    const scores = Float32Array.of(0, 0, 0, -1, 0.5, 0.5, 0.2, 0.1, 0.1);
    const { drawn, likeliest } = await drawClasses({ scores, kind: "probabilities" }, 3, 1, 0);
    assert.deepEqual([...likeliest], [0, 1, 0]);
    assert.equal(drawn[0], 0); // nothing has any weight: the first of the most probable
    assert.notEqual(drawn[1], 0);
    const u = uniformAt(1, 2);
    assert.equal(drawn[2], u < 0.5 ? 0 : u < 0.75 ? 1 : 2);
  });
});
