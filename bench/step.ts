/**
 * What a sampling step costs over its one session call: `npm run bench:step`. The same differentiated graph, batch and
 * number of threads, in a bare loop of ONNX Runtime calls and in tr0n's sampler (plain Langevin), in turn.
 */
import { fileURLToPath } from "node:url";
import { latent, loadModel, sampler, Tr0n } from "../lib/index.js";
import { native } from "../lib/native/binding.js";
import { compose, differentiateGraph, encodeModel } from "../lib/onnx/index.js";
import type { OnnxModel } from "../lib/model/model.js";
import { energyGraph } from "../lib/objective/energy-graph.js";
import { flattenComplete, energy } from "../lib/objective/energy.js";

const chains = Number(process.argv[2] ?? 64);
const steps = Number(process.argv[3] ?? 50);
const model = (name: string) => fileURLToPath(new URL(`../models/${name}.onnx`, import.meta.url));
const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!;

const [generator, encoder] = await Promise.all([
  loadModel(model("gan-generator")),
  loadModel(model("classifier")),
]);
native().setThreads(1);
using tr0n = await Tr0n.create({ generator, encoder, latent: latent.normal(64), seed: 1 });

let graph = compose(
  await (generator as OnnxModel).graph(),
  await (encoder as OnnxModel).graph(),
  { image: "image" },
  { prefix: "encoder/", keepOutputs: [] },
);
graph = compose(
  graph,
  energyGraph(flattenComplete(energy.crossEntropy()), graph.outputs[0]!.dims!, 10, "logits"),
  {
    output: graph.outputs[0]!.name,
  },
  { prefix: "energy/", keepOutputs: [] },
);
const [z, c] = graph.inputs.map((input) => input.name) as [string, string];
const both = differentiateGraph(graph, { wrt: [z], outputs: [graph.outputs[0]!.name], seed: "ones" });
const session = await native().openSession(encodeModel(both), { threads: 1 }).promise;

const latents = await native().drawPrior({ kind: "normal", dim: 64 }, 1n, 0, 0, chains).promise;
const target = new Float32Array(chains * 10);
for (let i = 0; i < chains; i++) target[i * 10 + 3] = 1;

async function bare(): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < steps; i++)
    await session.run({
      [z]: { data: latents, shape: [chains, 64] },
      [c]: { data: target, shape: [chains, 10] },
    }).promise;
  return (performance.now() - start) / steps;
}
async function ours(count: number): Promise<number> {
  const start = performance.now();
  await tr0n.sample(
    { class: 3 },
    { count: chains, seed: 1, sampler: sampler.langevin({ start: "prior", steps: count }) },
  );
  return performance.now() - start;
}
await bare();
await ours(1);
const bareTimes: number[] = [];
const ourTimes: number[] = [];
for (let round = 0; round < 5; round++) {
  bareTimes.push(await bare());
  // The difference of two lengths: the start and the images at the end drop out.
  ourTimes.push(((await ours(2 * steps)) - (await ours(steps))) / steps);
}
const a = median(bareTimes);
const b = median(ourTimes);
console.log(
  `${chains} chains, one thread: bare session ${a.toFixed(2)} ms, step ${b.toFixed(2)} ms, ratio ${(b / a).toFixed(3)}`,
);
