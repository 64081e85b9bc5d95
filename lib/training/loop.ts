/** The steps of training over all epochs: validation after each, checkpoints where they are due, progress. */
import { writeCheckpoint, type Checkpoint } from "./checkpoint.js";
import { Tr0nError } from "../base/errors.js";
import { runJob, throwIfAborted } from "../native/job.js";
import type { Trainer } from "../translator/trainer.js";
import type { Translator } from "../translator/translator.js";
import type { Validation } from "./validation.js";
import type { TrainSettings } from "./options.js";

export async function firstCheckpoint(
  settings: Record<string, unknown>,
  seed: number,
  translator: Translator,
  signal: AbortSignal,
): Promise<Checkpoint> {
  const values = await runJob("training", signal, () => translator.native.copyValues());
  const zeros = (): Float32Array => new Float32Array(values.length);
  return {
    settings,
    seed,
    state: { step: 0, values, firstMoment: zeros(), secondMoment: zeros() },
    epochLoss: [0, 0],
    lastEpochLoss: null,
    validation: [],
    best: null,
    seconds: 0,
  };
}

/** The steps, cut where a checkpoint is due. */
export class TrainingLoop {
  private epochLoss: [number, number];
  private lastEpochLoss: number | null;
  private readonly secondsBefore: number;
  private reported: number;

  constructor(
    private readonly trainer: Trainer,
    private readonly validation: Validation,
    private readonly o: TrainSettings,
    private readonly settings: Record<string, unknown>,
    private readonly seed: number,
    before: Checkpoint | null,
    private readonly started: number,
  ) {
    this.epochLoss = before ? [...before.epochLoss] : [0, 0];
    this.lastEpochLoss = before?.lastEpochLoss ?? null;
    this.secondsBefore = before?.seconds ?? 0;
    this.reported = trainer.step;
  }

  seconds(): number {
    return this.secondsBefore + (performance.now() - this.started) / 1000;
  }

  /** Runs to the end; resolves with the mean loss of the last epoch. */
  async run(signal: AbortSignal): Promise<number> {
    const { trainer, o } = this;
    const perEpoch = trainer.stepsPerEpoch;
    let saved = performance.now();
    let chunk = o.checkpoint === undefined ? perEpoch : Math.min(perEpoch, 32);
    try {
      for (;;) {
        throwIfAborted("training", signal);
        const step = trainer.step;
        // Here and not where an epoch ends: a run may have been cut between the two.
        if (step % perEpoch === 0 && (await this.validation.after(step / perEpoch, signal)) >= o.patience)
          break;
        if (step >= trainer.steps) break;
        const begun = performance.now();
        const count = Math.min(chunk, perEpoch - (step % perEpoch));
        const last = await trainer.run(count, { signal, onProgress: (progress) => this.progress(progress) });
        if (last.step > this.reported) this.progress(last);
        const epochEnd = trainer.step % perEpoch === 0;
        if (epochEnd) {
          this.lastEpochLoss = this.epochLoss[0] / Math.max(1, this.epochLoss[1]);
          this.epochLoss = [0, 0];
        }
        if (o.checkpoint === undefined) continue;
        const now = performance.now();
        const perStep = Math.max(1e-6, (now - begun) / 1000 / count);
        chunk = Math.max(1, Math.min(perEpoch, 2 * chunk, Math.floor(o.checkpointSeconds / perStep)));
        if (epochEnd || now - saved >= o.checkpointSeconds * 1000) {
          await this.save();
          saved = performance.now();
        }
      }
    } catch (error) {
      if (signal.aborted && o.checkpoint !== undefined) await this.save();
      throw error;
    }
    return this.lastEpochLoss ?? Number.NaN;
  }

  private progress(p: {
    step: number;
    steps: number;
    loss: number;
    learningRate: number;
    gradientNorm: number;
  }): void {
    const steps = p.step - this.reported;
    if (steps > 0) this.epochLoss = [this.epochLoss[0] + steps * p.loss, this.epochLoss[1] + steps];
    this.reported = p.step;
    this.o.onProgress?.({
      phase: "train",
      done: p.step,
      total: p.steps,
      epoch: Math.min(this.o.epochs, Math.floor(Math.max(0, p.step - 1) / this.trainer.stepsPerEpoch) + 1),
      epochs: this.o.epochs,
      loss: p.loss,
      learningRate: p.learningRate,
      gradientNorm: p.gradientNorm,
      heldOutLoss: this.validation.losses.at(-1) ?? null,
    });
  }

  private async save(): Promise<void> {
    const state = await this.trainer.state();
    if (!Number.isSafeInteger(state.step))
      throw new Tr0nError("ERR_INTERNAL", "the trainer's step is no integer");
    return writeCheckpoint(this.o.checkpoint!, {
      settings: this.settings,
      seed: this.seed,
      state,
      epochLoss: this.epochLoss,
      lastEpochLoss: this.lastEpochLoss,
      validation: this.validation.losses,
      best: this.validation.best,
      seconds: this.seconds(),
    });
  }
}
