/** 1,000 chains of 50 Langevin steps and their images, end to end, against the same loop in PyTorch. */
import { latent, loadModel, sampler, Tr0n } from "../../lib/index.js";
import type { Case, Row, Surroundings } from "../case.js";
import { medianTime, modelFile, runPeer, sameRows } from "../models.js";

const chains = 1000;
const steps = 50;
/** Steps after which latents are compared: with each, more chains meet a rectifier that turns at a rounding. */
const verified = 2;
const langevin = { learningRate: 0.1, momentum: 0.99, clip: 1, noise: 0.01 };
const condition = { class: 3 };

async function measure(around: Surroundings, name: string, generatorName: string): Promise<Row> {
  const load = async (model: string) => loadModel((await modelFile(model, around))!);
  using generator = await load(generatorName);
  using encoder = await load("classifier");
  const dim = generator.inputs[0]!.shape![1]!;
  using tr0n = await Tr0n.create({ generator, encoder, latent: latent.normal(dim), seed: 1 });
  const sample = (count: number, noise: number) =>
    tr0n.sample(condition, {
      count: chains,
      seed: 1,
      sampler: sampler.langevin({ ...langevin, noise, steps: count, start: "prior" }),
    });
  let theirs: number | undefined;
  if (around.python !== null) {
    const start = await sample(0, 0);
    const c = new Float32Array(chains * 10);
    for (let i = 0; i < chains; i++) c[10 * i + condition.class] = 1;
    const peer = await runPeer(
      around,
      "sampling.py",
      { generator: generatorName, encoder: "classifier", ...langevin, steps, verify: verified },
      { z: start.latents, c: { data: c, shape: [chains, 10] } },
      { z: [chains, dim] },
    );
    const own = await sample(verified, 0);
    sameRows(
      `${name}: latents after ${verified} steps`,
      own.latents.data,
      peer.results.get("z")!,
      chains,
      1e-4,
    );
    theirs = peer.median;
  }
  return {
    name,
    unit: "ms",
    ours: await medianTime(around.seconds, 3, () => sample(steps, langevin.noise)),
    peers: theirs === undefined ? undefined : { PyTorch: theirs },
    target: 4,
  };
}

const sampling: Case = {
  name: "sampling",
  summary: `${chains} chains × ${steps} Langevin steps and their images; PyTorch: as many times its median step`,
  async run(around) {
    return [
      await measure(around, "demo GAN → classifier", "gan-generator"),
      await measure(around, "demo VAE → classifier", "vae-decoder"),
    ];
  },
};
export default sampling;
