/** Training the translator of a Tr0n, from pairs to the report. */
import { mixtureDensity, mixtureGroups, splitLatents, type AuxiliaryGroup } from "../translator/auxiliary.js";
import { calibrate } from "./calibration.js";
import { checkSameRun, readCheckpoint, writeCheckpoint } from "./checkpoint.js";
import type { Compute } from "../native/devices.js";
import { FileError, invalid } from "../base/errors.js";
import { callNative, runJob } from "../native/job.js";
import { commonBound } from "../latent/latent.js";
import { checkMemory } from "../native/memory.js";
import { native } from "../native/binding.js";
import { knownNoise, noiseToJson } from "../translator/noise.js";
import type { Objective } from "../objective/objective.js";
import { drawPairs, type Pairs } from "./pairs.js";
import { readPairs } from "./pairs-folder.js";
import { findStepSizes, pilotWarnings } from "./pilot.js";
import { pairsRecord, withFormerKinds } from "../objective/record.js";
import type { Tensor } from "../base/tensor.js";
import { Trainer, type TrainerOptions } from "../translator/trainer.js";
import { architectureOf, parameterCount } from "../translator/shape.js";
import { Translator } from "../translator/translator.js";
import { Validation, mean } from "./validation.js";
import { TrainingLoop, firstCheckpoint } from "./loop.js";
import { minPairs, type TrainSettings, type TranslatorSettings } from "./options.js";
import { trainingWarnings, type TrainReport } from "./report.js";

/** Once for each size: training again with the same one says nothing new. */
function tellRank(
  { decisions }: Objective,
  { rank, hidden, components, latent }: Translator,
  t: TranslatorSettings,
): void {
  if (t.rank !== undefined || rank === 0) return;
  const value = `${rank}, means of rank ${rank} in a latent of ${latent} numbers`;
  if (decisions.all.some((made) => made.option === "translator.rank" && made.value === value)) return;
  decisions.add({
    option: "translator.rank",
    value,
    reason: `a head of full rank had ${hidden} × ${components} × ${latent} weights`,
    certain: true,
  });
}

/** A translator of the right sizes for an objective, not trained. */
async function freshTranslator(
  objective: Objective,
  auxiliary: AuxiliaryGroup | null,
  t: TranslatorSettings,
  o: TrainSettings,
  seed: number,
  compute: Compute,
  signal: AbortSignal,
): Promise<Translator> {
  const { initialLogStds } = o;
  const translator = new Translator({
    condition: objective.conditionSize,
    latent: objective.latentSize - (auxiliary?.size ?? 0),
    auxiliary: auxiliary?.size,
    ...architectureOf(t),
    bound: t.bound ?? commonBound(mixtureGroups(objective.latent, auxiliary)),
    deterministic: o.loss === "mse",
    initialLogStd: o.initialLogStd,
    seed,
    ...compute,
  });
  tellRank(objective, translator, t);
  if (!initialLogStds || o.loss === "mse") return translator;
  try {
    const values = await runJob("training", signal, () => translator.native.copyValues());
    const { offset } = translator.native.parameters.find(({ name }) => name === "z_log_stds")!;
    for (let k = 0; k < (t.stds === "component" ? translator.components : 1); k++)
      values.set(initialLogStds, offset + k * initialLogStds.length);
    await runJob("training", signal, () => translator.native.assignValues({ owned: values }));
    return translator;
  } catch (error) {
    translator.dispose();
    throw error;
  }
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
  o: TrainSettings,
  seed: number,
  fixedSeed: boolean,
  compute: Compute,
  signal: AbortSignal,
): Promise<{ translator: Translator; spread: Float32Array | null; report: TrainReport }> {
  const started = performance.now();
  const before = o.checkpoint === undefined ? null : await readCheckpoint(o.checkpoint);
  const ownSeed = o.seed ?? (before && !fixedSeed ? before.seed : seed);
  const folder = typeof o.pairs === "string" ? await readPairs(o.pairs, objective, signal) : null;
  if (folder && folder.count < minPairs)
    throw invalid("pairs", `at least ${minPairs} pairs in the folder`, folder.count);
  const translator = await freshTranslator(
    objective,
    auxiliary,
    translatorSettings,
    o,
    ownSeed,
    compute,
    signal,
  );
  let trainer: Trainer | undefined;
  try {
    const run: Record<string, unknown> = {
      ...(await pairsRecord(objective)),
      translator: {
        ...architectureOf(translator),
        bound: translator.bound,
        conditionNoise: noiseToJson(translatorSettings.conditionNoise),
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
    const loop = new TrainingLoop(trainer, validation, o, run, ownSeed, before, started);
    const trainLoss = await loop.run(signal);
    const heldOutLoss = await validation.keepBest(signal);
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
      compute.device,
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
        warnings: [
          ...trainingWarnings(pairs.count, o.loss === "nll" ? gap : Number.NaN),
          ...pilotWarnings(pilot),
        ],
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

async function makePairs(
  objective: Objective,
  o: TrainSettings,
  seed: number,
  signal: AbortSignal,
): Promise<Pairs> {
  const total = o.pairs as number;
  const { latentSize: d, conditionSize: m } = objective;
  checkMemory(`pairs: ${total} pairs`, 4 * total * (d + m));
  // The last report comes once the pairs are here.
  const report = (done: number): void => {
    if (done < total) o.onProgress?.({ phase: "pairs", done, total });
  };
  const pairs = await drawPairs(objective, seed, 0, total, signal, o.onProgress && report);
  o.onProgress?.({ phase: "pairs", done: total, total });
  return pairs;
}
