/** Synthetic pairs (z, f(G(z))): in memory, and written to files, against PyTorch and against the forward passes alone. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generatePairs, latent, loadModel } from "../../lib/index.js";
import { runJob } from "../../lib/native/job.js";
import { createObjective } from "../../lib/objective/composition-options.js";
import type { Case, Row, Surroundings } from "../case.js";
import { medianTime, modelFile, runPeer, sameResults, spread } from "../models.js";

const count = 8192;
const generators = [
  { name: "demo GAN → classifier", generator: "gan-generator" },
  { name: "demo VAE → classifier", generator: "vae-decoder" },
];

async function measure(around: Surroundings, name: string, generatorName: string): Promise<Row[]> {
  const load = async (model: string) => loadModel((await modelFile(model, around))!);
  using generator = await load(generatorName);
  using encoder = await load("classifier");
  const dim = generator.inputs[0]!.shape![1]!;
  const models = { generator, encoder, latent: latent.normal(dim) };
  const objective = await createObjective(models);
  const folder = mkdtempSync(join(tmpdir(), "tr0n-bench-"));
  try {
    const conditions = await objective.conditions();
    const z = spread(count * dim);
    const forward = async (): Promise<Float32Array> =>
      (await runJob("bench", undefined, () => conditions.run(z, count)))[0]!.data;
    let theirs: number | undefined;
    if (around.python !== null) {
      const argument = { generator: generatorName, encoder: "classifier", batch: 256 };
      const inputs = { z: { data: z, shape: [count, dim] } };
      const peer = await runPeer(around, "pairs.py", argument, inputs, { c: [count, 10] });
      sameResults(`${name}: conditions`, await forward(), peer.results.get("c")!, 1e-4);
      theirs = peer.median;
    }
    const { seconds } = around;
    const rate = (ms: number): number => (1000 * count) / ms;
    const alone = await medianTime(seconds, 5, forward);
    const prior = { kind: "normal", dim } as const;
    const drawn = await medianTime(seconds, 5, () =>
      runJob("bench", undefined, () => conditions.pairs(prior, 1n, 0, count)),
    );
    let made = 0;
    const written = await medianTime(seconds, 5, () =>
      generatePairs({ ...models, folder: join(folder, `${made++}`), count, seed: 1, shardSize: 2048 }),
    );
    const limit = { value: rate(alone), by: "both forward passes" };
    const peers = theirs === undefined ? undefined : { PyTorch: rate(theirs) };
    return [
      { name: `${name}, in memory`, unit: "pairs/s", ours: rate(drawn), peers, limit, target: 3 },
      { name: `${name}, into files`, unit: "pairs/s", ours: rate(written), peers, limit, target: 3 },
    ];
  } finally {
    objective.dispose();
    rmSync(folder, { recursive: true });
  }
}

const pairs: Case = {
  name: "pairs",
  summary: `${count} synthetic pairs; into files: models are opened and hashed too`,
  async run(around) {
    const rows: Row[] = [];
    for (const { name, generator } of generators) rows.push(...(await measure(around, name, generator)));
    return rows;
  },
};
export default pairs;
