/** Training the translator of a Tr0n: pairs, the loop over epochs, checkpoints, and the report. */
import {
  mixtureDensity,
  mixtureGroups,
  splitLatents,
  withoutAuxiliary,
  type AuxiliaryGroup,
} from "../translator/auxiliary.js";
import { calibrate } from "./calibration.js";
import {
  checkBoolean,
  checkChoice,
  checkFunction,
  checkInteger,
  checkNumber,
  checkOptions,
  checkPath,
  checkSeed,
  checkSignal,
} from "../base/check.js";
import { checkSameRun, readCheckpoint, writeCheckpoint, type Checkpoint } from "./checkpoint.js";
import type { Decision } from "../base/decisions.js";
import type { Place } from "../native/devices.js";
import { FileError, Tr0nError, invalid } from "../base/errors.js";
import { callNative, runJob, throwIfAborted } from "../native/job.js";
import { commonBound } from "../latent/latent.js";
import { checkMemory } from "../native/memory.js";
import { native } from "../native/binding.js";
import { knownNoise, noiseToJson, type ConditionNoise } from "../translator/noise.js";
import type { Objective } from "../objective/objective.js";
import { drawPairs, readPairs, type Pairs } from "./pairs.js";
import { findStepSizes, pilotWarnings, type PilotReport } from "./pilot.js";
import { pairModelSettings, withFormerKinds } from "../objective/settings.js";
import type { Tensor } from "../base/tensor.js";
import { Trainer, type TrainerOptions } from "../translator/trainer.js";
import { parameterCount, type Space, type Stds } from "../translator/shape.js";
import { Translator } from "../translator/translator.js";
import { Validation, mean } from "./validation.js";

export interface TrainOptions {
  /** How many pairs to make, or a folder from generatePairs(). Default 50,000; 20,000 or more are recommended. */
  pairs?: number | string;
  /**
   * Settings that the other options start from. "recommended" (default): 6 epochs, batches of 256, rate 1e-3, alpha 1,
   * log standard deviations that start at the prior's. "official": the paper's 10 epochs, batches of 16, rate 1e-4, alpha
   * 1e-4, log standard deviations that start at log 0.01; on far fewer pairs than the paper's million, so that it
   * finishes, and the fit is too narrow for it. With `translator.auxiliary` "official" is the paper's loss for BigGAN, and
   * "recommended" has another `alpha`.
   */
  preset?: "recommended" | "official";
  /**
   * What a pair's latent is held against. "nll" (default): −log q(z|c). "mse": the mean squared error of a deterministic
   * translator, a point for each condition in the place of a density; resampling has no use for it, and other samplers
   * start from the point. "cosine": −cos(c, f(G(z'))) of a relaxed draw z' of the mixture (Gumbel-softmax weights,
   * reparameterised normals), through the gradient of generator and encoder, one for each pair and epoch; for
   * embeddings only.
   */
  loss?: "nll" | "mse" | "cosine";
  /** Temperature of the relaxed draws of "cosine": towards 0 they pick one component. Default 1. */
  temperature?: number;
  epochs?: number;
  batchSize?: number;
  /** Adam's rate at the start; it falls to 0 along a cosine. */
  learningRate?: number;
  /** Norm to which the whole gradient is clipped; 0 switches it off. Default 1. */
  clip?: number;
  /**
   * Weight of the loss on the latent; an auxiliary head's mean squared error has weight 1. Default of "recommended": 1
   * without such a head. With one 2v/n, v being the variance of the group's n numbers under the prior: then the sum is
   * (times a factor) the negative log-likelihood of both groups, of y under a normal of variance v about the head's
   * output. Likewise for the loss "mse"; 1 for "cosine".
   */
  alpha?: number;
  /** Where the log standard deviations start. */
  initialLogStd?: number;
  /**
   * Start from the pairs' moments: the means' layer at the mean and in units of the deviation of each dimension of
   * their latents, and the standard deviations (without `initialLogStd`) at those. For latents whose scale is not
   * known beforehand; for N(0, I) it changes next to nothing. Default false.
   */
  calibrate?: boolean;
  /** How many pairs are held out to choose the best epoch by. Default a tenth, at most 2,000. */
  heldOut?: number;
  /** Stop when the held-out loss has not been lower for so many epochs. Default: never. */
  patience?: number;
  /**
   * A file that is written atomically at the end of each epoch and about every `checkpointSeconds`, and when the call is
   * aborted. If it is there already, training goes on from it with the same result as an uninterrupted run; without a
   * `seed` option the file's seed is used. It stays when training ends.
   */
  checkpoint?: string;
  /** Default 30. */
  checkpointSeconds?: number;
  /** Decides pairs, first weights, order, labels and noise. Default: the Tr0n's own seed. */
  seed?: number;
  onProgress?: (progress: TrainProgress) => void;
  signal?: AbortSignal;
}

