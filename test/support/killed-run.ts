/** Run as a process of its own by the tests of killed runs: it kills itself in the middle. */
import { generatePairs, loadModel, Tr0n } from "../../lib/index.js";
import { tinyEncoder, tinyGenerator } from "./tiny.js";

const [what, path, limit] = process.argv.slice(2) as [string, string, string];
const stop = (done: number): void => {
  if (done >= Number(limit)) process.kill(process.pid, "SIGKILL");
};
const generator = await loadModel(tinyGenerator());
const encoder = await loadModel(tinyEncoder());
if (what === "pairs")
  await generatePairs({
    generator,
    encoder,
    folder: path,
    count: 100,
    shardSize: 32,
    seed: 5,
    onProgress: (p) => stop(p.done),
  });
else {
  const tr0n = await Tr0n.create({ generator, encoder });
  await tr0n.train({
    pairs: 200,
    epochs: 3,
    batchSize: 32,
    checkpoint: path,
    checkpointSeconds: 0,
    onProgress: (p) => p.phase === "train" && stop(p.done),
  });
}
