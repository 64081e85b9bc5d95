/** The pairs held out: the loss on them after each epoch, and the translator of the best one. */
import type { Checkpoint } from "./checkpoint.js";
import { runJob } from "../native/job.js";
import type { Tensor } from "../base/tensor.js";
import type { Trainer } from "../translator/trainer.js";
import type { Translator } from "../translator/translator.js";

export class Validation {
  /** By epoch: the loss on the latent, or with an auxiliary head the training's own, alpha times that and y's. */
  readonly losses: number[];
  /** The parameters after the best epoch; null before the first. */
  best: Float32Array | null;

  /** @param pairs z [n, d] and c [n, m], held out, and y of an auxiliary head */
  constructor(
    private readonly trainer: Trainer,
    private readonly translator: Translator,
    private readonly pairs: { readonly z: Tensor; readonly c: Tensor; readonly y?: Tensor | undefined },
    private readonly alpha: number,
    before: Checkpoint | null,
  ) {
    this.losses = [...(before?.validation ?? [])];
    this.best = before?.best ?? null;
  }

  /** From 1; the earliest of equal ones. */
  get bestEpoch(): number {
    return this.losses.reduce((best, loss, index) => (loss < this.losses[best - 1]! ? index + 1 : best), 1);
  }

  /**
   * Makes sure that the loss after `epochs` epochs is known, which is that of the translator as it is.
   *
   * @returns epochs since the best one
   */
  async after(epochs: number, signal: AbortSignal): Promise<number> {
    if (this.losses.length < epochs) {
      const heldOut = await this.trainer.heldOut(this.pairs, { signal });
      const loss = this.pairs.y ? this.alpha * heldOut.loss + mean(heldOut.residuals) : heldOut.loss;
      // Compared with the best so far as bestEpoch does: a NaN is never better.
      const better = epochs === 1 || loss < this.losses[this.bestEpoch - 1]!;
      if (better) this.best = await runJob("training", signal, () => this.translator.native.copyValues());
      this.losses.push(loss);
    }
    return epochs === 0 ? 0 : epochs - this.bestEpoch;
  }

  /** Puts the best epoch's parameters into the translator, and gives their loss. */
  async keepBest(signal: AbortSignal): Promise<number> {
    const { bestEpoch, losses, best, translator } = this;
    if (best && bestEpoch < losses.length)
      await runJob("training", signal, () => translator.native.assignValues({ owned: best }));
    return losses[bestEpoch - 1]!;
  }

  /**
   * Of the translator as it is: mean −log q(z|c), NaN where it has no density, and the mean squared error of each number of
   * y, null without an auxiliary head.
   */
  async kept(
    loss: "nll" | "mse" | "cosine",
    signal: AbortSignal,
  ): Promise<{ nll: number; residuals: Float64Array | null }> {
    const heldOut = this.pairs.y ? await this.trainer.heldOut(this.pairs, { signal }) : null;
    const residuals = heldOut?.residuals ?? null;
    if (loss === "mse") return { nll: Number.NaN, residuals };
    if (loss === "nll") return { nll: heldOut?.loss ?? this.losses[this.bestEpoch - 1]!, residuals };
    const logs = await this.translator.logProb(this.pairs.z, this.pairs.c, { signal });
    return { nll: -logs.reduce((sum, log) => sum + log, 0) / logs.length, residuals };
  }
}

export function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