/** First pairs are made or read, then the steps run. */
export type TrainProgress =
  | { readonly phase: "pairs"; readonly done: number; readonly total: number }
  | {
      readonly phase: "train";
      /** Steps. */
      readonly done: number;
      readonly total: number;
      /** From 1. */
      readonly epoch: number;
      readonly epochs: number;
      /** Mean over the steps since the last report. */
      readonly loss: number;
      readonly learningRate: number;
      readonly gradientNorm: number;
      /** Of the pairs held out, after the last whole epoch; null before the first. */
      readonly heldOutLoss: number | null;
    };

export interface TrainReport {
  /** All pairs, those held out included. */
  readonly pairs: number;
  /** Pairs held out. */
  readonly heldOut: number;
  readonly loss: "nll" | "mse" | "cosine";
  /** Epochs that were run: fewer than asked for where training `stopped` early. */
  readonly epochs: number;
  readonly steps: number;
  /** The epoch, from 1, whose translator was kept: that of the smallest held-out loss. */
  readonly bestEpoch: number;
  /** Whether `patience` ended the training. */
  readonly stopped: boolean;
  /** Mean loss of the pairs held out, of the translator that was kept: nats, a squared error or −cos, without alpha; with
   * an auxiliary head alpha times that plus y's squared error. */
  readonly heldOutLoss: number;
  /** The same after each epoch. */
  readonly validation: readonly number[];
  /** Of all runs, where a checkpoint was continued. */
  readonly seconds: number;
  /** Mean loss of the last epoch: alpha times nats a pair, plus the squared error of an auxiliary head. */
  readonly trainLoss: number;
  /**
   * Mean −log q(z|c) of the pairs held out, in nats; NaN for a deterministic translator, which has no density. With an
   * auxiliary head z are the other groups' numbers, here and in `priorEntropy`.
   */
  readonly heldOutNll: number;
  /** Mean squared error of the auxiliary head on the pairs held out; NaN without one. */
  readonly heldOutAuxiliary: number;
  /** Entropy of the prior, in nats. */
  readonly priorEntropy: number;
  /** heldOutNll − priorEntropy, or NaN. Below 0 the translator knows more about z than the prior does. */
  readonly gap: number;
  /** MALA's step sizes for this translator by fidelity, which samplers take by default, and what finding them took. */
  readonly pilot: PilotReport;
  readonly warnings: readonly string[];
  /** What was decided where no option said it, as {@link Tr0n.decisions}. */
  readonly decisions: readonly Decision[];
  readonly seed: number;
}

export interface TranslatorSettings {
  components?: number;
  hidden?: number;
  depth?: number;
  stds?: Stds;
  space?: Space;
  auxiliary?: string;
  bound?: number;
  conditionNoise?: ConditionNoise;
}

export const translatorNames = [
  "components",
  "hidden",
  "depth",
  "stds",
  "space",
  "auxiliary",
  "bound",
  "conditionNoise",
] as const satisfies readonly (keyof TranslatorSettings)[];

const optionNames = [
  "pairs",
  "preset",
  "loss",
  "temperature",
  "epochs",
  "batchSize",
  "learningRate",
  "clip",
  "alpha",
  "initialLogStd",
  "calibrate",
  "heldOut",
  "patience",
  "checkpoint",
  "checkpointSeconds",
  "seed",
  "onProgress",
  "signal",
] as const;
const presets = {
  recommended: { epochs: 6, batchSize: 256, learningRate: 1e-3, alpha: 1 },
  official: { epochs: 10, batchSize: 16, learningRate: 1e-4, alpha: 1e-4 },
} as const;
const defaultPairs = 50_000;
/** Fewer pairs leave nothing to hold out. */
const minPairs = 20;
const recommendedPairs = 20_000;

/** The options with their defaults. */
type Settings = ReturnType<typeof checkTrainOptions>;

