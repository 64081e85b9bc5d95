import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { checkDevice } from "../../lib/native/devices.js";
import { native } from "../../lib/native/binding.js";
import type { DeviceId } from "../../lib/native/types/devices.js";
import type { NativeObjective } from "../../lib/native/types/pipeline.js";
import type { NativePrior } from "../../lib/native/types/prior.js";
import type { NativeSampleResult, NativeSamplerConfig } from "../../lib/native/types/sampling.js";
import type { NativeTranslator } from "../../lib/native/types/translator.js";
import { onDevices, realGpu } from "../support/devices.js";
import { gaussian, tanhRegression } from "../support/objectives.js";
import { assertClose, seeded } from "../support/numbers.js";

const normal = (dim: number): NativePrior => ({ kind: "normal", dim });

/** A translator that says N(μ, σ²) for every condition. */
function constantTranslator(
  condition: number,
  mean: ArrayLike<number>,
  logStd: number,
  device: DeviceId,
): NativeTranslator {
  const translator = native().createTranslator(
    { condition, hidden: 2, latent: mean.length, components: 1, initialLogStd: logStd },
    0n,
    device,
  );
  const values = new Float32Array(translator.values().length);
  for (const p of translator.parameters) {
    if (p.name === "z_layer.bias") values.set(Array.from(mean), p.offset);
    if (p.name === "z_log_stds") values.fill(logStd, p.offset, p.offset + p.size);
  }
  translator.setValues(values);
  return translator;
}

