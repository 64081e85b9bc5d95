/** What a process feels: importing the package, the event loop while a translator trains, peak memory. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { pathToFileURL } from "node:url";
import { median } from "../../lib/bench/statistics.js";
import { batchOf, official, officialTraining } from "../../lib/bench/training-step.js";
import { packageRoot } from "../../lib/native/binding.js";
import { Translator } from "../../lib/translator/translator.js";
import type { Case, Row } from "../case.js";

/** Milliseconds of `import "tr0n"` in a fresh process, from the built package. */
function importTime(entry: string, runs: number): number {
  const script = `const start = performance.now(); await import(${JSON.stringify(pathToFileURL(entry).href)});
    console.log(performance.now() - start);`;
  return median(
    Array.from({ length: runs }, () =>
      Number(execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" })),
    ),
  );
}

async function loopDelay(seconds: number): Promise<{ idle: number; training: number; peak: number }> {
  const watch = async (work: () => Promise<unknown>): Promise<number> => {
    const histogram = monitorEventLoopDelay({ resolution: 1 });
    histogram.enable();
    await work();
    histogram.disable();
    return histogram.max / 1e6;
  };
  const idle = await watch(() => new Promise((resolve) => setTimeout(resolve, 1000 * seconds)));
  using translator = new Translator({ ...official, seed: 1 });
  using trainer = translator.trainer({
    ...batchOf(1024),
    ...officialTraining,
    batchSize: 64,
    epochs: 100_000,
  });
  const stop = AbortSignal.timeout(1000 * seconds);
  const training = await watch(() => trainer.run(undefined, { signal: stop }).catch(() => undefined));
  return { idle, training, peak: process.resourceUsage().maxRSS / 1024 };
}

const processCase: Case = {
  name: "process",
  summary: "import time, event-loop delay while training, peak memory",
  async run({ seconds }) {
    const rows: Row[] = [];
    const entry = join(packageRoot, "dist", "index.js");
    if (existsSync(entry))
      rows.push({
        name: "import",
        unit: "ms",
        ours: importTime(entry, 15),
        limit: { value: 60, by: "promise" },
      });
    else process.stderr.write("process: import time skipped: dist/ is missing (npm run build)\n");
    const { idle, training, peak } = await loopDelay(seconds);
    rows.push(
      { name: "longest event-loop delay, idle", unit: "ms", ours: idle },
      { name: "longest event-loop delay, training at batch 64", unit: "ms", ours: training },
      { name: "peak memory with a trained translator", unit: "MiB", ours: peak },
    );
    return rows;
  },
};
export default processCase;