/** @throws ArgumentError */
export function checkTrainOptions(
  options: TrainOptions | undefined,
  objective: Objective,
  auxiliary: AuxiliaryGroup | null = null,
) {
  const o = checkOptions("options", options, optionNames);
  const preset = checkChoice("preset", o.preset, "recommended", ["recommended", "official"]);
  const defaults = presets[preset];
  let pairs: number | string;
  if (typeof o.pairs === "string") {
    checkPath("pairs", o.pairs);
    pairs = o.pairs;
  } else if (o.pairs !== undefined && typeof o.pairs !== "number")
    throw invalid("pairs", "a number of pairs or a folder", o.pairs);
  else pairs = checkInteger("pairs", o.pairs, defaultPairs, { min: minPairs, max: 2 ** 32 - 1 });
  if (o.checkpoint !== undefined) checkPath("checkpoint", o.checkpoint);
  checkFunction("onProgress", o.onProgress);
  checkSignal("signal", o.signal);
  const loss = checkChoice("loss", o.loss, "nll", ["nll", "mse", "cosine"]);
  if (o.temperature !== undefined && loss !== "cosine")
    throw invalid("temperature", `nothing, for it is of the loss "cosine" and not "${loss}"`, o.temperature);
  if (loss === "cosine") objective.requireGradient('loss: "cosine"', 'the loss "nll" needs none');
  const calibrated = checkBoolean("calibrate", o.calibrate, false);
  const logStds =
    preset === "official"
      ? [Math.log(0.01)]
      : Array.from(withoutAuxiliary(objective.source.stds, auxiliary), Math.log);
  const uniform = logStds.every((value) => value === logStds[0]);
  const startLogStd = uniform ? logStds[0]! : logStds.reduce((sum, value) => sum + value / logStds.length, 0);
  return {
    pairs,
    epochs: checkInteger("epochs", o.epochs, defaults.epochs, { min: 1, max: 2 ** 20 }),
    batchSize: checkInteger("batchSize", o.batchSize, defaults.batchSize, { min: 1, max: 2 ** 20 }),
    learningRate: checkNumber("learningRate", o.learningRate, defaults.learningRate, { above: 0 }),
    clip: checkNumber("clip", o.clip, 1, { min: 0 }),
    alpha: checkNumber(
      "alpha",
      o.alpha,
      preset === "recommended" && auxiliary
        ? balancedAlpha(loss, objective.source.stds, auxiliary)
        : defaults.alpha,
      { above: 0 },
    ),
    loss,
    temperature: checkNumber("temperature", o.temperature, 1, { above: 0 }),
    initialLogStd: checkNumber("initialLogStd", o.initialLogStd, startLogStd, { min: -20, max: 20 }),
    calibrate: calibrated,
    calibrateStds: calibrated && o.initialLogStd === undefined,
    heldOut: o.heldOut === undefined ? undefined : checkInteger("heldOut", o.heldOut, 1, { min: 1 }),
    patience: checkInteger("patience", o.patience, 2 ** 20, { min: 1, max: 2 ** 20 }),
    /** [d], where the prior's dimensions differ: then `initialLogStd` is their mean. */
    initialLogStds: o.initialLogStd === undefined && !uniform ? logStds : null,
    checkpoint: o.checkpoint,
    checkpointSeconds: checkNumber("checkpointSeconds", o.checkpointSeconds, 30, { min: 0 }),
    seed: o.seed === undefined ? undefined : checkSeed("seed", o.seed),
    onProgress: o.onProgress,
    signal: o.signal,
  };
}

/** Of the loss on z, beside y's mean squared error: see TrainOptions.alpha. */
function balancedAlpha(
  loss: "nll" | "mse" | "cosine",
  stds: Float64Array,
  { begin, size }: AuxiliaryGroup,
): number {
  if (loss === "cosine") return 1;
  const variance = (deviations: Float64Array): number => mean(deviations.map((std) => std * std));
  const nats = (2 * variance(stds.subarray(begin, begin + size))) / size;
  if (loss === "nll") return nats;
  const z = withoutAuxiliary(stds, { name: "", begin, size });
  return (nats * z.length) / (2 * variance(z));
}

/** A translator of the right sizes for an objective, not trained. */
function freshTranslator(
  objective: Objective,
  auxiliary: AuxiliaryGroup | null,
  t: TranslatorSettings,
  o: Settings,
  seed: number,
  place: Place,
): Translator {
  const { initialLogStds } = o;
  const translator = new Translator({
    condition: objective.conditionSize,
    latent: objective.latentSize - (auxiliary?.size ?? 0),
    auxiliary: auxiliary?.size,
    components: t.components,
    hidden: t.hidden,
    depth: t.depth,
    stds: t.stds,
    space: t.space,
    bound: t.bound ?? commonBound(mixtureGroups(objective.latent, auxiliary)),
    deterministic: o.loss === "mse",
    initialLogStd: o.initialLogStd,
    seed,
    ...place,
  });
  if (initialLogStds && o.loss !== "mse") {
    const values = translator.native.values();
    const { offset } = translator.native.parameters.find(({ name }) => name === "z_log_stds")!;
    for (let k = 0; k < (t.stds === "component" ? translator.components : 1); k++)
      values.set(initialLogStds, offset + k * initialLogStds.length);
    callNative(() => translator.native.setValues(values));
  }
  return translator;
}

