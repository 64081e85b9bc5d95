/** MALA's step sizes: found after training, kept in files, taken by samplers; and what is told where steps lead nowhere. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { loadModel, sampler, Tr0n, type Sampler, type TrainReport } from "../../lib/index.js";
import { decodeSafetensors, encodeSafetensors } from "../../lib/base/safetensors.js";
import { searchStepSize, stepSizeAt } from "../../lib/sampling/step-sizes.js";
import { bits, rejects, tinyEncoder, tinyGenerator, withFolder } from "../support/tiny.js";

describe("step sizes", () => {
  it("lie between and beyond the fidelities that were measured", () => {
    const at = (fidelity: number, stepSize: number) => ({ fidelity, stepSize, acceptance: 0.6 });
    assert.equal(stepSizeAt([], 3), undefined);
    const found = [at(1, 0.4), at(10, 0.2), at(100, 0.02)];
    for (const [fidelity, expected] of [
      [0.1, 0.4],
      [1, 0.4],
      [Math.sqrt(10), 0.4 / Math.SQRT2],
      [10, 0.2],
      [1000, 0.002],
    ] as const)
      assert.ok(Math.abs(stepSizeAt(found, fidelity)! / expected - 1) < 1e-12, `fidelity ${fidelity}`);
    // A single one: 1/h = 1/0.4 + (λ − 1).
    assert.ok(Math.abs(stepSizeAt([at(1, 0.4)], 10)! - 1 / 11.5) < 1e-12);
    // Longer steps at a larger fidelity are chance, and no reason for longer ones still.
    assert.equal(stepSizeAt([at(1, 0.1), at(10, 0.2)], 1000), 0.2);
  });

  it("are found from starts that are off by orders of magnitude, in few trials", async () => {
    // −log a of the two regimes of MALA, and of conditions that differ so much that their mean changes slowly.
    const laws: Record<string, (h: number) => number> = {
      "h³": (h) => Math.exp(-((h / 0.01) ** 3)),
      "h^1.5": (h) => Math.exp(-((h / 0.2) ** 1.5)),
      mixed: (h) =>
        [1e-4, 1e-3, 1e-2, 1e-1, 1].reduce((sum, scale) => sum + Math.exp(-((h / scale) ** 2)) / 5, 0),
    };
    for (const [name, law] of Object.entries(laws))
      for (const first of [1e-5, 1e-2, 1]) {
        let trials = 0;
        const { acceptance } = await searchStepSize((h) => {
          trials++;
          return Promise.resolve([law(h ?? first), h ?? first]);
        }, 8);
        assert.ok(acceptance > 0.5 && acceptance < 0.8, `${name} from ${first}: ${acceptance}`);
        assert.ok(trials <= 8);
      }
    // Where nothing holds them back, a draw of the prior is as far as they go.
    const { stepSize } = await searchStepSize((h) => Promise.resolve([0.99, h ?? 0.1]), 8);
    assert.equal(stepSize, 1);
  });

  const models = async () => ({
    generator: await loadModel(tinyGenerator()),
    encoder: await loadModel(tinyEncoder({ scale: 2 })),
  });
  const training = { pairs: 400, epochs: 1, seed: 3 };

  it("are a matter of the training's seed, are kept in files, and old files do without", () =>
    withFolder(async (folder) => {
      const parts = await models();
      using tr0n = await Tr0n.create({ ...parts, device: "cpu" });
      const { pilot } = await tr0n.train(training);
      assert.deepEqual(
        pilot.stepSizes.map(({ fidelity }) => fidelity),
        [1, 10],
      );
      assert.ok(pilot.stepSizes.every(({ stepSize }) => stepSize > 0 && stepSize <= 1));
      assert.equal(pilot.skipped, null);
      // 8 chains, 16 candidates at both fidelities; 1 + 4 gradients a trial at the first, 1 + 8 at the second.
      assert.equal(pilot.forwards, 2 * 8 * 16);
      assert.ok(pilot.gradients >= 8 * (5 + 9) && pilot.gradients <= 8 * 8 * (5 + 9));
      using again = await Tr0n.create({ ...parts, device: "cpu" });
      assert.deepEqual((await again.train(training)).pilot.stepSizes, pilot.stepSizes);

      const path = join(folder, "t.safetensors");
      await tr0n.save(path);
      const options = { count: 4, seed: 5 };
      const drawn = await tr0n.sample({ class: 1 }, options);
      using loaded = await Tr0n.load(path, { ...parts, device: "cpu" });
      assert.deepEqual(loaded.report!.pilot, pilot);
      assert.equal(bits((await loaded.sample({ class: 1 }, options)).latents.data), bits(drawn.latents.data));

      const file = decodeSafetensors(new Uint8Array(await readFile(path)), path);
      const config = JSON.parse(file.metadata.get("config")!) as { training: Partial<TrainReport> };
      const rewrite = (changed: unknown): Promise<void> =>
        writeFile(
          path,
          encodeSafetensors(
            file.tensors,
            new Map([
              ...file.metadata,
              ["config", JSON.stringify({ ...config, training: { ...config.training, pilot: changed } })],
            ]),
          ),
        );
      await rewrite(undefined);
      using old = await Tr0n.load(path, { ...parts, device: "cpu" });
      assert.deepEqual(old.report!.pilot.stepSizes, []);
      assert.match(old.report!.pilot.skipped!, /train again/);
      const fixed = await old.sample({ class: 1 }, { ...options, sampler: sampler.mala({ adapt: false }) });
      // The rule: 1 / (6^⅓ / 1.36 + 1).
      assert.ok(Math.abs(fixed.stepSizes[0]! * (Math.cbrt(6) / 1.36 + 1) - 1) < 1e-5);
      for (const stepSize of [0, -1, "x"]) {
        await rewrite({ ...pilot, stepSizes: [{ fidelity: 1, stepSize, acceptance: 0.6 }] });
        await rejects(Tr0n.load(path, parts), "ERR_FILE_INVALID", /pilot/);
      }
    }));

  it("that lead nowhere are warned of, for each condition, with what to do", async () => {
    using tr0n = await Tr0n.create({ ...(await models()), device: "cpu" });
    await tr0n.train(training);
    const warnings = async (chosen: Sampler): Promise<string[]> =>
      (await tr0n.sample({ class: [0, 1] }, { count: 4, seed: 1, sampler: chosen })).warnings.filter((text) =>
        text.includes("MALA"),
      );
    for (const chosen of [sampler.resample(), sampler.mala(), sampler.langevin(), sampler.direct()])
      assert.deepEqual(await warnings(chosen), [], chosen.kind);
    for (const make of [sampler.resample, sampler.mala]) {
      const rejected = await warnings(make({ stepSize: 1e5, adapt: false }));
      assert.equal(rejected.length, 2);
      assert.match(
        rejected[1]!,
        /^condition 1: .*accepted with probability \S+, below 0\.1, .*step size 1\.0e\+5/,
      );
      assert.match(rejected[1]!, /adapt: "pilot".*stepSize: "auto"/);
      const stuck = await warnings(make({ stepSize: 1e-30, adapt: false }));
      assert.equal(stuck.length, 2);
      assert.match(stuck[0]!, /^condition 0: MALA's step size 1\.0e-30 is too small/);
    }
    assert.match((await warnings(sampler.resample({ stepSize: 1e5, adapt: false })))[0]!, /steps: 0/);
    // Chains come back from there by themselves.
    assert.deepEqual(await warnings(sampler.mala({ stepSize: 1e5, steps: 40 })), []);
    assert.deepEqual(await warnings(sampler.mala({ stepSize: 1e5, adapt: "pilot" })), []);
  });
});
