/** The models that cases run and how their results are compared with PyTorch's. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { median } from "../lib/bench/statistics.js";
import { sampler, type Tr0n } from "../lib/index.js";
import { native } from "../lib/native/binding.js";
import { decodeSafetensors, encodeSafetensors, takeTensor } from "../lib/base/safetensors.js";
import type { Tensor } from "../lib/base/tensor.js";
import { policies, type Surroundings } from "./case.js";

const shipped = ["gan-generator", "vae-decoder", "classifier"];
const made = fileURLToPath(new URL("../.cache/bench/models/", import.meta.url));

/** Where a model's file is: beside the package, or in .cache, where PyTorch makes those that are not there. Null without it. */
export async function modelFile(name: string, { python, peer }: Surroundings): Promise<string | null> {
  if (shipped.includes(name)) return fileURLToPath(new URL(`../models/${name}.onnx`, import.meta.url));
  const path = join(made, `${name}.onnx`);
  if (existsSync(path)) return path;
  if (python === null) return null;
  mkdirSync(made, { recursive: true });
  await peer("pipelines.py", { folder: made, names: [name] }, "passive");
  return path;
}

export interface PeerRun {
  /** Milliseconds, with the better way of waiting. */
  readonly median: number;
  /** What it computed. */
  readonly results: ReadonlyMap<string, Float32Array>;
}

/**
 * Runs a peer's script both ways of waiting on the same inputs.
 *
 * @param shapes of the results that it leaves
 */
export async function runPeer(
  around: Surroundings,
  script: string,
  argument: object,
  inputs: Record<string, Tensor>,
  shapes: Record<string, readonly number[]>,
): Promise<PeerRun> {
  const folder = mkdtempSync(join(tmpdir(), "tr0n-bench-"));
  try {
    const [given, left] = [join(folder, "inputs.safetensors"), join(folder, "results.safetensors")];
    writeFileSync(given, encodeSafetensors(new Map(Object.entries(inputs))));
    const times: number[] = [];
    for (const policy of policies) {
      const all = { ...argument, inputs: given, results: left, seconds: around.seconds, least: 5 };
      times.push((await around.peer<{ median: number }>(script, all, policy)).median);
    }
    const file = decodeSafetensors(readFileSync(left), script);
    const results = new Map(
      Object.entries(shapes).map(([name, shape]) => [name, takeTensor(file, script, name, shape)]),
    );
    return { median: Math.min(...times), results };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @throws unless ‖ours − theirs‖ ≤ tolerance · ‖theirs‖ */
export function sameResults(what: string, ours: Float32Array, theirs: Float32Array, tolerance: number): void {
  let [difference, norm] = [0, 0];
  theirs.forEach((value, i) => {
    difference += (ours[i]! - value) ** 2;
    norm += value ** 2;
  });
  const error = Math.sqrt(difference / norm);
  if (ours.length !== theirs.length || !(error <= tolerance))
    throw new Error(
      `${what}: PyTorch's result differs by ${error} of its norm, expected at most ${tolerance}`,
    );
}

/**
 * As {@link sameResults} for all but one row in twenty, half of the rows within a tenth of the tolerance, and all together
 * within ten times of it. A row passes tens of thousands of rectifiers and maxima, of which each turns at a rounding with
 * a probability of about 1e-6, and then the gradient of its row is another.
 *
 * @throws unless it is so
 */
export function sameRows(
  what: string,
  ours: Float32Array,
  theirs: Float32Array,
  rows: number,
  tolerance: number,
): void {
  const size = theirs.length / rows;
  const errors: number[] = [];
  for (let i = 0; i < rows; i++) {
    const [own, peer] = [ours, theirs].map((all) => all.subarray(i * size, (i + 1) * size)) as [
      Float32Array,
      Float32Array,
    ];
    errors.push(Math.hypot(...own.map((value, j) => value - peer[j]!)) / Math.hypot(...peer));
  }
  const turned = errors.filter((error) => !(error <= tolerance)).length;
  if (turned > rows / 20 || !(median(errors) <= tolerance / 10))
    throw new Error(
      `${what}: ${turned} of ${rows} rows of PyTorch's result differ by over ${tolerance} of their norm, the median by ` +
        `${median(errors)}: expected at most one in twenty, and ${tolerance / 10}`,
    );
  sameResults(what, ours, theirs, 10 * tolerance);
}

/** Milliseconds of one run, after two that take memory from the system. */
export async function medianTime(
  seconds: number,
  least: number,
  run: () => Promise<unknown>,
): Promise<number> {
  // Where one takes seconds the second changes nothing.
  for (let i = 0; i < 2; i++) {
    const start = performance.now();
    await run();
    if (performance.now() - start > 2000) break;
  }
  const times: number[] = [];
  const end = performance.now() + 1000 * seconds;
  while (times.length < least || performance.now() < end) {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  }
  return median(times);
}

/** Inputs that are the same everywhere, of variance 1: √2 · sin of squares. */
export function spread(count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.SQRT2 * Math.sin(i * i + 1));
}

/** Milliseconds of one plain Langevin step. The difference of two lengths: the start and the images at the end drop out. */
export async function langevinStep(tr0n: Tr0n, chains: number, steps: number): Promise<number> {
  const sample = async (count: number): Promise<number> => {
    const start = performance.now();
    const plain = sampler.langevin({ start: "prior", steps: count });
    await tr0n.sample({ class: 3 }, { count: chains, seed: 1, sampler: plain });
    return performance.now() - start;
  };
  // What is opened at the first call, and grows with the number of steps, is there before.
  await sample(1);
  return ((await sample(2 * steps)) - (await sample(steps))) / steps;
}

/** With another number of tr0n's threads meanwhile. */
export async function withThreads<T>(threads: number, work: () => Promise<T>): Promise<T> {
  const before = native().threads();
  native().setThreads(threads);
  try {
    return await work();
  } finally {
    native().setThreads(before);
  }
}
