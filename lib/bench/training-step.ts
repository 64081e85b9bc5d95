/** Training steps of the official translator for BigGAN (method.md), on random pairs. */
import { Translator } from "../translator/translator.js";
import type { Tensor } from "../base/tensor.js";
import { median } from "./statistics.js";

export const official = {
  condition: 512,
  hidden: 2048,
  latent: 128,
  components: 10,
  auxiliary: 128,
} as const;

/** Settings of the official training that a step depends on. */
export const officialTraining = { learningRate: 1e-4, clip: 1, alpha: 1e-4 } as const;

interface Batch {
  readonly z: Tensor;
  readonly c: Tensor;
  readonly y: Tensor;
}

/** Numbers that look random, the same everywhere: √2·sin(i² + stream). */
function numbers(rows: number, columns: number, stream: number): Tensor {
  const data = Float32Array.from(
    { length: rows * columns },
    (_, i) => Math.SQRT2 * Math.sin((i % 65_521) ** 2 + i + stream),
  );
  return { data, shape: [rows, columns] };
}

export function batchOf(rows: number): Batch {
  return {
    z: numbers(rows, official.latent, 1),
    c: numbers(rows, official.condition, 2),
    y: numbers(rows, official.auxiliary, 3),
  };
}

/** Operations and bytes of a step: two products forward, four back but for the first layer's input; see kernels.h. */
export function costOfStep(rows: number): { operations: number; bytes: number } {
  const { condition: c, hidden: h, latent: d, components: k, auxiliary: y } = official;
  const first = c * h;
  const rest = h * h + h * (k * d + k + y);
  // Weights are read forward and back, and read and written with both moments in the update.
  return { operations: 2 * rows * (2 * first + 3 * rest), bytes: 4 * (8 * rest + 7 * first) };
}

/** Milliseconds of steps of one batch; `seconds` bounds the time, `least` the number. */
export async function timeSteps(
  rows: number,
  options: { seconds?: number; least?: number; signal?: AbortSignal } = {},
): Promise<{ median: number; steps: number }> {
  const { seconds = 2, least = 7, signal } = options;
  using translator = new Translator({ ...official, seed: 1 });
  using trainer = translator.trainer({
    ...batchOf(rows),
    ...officialTraining,
    batchSize: rows,
    epochs: 1_000_000,
    seed: 1,
  });
  const timed = async (steps: number): Promise<number> => {
    const start = performance.now();
    await trainer.run(steps, { signal });
    return (performance.now() - start) / steps;
  };
  await timed(2);
  // Training runs many steps a call; the parameters are copied for readers once a call.
  const together = Math.min(20, Math.max(1, Math.ceil(100 / (await timed(3)))));
  const times: number[] = [];
  const end = performance.now() + 1000 * seconds;
  while (times.length < least || performance.now() < end) times.push(await timed(together));
  return { median: median(times), steps: together * times.length };
}