/**
 * Trains a new translator. `spread` are the deviations of an auxiliary group about the head's output, on the pairs held out.
 *
 * @param seed used unless the options or the checkpoint have one
 * @param fixedSeed whether `seed` was chosen by the caller, so that a checkpoint must have it too
 */
export async function trainTranslator(
  objective: Objective,
  auxiliary: AuxiliaryGroup | null,
  translatorSettings: TranslatorSettings,
  o: Settings,
  seed: number,
  fixedSeed: boolean,
  place: Place,
  signal: AbortSignal,
): Promise<{ translator: Translator; spread: Float32Array | null; report: TrainReport }> {
  const started = performance.now();
  const before = o.checkpoint === undefined ? null : await readCheckpoint(o.checkpoint);
  const ownSeed = o.seed ?? (before && !fixedSeed ? before.seed : seed);
  const folder = typeof o.pairs === "string" ? await readPairs(o.pairs, objective, signal) : null;
  if (folder && folder.count < minPairs)
    throw invalid("pairs", `at least ${minPairs} pairs in the folder`, folder.count);
  const translator = freshTranslator(objective, auxiliary, translatorSettings, o, ownSeed, place);
  let trainer: Trainer | undefined;
  try {
    const run: Record<string, unknown> = {
      ...(await pairModelSettings(objective)),
      translator: {
        components: translator.components,
        hidden: translator.hidden,
        bound: translator.bound,
        conditionNoise: noiseToJson(translatorSettings.conditionNoise),
        depth: translator.depth,
        stds: translator.stds,
        ...(auxiliary ? { auxiliary: auxiliary.name } : {}),
      },
      pairs: folder ? folder.identity : o.pairs,
      epochs: o.epochs,
      batchSize: o.batchSize,
      learningRate: o.learningRate,
      clip: o.clip,
      alpha: o.alpha,
      initialLogStd: o.initialLogStd,
      loss: o.loss,
      temperature: o.temperature,
      calibrate: [o.calibrate, o.calibrateStds],
      heldOut: o.heldOut,
      patience: o.patience,
      seed: ownSeed,
    };
    if (before) {
      const settings = await withFormerKinds(before.settings, objective);
      checkSameRun(o.checkpoint!, { ...before, settings }, run, parameterCount(translator));
    }
    // Written before anything long runs: a path that cannot be written fails at once, and the seed is kept.
    else if (o.checkpoint !== undefined)
      await writeCheckpoint(o.checkpoint, await firstCheckpoint(run, ownSeed, translator, signal));

    const pairs = folder ?? (await makePairs(objective, o, ownSeed, signal));
    const heldOut = o.heldOut ?? Math.max(1, Math.min(Math.floor(pairs.count / 10), 2000));
    if (heldOut >= pairs.count)
      throw invalid("heldOut", `fewer than the ${pairs.count} pairs there are`, heldOut);
    const trained = pairs.count - heldOut;
    const { conditionSize: m } = objective;
    const { latent: d, auxiliary: size } = translator;
    const { z, y } = await splitLatents(pairs.z, objective.latentSize, auxiliary, signal);
    const rows = (data: Float32Array, width: number, from: number, to: number): Tensor => ({
      data: data.subarray(from * width, to * width),
      shape: [to - from, width],
    });
    const part = (from: number, to: number) => ({
      z: rows(z, d, from, to),
      c: rows(pairs.c, m, from, to),
      ...(y ? { y: rows(y, size, from, to) } : {}),
    });
    const trainerOptions: TrainerOptions = {
      ...part(0, trained),
      epochs: o.epochs,
      batchSize: o.batchSize,
      learningRate: o.learningRate,
      clip: o.clip,
      alpha: o.alpha,
      sampleLabels: objective.conditionKind === "probabilities",
      conditionNoise: await knownNoise(
        translatorSettings.conditionNoise,
        rows(pairs.c, m, 0, trained),
        signal,
      ),
      seed: ownSeed,
    };
    const relaxed =
      o.loss === "cosine"
        ? {
            objective: await objective.cosine(signal),
            temperature: o.temperature,
            auxiliaryBegin: auxiliary?.begin ?? 0,
          }
        : undefined;
    trainer = new Trainer(translator, trainerOptions, { own: true, relaxed });
    if (before && before.state.step > 0) {
      if (before.state.step > trainer.steps)
        throw new FileError(
          "ERR_FILE_INVALID",
          `${o.checkpoint}: not a sound checkpoint: expected at most step ${trainer.steps}, got ${before.state.step}`,
        );
      await trainer.setState(before.state);
    } else if (o.calibrate)
      await calibrate(translator, trainerOptions.z.data, o.calibrateStds, trainerOptions.y, signal);
    const validation = new Validation(trainer, translator, part(trained, pairs.count), o.alpha, before);
    const loop = new Loop(trainer, validation, o, run, ownSeed, before, started);
    const trainLoss = await loop.run(signal);
    const heldOutLoss = validation.keepBest();
    const { nll: heldOutNll, residuals } = await validation.kept(o.loss, signal);
    const priorEntropy = callNative(() =>
      native().priorEntropy(mixtureDensity(objective.source.density, auxiliary)),
    );
    const gap = heldOutNll - priorEntropy;
    const spread = auxiliary && residuals && spreadOf(residuals, objective.source.stds, auxiliary);
    const pilot = await findStepSizes(
      objective,
      translator,
      auxiliary && { group: auxiliary, stds: spread },
      rows(pairs.c, m, trained, pairs.count),
      pairs.count,
      ownSeed,
      place.device,
      signal,
    );
    return {
      translator,
      spread,
      report: {
        pairs: pairs.count,
        heldOut,
        loss: o.loss,
        epochs: validation.losses.length,
        steps: trainer.step,
        bestEpoch: validation.bestEpoch,
        stopped: trainer.step < trainer.steps,
        heldOutLoss,
        validation: validation.losses,
        seconds: loop.seconds(),
        trainLoss,
        heldOutNll,
        heldOutAuxiliary: residuals ? mean(residuals) : Number.NaN,
        priorEntropy,
        gap,
        pilot,
        decisions: [...objective.decisions.all],
        warnings: [...warnings(pairs.count, o.loss === "nll" ? gap : Number.NaN), ...pilotWarnings(pilot)],
        seed: ownSeed,
      },
    };
  } catch (error) {
    translator.dispose();
    throw error;
  } finally {
    trainer?.dispose();
  }
}

