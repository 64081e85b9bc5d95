/** How a running service feels the sampler: the event loop's delay and reading a file, idle and while chains run. */
import { readFile } from "node:fs/promises";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { loadModel, sampler, Tr0n } from "../../lib/index.js";
import { median } from "../../lib/bench/statistics.js";
import type { Case, Row, Surroundings } from "../case.js";
import { modelFile } from "../models.js";

const chains = 1000;
const steps = 50;

/** Milliseconds: the longest delay and the median of reading, every 20 ms, while this works. */
async function watch(file: string, work: () => Promise<unknown>): Promise<{ delay: number; read: number }> {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  const reads: number[] = [];
  let running = true;
  const reader = (async () => {
    while (running) {
      const start = performance.now();
      await readFile(file);
      reads.push(performance.now() - start);
      await sleep(20);
    }
  })();
  histogram.enable();
  await work();
  histogram.disable();
  running = false;
  await reader;
  return { delay: histogram.max / 1e6, read: median(reads) };
}

async function run(around: Surroundings): Promise<Row[]> {
  const file = (await modelFile("classifier", around))!;
  using generator = await loadModel((await modelFile("gan-generator", around))!);
  using encoder = await loadModel(file);
  using tr0n = await Tr0n.create({ generator, encoder, seed: 1 });
  await tr0n.train({ pairs: 5000, epochs: 2 });
  // Sessions are opened and the code is warm before anything is measured.
  await tr0n.sample({ class: 1 }, { count: 64, steps: 2, seed: 1 });
  const idle = await watch(file, () => sleep(1000 * around.seconds));
  const classes = Array.from({ length: 10 }, (_, i) => i);
  const load = await watch(file, () =>
    tr0n.sample(
      { class: classes },
      { count: chains / classes.length, sampler: sampler.langevin({ steps }), seed: 1 },
    ),
  );
  return [
    { name: "longest event-loop delay, idle", unit: "ms", ours: idle.delay },
    { name: "longest event-loop delay, sampling", unit: "ms", ours: load.delay },
    { name: "reading a file, idle", unit: "ms", ours: idle.read },
    { name: "reading a file, sampling", unit: "ms", ours: load.read },
  ];
}

const service: Case = {
  name: "service",
  summary: `what else a process does while ${chains} chains × ${steps} steps run on the demo's models`,
  run,
};
export default service;
