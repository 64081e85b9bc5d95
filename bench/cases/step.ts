/**
 * What a sampling step costs over its one session call: the same differentiated graph, batch and one thread, in a bare loop
 * of ONNX Runtime calls and in tr0n's sampler (plain Langevin), in turn.
 */
import { latent, loadModel, Tr0n } from "../../lib/index.js";
import { median } from "../../lib/bench/statistics.js";
import type { OnnxModel } from "../../lib/model/model.js";
import { native } from "../../lib/native/binding.js";
import type { NativeSession } from "../../lib/native/types/models.js";
import { energy, flattenComplete } from "../../lib/objective/energy.js";
import { energyGraph } from "../../lib/objective/energy-graph.js";
import { compose, differentiateGraph, encodeModel } from "../../lib/onnx/index.js";
import type { Case, Row, Surroundings } from "../case.js";
import { langevinStep, modelFile, withThreads } from "../models.js";

const chains = 64;
const steps = 50;

/** One session for energy and gradient, as a pipeline has it, and the names of z and c. */
async function bareSession(
  generator: OnnxModel,
  encoder: OnnxModel,
): Promise<{ session: NativeSession; z: string; c: string }> {
  const joined = compose(
    await generator.graph(),
    await encoder.graph(),
    { image: "image" },
    { prefix: "encoder/", keepOutputs: [] },
  );
  const { name, dims } = joined.outputs[0]!;
  const terms = energyGraph(flattenComplete(energy.crossEntropy()), dims!, 10, "logits");
  const graph = compose(joined, terms, { output: name }, { prefix: "energy/", keepOutputs: [] });
  const [z, c] = graph.inputs.map((input) => input.name) as [string, string];
  const both = differentiateGraph(graph, { wrt: [z], outputs: [graph.outputs[0]!.name], seed: "ones" });
  return { session: await native().openSession(encodeModel(both), { threads: 1 }).promise, z, c };
}

async function run(around: Surroundings): Promise<Row[]> {
  const load = async (name: string): Promise<OnnxModel> =>
    (await loadModel((await modelFile(name, around))!)) as OnnxModel;
  using generator = await load("gan-generator");
  using encoder = await load("classifier");
  using tr0n = await Tr0n.create({ generator, encoder, latent: latent.normal(64), seed: 1 });
  const { session, z, c } = await bareSession(generator, encoder);
  const latents = await native().drawPrior({ kind: "normal", dim: 64 }, 1n, 0, 0, chains).promise;
  const target = new Float32Array(chains * 10);
  for (let i = 0; i < chains; i++) target[i * 10 + 3] = 1;
  const bare = async (): Promise<number> => {
    const start = performance.now();
    for (let i = 0; i < steps; i++)
      await session.run({
        [z]: { data: latents, shape: [chains, 64] },
        [c]: { data: target, shape: [chains, 10] },
      }).promise;
    return (performance.now() - start) / steps;
  };
  await bare();
  const [theirs, ours]: [number[], number[]] = [[], []];
  for (let round = 0; round < 5; round++) {
    theirs.push(await bare());
    ours.push(await langevinStep(tr0n, chains, steps));
  }
  session.dispose();
  return [
    {
      name: `${chains} chains`,
      unit: "ms",
      ours: median(ours),
      peers: { "bare session": median(theirs) },
    },
  ];
}

const step: Case = {
  name: "step",
  summary: "a Langevin step on one thread, and the one call of ONNX Runtime that it needs",
  run: (around) => withThreads(1, () => run(around)),
};
export default step;