/**
 * Deviations of y about the head's output. What it has learned by heart still gets a thousandth of the prior's: a density
 * needs some, and importance weights are right with any.
 */
function spreadOf(residuals: Float64Array, stds: Float64Array, { begin }: AuxiliaryGroup): Float32Array {
  return Float32Array.from(residuals, (square, j) => Math.max(Math.sqrt(square), 1e-3 * stds[begin + j]!));
}

async function firstCheckpoint(
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

/** Pairs are made a block at a time: this thread looks at their numbers, and must get on between blocks. */
const pairBlock = 8192;

async function makePairs(
  objective: Objective,
  o: Settings,
  seed: number,
  signal: AbortSignal,
): Promise<Pairs> {
  const total = o.pairs as number;
  const { latentSize: d, conditionSize: m } = objective;
  checkMemory(`pairs: ${total} pairs`, 4 * (total + 2 * Math.min(total, pairBlock)) * (d + m));
  const z = new Float32Array(total * d);
  const c = new Float32Array(total * m);
  for (let at = 0; at < total; at += pairBlock) {
    const rows = Math.min(pairBlock, total - at);
    const report = (done: number): void => {
      if (done < rows) o.onProgress?.({ phase: "pairs", done: at + done, total });
    };
    const block = await drawPairs(objective, seed, at, rows, signal, o.onProgress && report);
    z.set(block.z, at * d);
    c.set(block.c, at * m);
    o.onProgress?.({ phase: "pairs", done: at + rows, total });
  }
  return { z, c, count: total };
}

function warnings(pairs: number, gap: number): string[] {
  const list: string[] = [];
  if (gap >= 0)
    list.push(
      `the translator's held-out negative log-likelihood is ${gap.toFixed(2)} nats above the prior's entropy: it knows less ` +
        'about latents than the prior does. Train on more pairs or for more epochs, with preset "recommended"',
    );
  if (pairs < recommendedPairs)
    list.push(`${pairs} pairs are few: ${recommendedPairs.toLocaleString("en")} or more are recommended`);
  return list;
}

/** The steps, cut where a checkpoint is due. */
class Loop {
  private epochLoss: [number, number];
  private lastEpochLoss: number | null;
  private readonly secondsBefore: number;
  private reported: number;

  constructor(
    private readonly trainer: Trainer,
    private readonly validation: Validation,
    private readonly o: Settings,
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
