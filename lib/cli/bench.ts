import { measureLimits } from "../bench/limits.js";
import { costOfStep, timeSteps } from "../bench/training-step.js";
import { textTable } from "../base/text-table.js";
import type { Command } from "./command.js";

const batches = [1, 16, 64, 256, 1024];

export const benchCommand: Command = {
  name: "bench",
  summary: "Measures this machine, and training steps of the official translator on it.",
  usage: "",
  options: {},
  notes: `A step is compared with the time that its arithmetic or its memory traffic takes at the measured rates,
whichever is longer. Takes about twenty seconds; let nothing else run meanwhile.`,
  run: async (_args, { signal }) => {
    const limits = await measureLimits(signal);
    const steps = [];
    for (const batch of batches) {
      const { median } = await timeSteps(batch, { seconds: 1, least: 5, signal });
      const { operations, bytes } = costOfStep(batch);
      steps.push({
        batch,
        milliseconds: median,
        limit: 1000 * Math.max(operations / limits.arithmetic, bytes / limits.copy),
      });
    }
    const text = [
      `${limits.instructions}, ${limits.threads} threads: ${(limits.arithmetic / 1e9).toFixed(0)} GFLOP/s, copies ${(limits.copy / 1e9).toFixed(0)} GB/s (read and written)`,
      textTable(
        ["batch", "training step", "pairs a second", "limit"],
        steps.map((s) => [
          `${s.batch}`,
          `${s.milliseconds.toPrecision(3)} ms`,
          ((1000 * s.batch) / s.milliseconds).toFixed(0),
          `${s.limit.toPrecision(3)} ms`,
        ]),
      ),
    ].join("\n");
    return { json: { limits, steps }, text };
  },
};
