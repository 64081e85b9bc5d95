/** A translator's first values from the moments of the latents that it will be trained on. */
import { native } from "../native/binding.js";
import { runJob } from "../native/job.js";
import type { NativeMoments } from "../native/types/rows.js";
import type { Tensor } from "../base/tensor.js";
import type { Translator } from "../translator/translator.js";

/** A mean this close to the bound, as a part of it, is taken for it: atanh has no end. */
const nearBound = 0.99;

/** Mean and standard deviation (over n) of each column of rows [n, d], which nobody outside has. */
export function moments(rows: Float32Array, d: number, signal?: AbortSignal): Promise<NativeMoments> {
  return runJob("training", signal, () => native().columnMoments({ owned: rows }, rows.length / d, d, true));
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
  const { latent: d, bound } = translator;
  const { mean, std } = await moments(z, d, signal);
  const centres = mean.map((m) =>
    bound > 0 ? Math.atanh(Math.min(nearBound, Math.max(-nearBound, m / bound))) : m,
  );
  const factors = std.map((s, j) => (bound > 0 ? s / (bound * (1 - Math.tanh(centres[j]!) ** 2)) : s));
  const auxiliary = y && (await moments(y.data, y.shape[1]!, signal));
  await runJob("training", signal, () =>
    translator.native.calibrate({
      z: { factors, centres },
      ...(auxiliary ? { y: { factors: auxiliary.std, centres: auxiliary.mean } } : {}),
      ...(stds ? { logStds: Float32Array.from(std, (s) => Math.log(Math.max(1e-6, s))) } : {}),
    }),
  );
}