onDevices("samplers", (name) => {
  let device: DeviceId;
  before(() => {
    device = checkDevice("device", name);
  });
  /** The emulator takes a thousand times a GPU's time. */
  const slow = name === "cuda" && !realGpu;

  function run(
    objective: NativeObjective,
    translator: NativeTranslator | null,
    d: number,
    config: NativeSamplerConfig,
    conditions: Float32Array,
    conditionCount: number,
    count: number,
    streams = new Uint32Array(conditionCount),
  ): Promise<NativeSampleResult> {
    return native().sample({
      objective,
      translator,
      device,
      prior: normal(d),
      config,
      conditions,
      conditionCount,
      streams,
      count,
    }).promise;
  }

  it("langevin without noise follows PyTorch for 20 steps (momentum, clip, bound)", async () => {
    const data = JSON.parse(
      readFileSync(new URL("../fixtures/translator/trajectory.json", import.meta.url), "utf8"),
    ) as {
      latent: number;
      hidden: number;
      condition: number;
      n: number;
      steps: number;
      learningRate: number;
      momentum: number;
      bound: number;
      clip: number;
      w1: number[];
      w2: number[];
      c: number[];
      start: number[];
      path: number[][];
      energies: number[][];
    };
    const { latent: d, condition: m } = data;
    const objective = await tanhRegression(
      d,
      data.hidden,
      m,
      Float32Array.from(data.w1),
      Float32Array.from(data.w2),
    );
    let atBound = 0;
    for (let row = 0; row < data.n; row++) {
      const translator = constantTranslator(m, data.start.slice(row * d, (row + 1) * d), 0, device);
      const path: Float32Array[] = [];
      const energies: number[] = [];
      await native().sample(
        {
          objective,
          translator,
          prior: normal(d),
          config: {
            start: "mode",
            kernel: "langevin",
            steps: data.steps,
            priorWeight: 0,
            learningRate: data.learningRate,
            momentum: data.momentum,
            noise: 0,
            clip: data.clip,
            bound: data.bound,
            seed: 1n,
          },
          conditions: Float32Array.from(data.c.slice(row * m, (row + 1) * m)),
          conditionCount: 1,
          streams: new Uint32Array(1),
          count: 1,
          every: 1,
          latents: true,
        },
        (p) => {
          path.push(p.latents!);
          energies.push(p.energies[0]!);
        },
      ).promise;
      assert.equal(path.length, data.steps + 1, "one report for the start and one a step");
      assertClose(path[0]!, data.start.slice(row * d, (row + 1) * d), 1e-6, "start");
      for (let step = 1; step <= data.steps; step++) {
        const expected = data.path[step - 1]!.slice(row * d, (row + 1) * d);
        assertClose(path[step]!, expected, 1e-4, `chain ${row}, step ${step}`);
        assertClose([energies[step]!], [data.energies[step - 1]![row]!], 1e-4, `energy of chain ${row}, step ${step}`);
        if (expected.some((value) => Math.abs(value) === data.bound)) atBound++;
      }
      translator.dispose();
    }
    assert.ok(atBound > 0, "the fixture must touch the bound, or clamping is not tested");
    objective.dispose();
  });

  const precision = Float32Array.of(0.5, 4, 1, 2);
  const c = Float32Array.of(1, -1.5, 0.25, 2);
  const posteriorMean = Array.from(precision, (p, i) => (p * c[i]!) / (1 + p));
  const posteriorVariance = Array.from(precision, (p) => 1 / (1 + p));

  function checkPosterior(latents: Float32Array, n: number, tolerance: number) {
    for (let i = 0; i < 4; i++) {
      let mean = 0;
      for (let row = 0; row < n; row++) mean += latents[row * 4 + i]! / n;
      let variance = 0;
      for (let row = 0; row < n; row++) variance += (latents[row * 4 + i]! - mean) ** 2 / n;
      assert.ok(Math.abs(mean - posteriorMean[i]!) < tolerance, `mean ${i}: ${mean} for ${posteriorMean[i]}`);
      assert.ok(
        Math.abs(variance / posteriorVariance[i]! - 1) < 2 * tolerance,
        `variance ${i}: ${variance} for ${posteriorVariance[i]}`,
      );
    }
  }

  it("MALA from the prior reaches an exact Gaussian posterior", async () => {
    const objective = await gaussian(precision);
    const [n, steps, tolerance] = slow ? [1000, 60, 0.15] : [6000, 200, 0.06];
    const result = await run(objective, null, 4, { start: "prior", kernel: "mala", steps, seed: 5n }, c, 1, n);
    checkPosterior(result.latents, n, tolerance);
    assert.ok(result.acceptance[0]! > 0.4 && result.acceptance[0]! < 0.8, `acceptance ${result.acceptance[0]}`);
    assert.equal(result.gradients, n * (steps + 1), "T + 1 gradients a chain");
    objective.dispose();
  });

  it("resampling alone reaches it when candidates are many", async () => {
    const objective = await gaussian(precision);
    const translator = constantTranslator(4, [0.5, -1, 0, 1], 0, device);
    const [n, tolerance] = slow ? [400, 0.2] : [6000, 0.06];
    const result = await run(
      objective,
      translator,
      4,
      { start: "resample", kernel: "none", steps: 0, candidates: 128, seed: 6n },
      c,
      1,
      n,
    );
    checkPosterior(result.latents, n, tolerance);
    assert.equal(result.gradients, 0);
    assert.ok(result.ess[0]! > 10 && result.ess[0]! < 128, `ess ${result.ess[0]}`);
    objective.dispose();
    translator.dispose();
  });

  it("doubles the candidates where the effective sample size is small", async () => {
    const objective = await gaussian(Float32Array.of(400, 400, 400, 400));
    const translator = constantTranslator(4, [0, 0, 0, 0], 0, device);
    const result = await run(
      objective,
      translator,
      4,
      { start: "resample", kernel: "none", steps: 0, candidates: 16, maxCandidates: 64, seed: 7n },
      c,
      1,
      3,
    );
    assert.equal(result.candidates[0], 64);
    objective.dispose();
    translator.dispose();
  });

  for (const [recipe, config] of Object.entries<NativeSamplerConfig>({
    default: { start: "resample", kernel: "mala", steps: 4, seed: 9n },
    langevin: { start: "translator", kernel: "langevin", steps: 6, seed: 9n },
    hybrid: { start: "mode", kernel: "hybrid", steps: 6, seed: 9n },
  })) {
    it(`${recipe}: a chain is bit-identical for any split, block size and thread count`, async () => {
      const random = seeded(3);
      const w1 = random.normals(5 * 9);
      const w2 = random.normals(9 * 3);
      const conditions = random.normals(3 * 7);
      const translator = native().createTranslator(
        { condition: 3, hidden: 12, latent: 5, components: 4 },
        2n,
        device,
      );
      const threads = native().threads();
      const results: NativeSampleResult[] = [];
      for (const [pool, maxBatch] of [
        [1, 64],
        [2, 7],
        [3, 1],
      ] as const) {
        native().setThreads(pool);
        const objective = await tanhRegression(5, 9, 3, w1, w2, maxBatch);
        results.push(await run(objective, translator, 5, config, conditions, 7, 5));
        // One condition at a time, fewer chains: a prefix of the same.
        for (let b = 0; b < 7; b++) {
          const one = await run(objective, translator, 5, config, conditions.slice(b * 3, b * 3 + 3), 1, 3);
          assert.deepEqual(one.latents, results[0]!.latents.slice(b * 25, b * 25 + 15), `condition ${b} alone`);
          assert.deepEqual(one.energies, results[0]!.energies.slice(b * 5, b * 5 + 3), `energies of ${b} alone`);
        }
        objective.dispose();
      }
      native().setThreads(threads);
      for (const result of results) assert.deepEqual(result.latents, results[0]!.latents);
      assert.notDeepEqual(results[0]!.latents.slice(0, 5), results[0]!.latents.slice(5, 10), "chains differ");
      translator.dispose();
    });
  }

  it("gives duplicates of a condition chains of their own through streams", async () => {
    const objective = await gaussian(precision);
    const twice = Float32Array.of(...c, ...c);
    const config: NativeSamplerConfig = { start: "prior", kernel: "mala", steps: 2, seed: 1n };
    const same = await run(objective, null, 4, config, twice, 2, 2, Uint32Array.of(0, 0));
    assert.deepEqual(same.latents.slice(0, 8), same.latents.slice(8));
    const apart = await run(objective, null, 4, config, twice, 2, 2, Uint32Array.of(0, 1));
    assert.notDeepEqual(apart.latents.slice(0, 8), apart.latents.slice(8));
    objective.dispose();
  });

  it("feeds the translator with conditions of its own where there are some", async () => {
    const next = seeded(5);
    const [w1, w2] = [next.normals(4 * 6), next.normals(6 * 3)];
    const objective = await tanhRegression(4, 6, 3, w1, w2);
    const translator = native().createTranslator(
      { condition: 3, hidden: 5, latent: 4, components: 2, initialLogStd: 0 },
      1n,
      device,
    );
    const [judged, asked] = [next.normals(2 * 3), next.normals(2 * 3)];
    const config: NativeSamplerConfig = { start: "translator", kernel: "none", steps: 0, seed: 2n };
    const asAsked = await run(objective, translator, 4, config, asked, 2, 3);
    const { latents, energies } = await native().sample({
      objective,
      translator,
      prior: normal(4),
      config,
      conditions: judged,
      translatorConditions: asked,
      conditionCount: 2,
      streams: new Uint32Array(2),
      count: 3,
    }).promise;
    assert.deepEqual(latents, asAsked.latents);
    const expected = Array.from({ length: 6 }, (_, chain) => {
      const c = judged.subarray(3 * Math.floor(chain / 3));
      const hidden = Array.from({ length: 6 }, (_, h) =>
        Math.tanh([0, 1, 2, 3].reduce((sum, i) => sum + latents[4 * chain + i]! * w1[6 * i + h]!, 0)),
      );
      return [0, 1, 2].reduce(
        (sum, j) => sum + (hidden.reduce((dot, t, h) => dot + t * w2[3 * h + j]!, 0) - c[j]!) ** 2,
        0,
      );
    });
    assertClose(energies, expected, 1e-4, "energies");
    for (const bad of [new Float32Array(5), Float32Array.of(0, 0, Number.NaN, 0, 0, 0)])
      await assert.rejects(
        async () =>
          native().sample({
            objective,
            translator,
            prior: normal(4),
            config,
            conditions: judged,
            translatorConditions: bad,
            conditionCount: 2,
            streams: new Uint32Array(2),
            count: 3,
          }).promise,
        /translatorConditions.*length 5|expected finite values, got nan in condition 0/i,
      );
    objective.dispose();
    translator.dispose();
  });

  it("stops within one step when cancelled", async () => {
    const objective = await gaussian(precision);
    let seen = 0;
    const job = native().sample(
      {
        objective,
        translator: null,
        device,
        prior: normal(4),
        config: { start: "prior", kernel: "mala", steps: 1_000_000, seed: 1n },
        conditions: c,
        conditionCount: 1,
        streams: new Uint32Array(1),
        count: 16,
        every: 1,
      },
      (p) => {
        seen = p.step;
        if (p.step === 3) job.cancel();
      },
    );
    await assert.rejects(job.promise, { code: "ERR_ABORTED" });
    assert.ok(seen >= 3);
    objective.dispose();
  });
});
