/**
 * How a running service feels the sampler: `npm run bench:service`. While 1,000 chains × 50 steps run on the demo
 * models, the event loop's delay and the time of fs.readFile are measured; the same without load stands beside it.
 */
import { readFile } from "node:fs/promises";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { latent, loadModel, sampler, Tr0n } from "../lib/index.js";

const model = (name: string) => fileURLToPath(new URL(`../models/${name}.onnx`, import.meta.url));
const file = model("classifier");

async function watch<T>(
  work: Promise<T>,
): Promise<{ result: T; seconds: number; delay: number; read: number; reads: number }> {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  const reads: number[] = [];
  let running = true;
  const reader = (async () => {
    while (running) {
      const start = performance.now();
      await readFile(file);
      reads.push(performance.now() - start);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  histogram.enable();
  const start = performance.now();
  const result = await work;
  const seconds = (performance.now() - start) / 1000;
  histogram.disable();
  running = false;
  await reader;
  reads.sort((a, b) => a - b);
  return {
    result,
    seconds,
    delay: histogram.max / 1e6,
    read: reads[reads.length >> 1]!,
    reads: reads.length,
  };
}

const [generator, encoder] = await Promise.all([
  loadModel(model("gan-generator")),
  loadModel(model("classifier")),
]);
using tr0n = await Tr0n.create({ generator, encoder, latent: latent.normal(64), seed: 1 });
await tr0n.train({ pairs: 5000, epochs: 2 });
// Sessions are opened and the code is warm before anything is measured.
await tr0n.sample({ class: 1 }, { count: 64, steps: 2, seed: 1 });

const idle = await watch(new Promise((resolve) => setTimeout(resolve, 3000)));
const load = await watch(
  tr0n.sample(
    { class: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] },
    { count: 100, sampler: sampler.langevin({ steps: 50 }), seed: 1 },
  ),
);
const row = (name: string, w: typeof idle) =>
  `${name.padEnd(28)} ${w.seconds.toFixed(1).padStart(8)} ${w.delay.toFixed(1).padStart(22)} ${w.read.toFixed(2).padStart(24)} (${w.reads})`;
console.log(
  `${"".padEnd(28)} ${"seconds".padStart(8)} ${"max loop delay, ms".padStart(22)} ${"readFile median, ms".padStart(24)} (reads)`,
);
console.log(row("idle", idle as typeof idle));
console.log(row("1,000 chains × 50 steps", load as unknown as typeof idle));
