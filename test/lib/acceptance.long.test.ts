/**
 * Steps that are never inert: the default's accept probability with random generators and classifiers, from 2 to 16,384
 * dimensions, under every latent and at three fidelities.
 */
import assert from "node:assert/strict";
import { latent, loadModel, sampler, tensor, Tr0n, type Latent } from "../../lib/index.js";
import { seeded } from "../support/numbers.js";
import {
  randomClassifier,
  randomGenerator,
  randomMapping,
  type NetworkOptions,
} from "../support/random-networks.js";

interface Case {
  latent: Latent;
  /** Sizes of the generator's inputs. Default: z, of the latent's. */
  inputs?: Parameters<typeof randomGenerator>[0];
  generator?: NetworkOptions;
  classifier?: NetworkOptions;
  pairs?: number;
}

async function check(name: string, of: Case): Promise<void> {
  using generator = await loadModel(randomGenerator(of.inputs ?? { z: of.latent.dim }, of.generator));
  using encoder = await loadModel(randomClassifier(5, of.classifier));
  using tr0n = await Tr0n.create({ generator, encoder, latent: of.latent, seed: 1, device: "cpu" });
  const { pilot } = await tr0n.train({ pairs: of.pairs ?? 600, epochs: 1 });
  assert.equal(pilot.skipped, null);
  assert.ok(pilot.stepSizes.every(({ acceptance }) => acceptance > 0.4 && acceptance < 0.9));
  for (const fidelity of [1, 3, 10]) {
    const { acceptance, latents, warnings } = await tr0n.sample(
      { class: [0, 1, 2, 3, 4] },
      { count: 8, seed: 1, sampler: sampler.resample({ fidelity, maxCandidates: 16 }) },
    );
    const mean = acceptance.reduce((sum, a) => sum + a / acceptance.length, 0);
    assert.ok(mean > 0.4 && mean < 0.95, `${name}, fidelity ${fidelity}: accepted ${acceptance.join(", ")}`);
    // A rare class of a random classifier may be harder than the others, but moves.
    assert.ok(
      Math.min(...acceptance) > 0.2,
      `${name}, fidelity ${fidelity}: accepted ${acceptance.join(", ")}`,
    );
    assert.ok(latents.data.every(Number.isFinite));
    assert.deepEqual(
      warnings.filter((text) => text.includes("MALA")),
      [],
    );
  }
}

describe("acceptance of the default", function () {
  this.timeout(300_000);

  for (const d of [2, 16, 128, 512, 4096, 16384])
    it(`under a normal latent of ${d} dimensions`, () =>
      check(`d ${d}`, {
        latent: latent.normal(d),
        ...(d > 4096 ? { generator: { width: 8 }, pairs: 300 } : {}),
      }));
  for (const std of [0.01, 30])
    it(`under N(0, ${std}²)`, () => check(`std ${std}`, { latent: latent.normal(64, { std }) }));
  for (const d of [2, 128, 1024]) {
    it(`under a truncated normal of ${d} dimensions`, () =>
      check(`truncated ${d}`, { latent: latent.truncatedNormal(d, 2) }));
    it(`under a uniform latent of ${d} dimensions`, () =>
      check(`uniform ${d}`, { latent: latent.uniform(d, -0.5, 2) }));
  }
  it("in a mapped w of 512 dimensions", async () => {
    using mapping = await loadModel(randomMapping(512, 512));
    await check("mapped", { latent: latent.mapped(mapping, latent.normal(512)), inputs: { w: 512 } });
  });
  it("under a product of a truncated normal and a table (BigGAN)", async () => {
    const rows = seeded(3).normals(500 * 128);
    const table = latent.table(
      tensor(
        rows.map((x) => 0.1 * x),
        [500, 128],
      ),
    );
    await check("product", {
      latent: latent.product({ z: latent.truncatedNormal(128, 2), y: table }),
      inputs: { z: 128, y: { size: 128, gain: 10 } },
    });
  });
  for (const gains of [
    [1.4, 1.4, 1.4],
    [10, 1, 0.1],
  ])
    it(`under a hierarchy (NVAE) whose groups count ${gains.join(", ")}`, () =>
      check(`hierarchy ${gains.join(", ")}`, {
        latent: latent.hierarchical({ z1: 48, z2: 192, z3: 768 }, { temperature: 0.6 }),
        inputs: {
          z1: { size: 48, gain: gains[0]! },
          z2: { size: 192, gain: gains[1]! },
          z3: { size: 768, gain: gains[2]! },
        },
      }));
  for (const [gain, depth] of [
    [0.2, 2],
    [4, 1],
    [1, 5],
  ] as const)
    it(`with ${depth} hidden layers of gain ${gain}`, () =>
      check(`gain ${gain}`, {
        latent: latent.normal(100),
        generator: { gain, depth },
        classifier: { gain, depth },
      }));
});
