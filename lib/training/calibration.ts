/** A translator's first values from the moments of the latents that it will be trained on. */
import { runJob, throwIfAborted } from "../native/job.js";
import type { Tensor } from "../base/tensor.js";
import type { Translator } from "../translator/translator.js";

/** Rows between which other work of this thread gets its turn. */
const block = 4096;
/** A mean this close to the bound, as a part of it, is taken for it: atanh has no end. */
const nearBound = 0.99;

/** Mean and standard deviation (over n) of each column of rows [n, d]. */
export async function moments(
  rows: Float32Array,
  d: number,
  signal?: AbortSignal,
): Promise<{ mean: Float64Array; std: Float64Array }> {
  const n = rows.length / d;
  const mean = new Float64Array(d);
  const square = new Float64Array(d);
  for (let at = 0; at < n; at += block) {
    throwIfAborted("training", signal);
    // Welford's update: large means do not cancel the variance.
    for (let i = at; i < Math.min(n, at + block); i++)
      for (let j = 0; j < d; j++) {
        const difference = rows[i * d + j]! - mean[j]!;
        mean[j]! += difference / (i + 1);
        square[j]! += difference * (rows[i * d + j]! - mean[j]!);
      }
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { mean, std: square.map((sum) => Math.sqrt(sum / n)) };
}

/**
 * Turns a fresh translator into one that speaks of latents in units of their spread about their mean: the means' layer
 * is scaled by each dimension's deviation and begins at its mean (through the bound, where there is one), and the log
 * standard deviations begin at the deviations' unless `stds` is false. For latents of N(0, I) that changes next to nothing.
 * The auxiliary head is turned likewise by `y`.
 */
export async function calibrate(
  translator: Translator,
  z: Float32Array,
  stds: boolean,
  y: Tensor | undefined,
  signal?: AbortSignal,
): Promise<void> {
  const { latent: d, hidden: h, components, bound } = translator;
  const { mean, std } = await moments(z, d, signal);
  const centre = mean.map((m) =>
    bound > 0 ? Math.atanh(Math.min(nearBound, Math.max(-nearBound, m / bound))) : m,
  );
  const scale = std.map((s, j) => (bound > 0 ? s / (bound * (1 - Math.tanh(centre[j]!) ** 2)) : s));
  const auxiliary = y && (await moments(y.data, y.shape[1]!, signal));
  const values = await runJob("training", signal, () => translator.native.copyValues());
  const at = (name: string): number =>
    translator.native.parameters.find((p) => p.name === name)?.offset ?? -1;
  const turn = (layer: string, rows: number, factors: Float64Array, centres: Float64Array): void => {
    const [weight, bias] = [at(`${layer}.weight`), at(`${layer}.bias`)];
    for (let row = 0; row < rows; row++) {
      const j = row % factors.length;
      for (let i = weight + row * h; i < weight + (row + 1) * h; i++) values[i]! *= factors[j]!;
      values[bias + row] = values[bias + row]! * factors[j]! + centres[j]!;
    }
  };
  turn("z_layer", components * d, scale, centre);
  if (auxiliary) turn("y_layer", translator.auxiliary, auxiliary.std, auxiliary.mean);
  const logStds = at("z_log_stds");
  if (stds && logStds >= 0) {
    const count = translator.stds === "component" ? components * d : d;
    for (let i = 0; i < count; i++) values[logStds + i] = Math.log(Math.max(1e-6, std[i % d]!));
  }
  translator.native.setValues(values);
}
