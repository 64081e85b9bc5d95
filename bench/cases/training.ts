/** A training step of the official translator (8.15 M parameters) against PyTorch. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { batchOf, costOfStep, official, officialTraining, timeSteps } from "../../lib/bench/training-step.js";
import { encodeSafetensors } from "../../lib/base/safetensors.js";
import { Translator } from "../../lib/translator/translator.js";
import { policies, type Case, type Row, type Surroundings } from "../case.js";

const targets: Record<number, number> = { 16: 5, 64: 3.5, 256: 2, 1024: 1.15 };
const verified = 5;

interface PeerAnswer {
  losses: number[];
  norms: number[];
  median: number;
}

async function ownSteps(
  translator: Translator,
  rows: number,
): Promise<{ losses: number[]; norms: number[] }> {
  using trainer = translator.trainer({
    ...batchOf(rows),
    ...officialTraining,
    batchSize: rows,
    epochs: verified,
    seed: 1,
  });
  const losses: number[] = [];
  const norms: number[] = [];
  for (let i = 0; i < verified; i++) {
    const { loss, gradientNorm } = await trainer.run(1);
    losses.push(loss);
    norms.push(gradientNorm);
  }
  return { losses, norms };
}

function compare(what: string, ours: number[], theirs: number[]): void {
  ours.forEach((value, i) => {
    const other = theirs[i]!;
    if (!(Math.abs(value - other) <= 1e-4 * Math.abs(other)))
      throw new Error(`${what} of step ${i + 1}: ours ${value}, PyTorch's ${other}`);
  });
}

async function peerTime(around: Surroundings, rows: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "tr0n-bench-"));
  try {
    using translator = new Translator({ ...official, seed: 1 });
    const weights = join(folder, "weights.safetensors");
    const batch = join(folder, "batch.safetensors");
    writeFileSync(weights, translator.toSafetensors());
    writeFileSync(batch, encodeSafetensors(new Map(Object.entries(batchOf(rows)))));
    const own = await ownSteps(translator, rows);
    const times: number[] = [];
    for (const policy of policies) {
      const argument = { weights, batch, verify: verified, seconds: around.seconds, least: 5 };
      const answer = await around.peer<PeerAnswer>("training.py", argument, policy);
      compare(`batch ${rows}: loss`, own.losses, answer.losses);
      compare(`batch ${rows}: gradient norm`, own.norms, answer.norms);
      times.push(answer.median);
    }
    return Math.min(...times);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const training: Case = {
  name: "training",
  summary: "a training step of the official translator, 8.15 M parameters: clip and Adam",
  async run(around) {
    const rows: Row[] = [];
    for (const batch of [1, 16, 64, 256, 1024]) {
      const theirs = around.python === null ? undefined : await peerTime(around, batch);
      const { median } = await timeSteps(batch, { seconds: around.seconds });
      const { operations, bytes } = costOfStep(batch);
      const arithmetic = (1000 * operations) / around.limits.arithmetic;
      const memory = (1000 * bytes) / around.limits.copy;
      rows.push({
        name: `batch ${batch}`,
        unit: "ms",
        ours: median,
        peers: theirs === undefined ? undefined : { PyTorch: theirs },
        limit:
          arithmetic > memory
            ? { value: arithmetic, by: "arithmetic" }
            : { value: memory, by: "copy bandwidth" },
        target: targets[batch],
      });
    }
    return rows;
  },
};
export default training;
