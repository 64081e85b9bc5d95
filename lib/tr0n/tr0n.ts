/** The method: a frozen generator, a frozen encoder, and a translator between conditions and latents. */
import { writeFileAtomic } from "../base/atomic-write.js";
import { auxiliaryGroup } from "../translator/auxiliary.js";
import type { Augmentation } from "../objective/augment.js";
import { checkInteger, checkOptions, checkPath, checkSeed, checkSignal } from "../base/check.js";
import { copyCondition, interpolated, type Condition } from "../condition/condition.js";
import type { ConditionRows } from "../condition/rows.js";
import type { Decision } from "../base/decisions.js";
import { openDevice, type Precision } from "../native/devices.js";
import type { EncoderKind } from "../objective/encoder-kind.js";
import type { Energy } from "../objective/energy.js";
import { ArgumentError } from "../base/errors.js";
import type { Range } from "../base/range.js";
import type { Images } from "../base/image.js";
import { check } from "../options/check.js";
import { runJob } from "../native/job.js";
import { requireFinite } from "../native/rows.js";
import { latentTensors } from "../latent/inputs.js";
import { insideLatents } from "../latent/outside.js";
import { checkMemory } from "../native/memory.js";
import type { DeviceId, ModelDeviceId } from "../native/types/devices.js";
import { checkNoiseSize } from "../translator/noise.js";
import type { Objective } from "../objective/objective.js";
import { joinModels } from "../objective/composition-options.js";
import { checkTensor, copyTensor, elementCount, type Tensor } from "../base/tensor.js";
import type { TextFunction } from "../condition/text-encoder.js";
import { checkTrainOptions, checkTranslator, type TrainOptions } from "../training/options.js";
import { trainTranslator } from "../training/training.js";
import type { TrainReport } from "../training/report.js";
import { encodeTranslatorFile } from "./file.js";
import type { Translator } from "../translator/translator.js";
import { loadState } from "./load.js";
import {
  checkCompute,
  interpolateOptions,
  sampleOptions,
  tr0nOptions,
  type LoadModels,
  type SampleOptions,
  type Tr0nOptions,
} from "./options.js";
import type { SampleStep, Samples } from "./samples.js";
import { checkRun, runSampling } from "./sampling-run.js";
import { sampleSteps } from "./sample-steps.js";
import { State } from "./state.js";

/**
 * Makes a frozen, unconditional generator obey a condition.
 *
 *     const tr0n = await Tr0n.create({ generator: await loadModel("g.onnx"), encoder: await loadModel("f.onnx") });
 *     await tr0n.train();
 *     const { images } = await tr0n.sample({ class: 7 }, { count: 16 });
 *
 * No call blocks the event loop, several may run at once, and each takes an AbortSignal.
 */
export class Tr0n implements Disposable, AsyncDisposable {
  private constructor(private readonly state: State) {}

  /**
   * Joins generator, stages, encoder and energy, and checks that they fit by running both models on a few latents of the
   * prior: shapes, which axis is the batch, whether rows keep to themselves, whether there is a gradient.
   *
   * @throws ArgumentError (ERR_SHAPE_MISMATCH where two things do not fit), ModelError, Tr0nError
   *   ERR_DEVICE_UNAVAILABLE, AbortError
   */
  static async create(options: Tr0nOptions): Promise<Tr0n> {
    const o = check(tr0nOptions, options, { name: "options" });
    const translator = checkTranslator(o.translator);
    const { compute, placed } = await checkCompute("", o);
    const objective = await joinModels(o, o.signal, undefined, placed);
    try {
      checkNoiseSize(translator.conditionNoise, objective.conditionSize);
      auxiliaryGroup("translator.auxiliary", translator.auxiliary, objective.latent);
      const opened = await openDevice(compute.device, o.signal);
      const { seed, textEncoder } = o;
      const fixedSeed = options.seed !== undefined;
      return new Tr0n(
        new State({ objective, settings: translator, seed, fixedSeed, compute, textEncoder, opened }),
      );
    } catch (error) {
      objective.dispose();
      throw error;
    }
  }

  /**
   * A Tr0n as it was saved, for the same two models.
   *
   * @throws FileError ERR_FILE_INVALID for a damaged file, ERR_FILE_MISMATCH for a file of other models or another
   *   energy, ERR_IO when it cannot be read; what `create` throws
   */
  static async load(path: string, models: LoadModels): Promise<Tr0n> {
    return new Tr0n(await loadState(path, models));
  }

  /** For tr0n's own modules: not part of the public surface. */
  get objective(): Objective {
    return this.state.objective;
  }

  /** Decides training where `train` has no seed of its own. */
  get seed(): number {
    return this.state.seed;
  }

  /** What `{ text }` conditions go through. */
  get textEncoder(): TextFunction | undefined {
    return this.state.textEncoder;
  }

  /** The trained translator; null before train() or load(). The Tr0n owns it. */
  get translator(): Translator | null {
    return this.state.translator;
  }

  /** The report of the last training; null before train(). */
  get report(): TrainReport | null {
    return this.state.report;
  }

  /** What tr0n decided because no option says it, in that order. */
  get decisions(): readonly Decision[] {
    return this.objective.decisions.all;
  }

  /** The device of translator and samplers; for "auto" the one that was chosen. */
  get device(): DeviceId {
    return this.state.compute.device;
  }

  /** The device of models that were loaded without one; for "auto" the one that was chosen. */
  get modelDevice(): ModelDeviceId {
    return this.objective.place.device;
  }

  /** How a GPU multiplies matrices. */
  get precision(): Precision {
    return this.state.compute.precision;
  }

  /** The numbers of a latent: d. */
  get latentSize(): number {
    return this.objective.latentSize;
  }

  /**
   * Shape of a latent without the batch: that of the generator's input, e.g. [4, 64, 64]; [d] where the latent is a product or
   * one vector goes into every layer.
   */
  get latentShape(): readonly number[] {
    return this.objective.latentShape;
  }

  /** The numbers of a condition, m: classes, or the size of an embedding. */
  get conditionSize(): number {
    return this.objective.conditionSize;
  }

  /** What a condition is: a distribution over classes ("probabilities"), a direction ("unit") or any vector ("raw"). */
  get conditionKind(): "probabilities" | "unit" | "raw" {
    return this.objective.conditionKind;
  }

  /** What the encoder's output means: the option, or what was found out. */
  get encoderKind(): EncoderKind {
    return this.objective.encoderKind;
  }

  /** The numbers that stand for black and white in the generator's images: the option, or what was found out. */
  get generatorRange(): Range {
    return this.objective.range;
  }

  /** [C, H, W] */
  get imageShape(): readonly number[] {
    return this.objective.imageShape;
  }

  /** The energy in use, the default one included. */
  get energy(): Energy {
    return this.objective.energy;
  }

  /** The augmentation that the energy is averaged over; undefined without one. */
  get augment(): Augmentation | undefined {
    return this.objective.augment;
  }

  /**
   * Trains a new translator on synthetic pairs and puts it in the place of the present one, which stays when training
   * fails or is aborted.
   *
   * @throws ArgumentError, FileError (pairs, checkpoint), Tr0nError ERR_DIVERGED or ERR_OUT_OF_MEMORY, AbortError
   */
  async train(options?: TrainOptions): Promise<TrainReport> {
    const { state } = this;
    state.lifetime.check();
    const { objective, auxiliary } = state;
    const o = checkTrainOptions(options, objective, auxiliary);
    if (state.missingPairEncoder)
      throw new ArgumentError(
        "pairEncoder: this Tr0n was trained with one; give it to Tr0n.load to train again",
      );
    return state.job("train", o.signal, async (signal) => {
      const { settings, seed, fixedSeed, compute } = state;
      const trained = await trainTranslator(
        objective,
        auxiliary,
        settings,
        o,
        seed,
        fixedSeed,
        compute,
        signal,
      );
      state.adopt(trained);
      return trained.report;
    });
  }

  /**
   * `count` samples for each condition. A seed gives the same chains whatever the number of threads and whether
   * conditions come alone or together; equal conditions in one call get different chains.
   *
   * @throws Tr0nError ERR_NOT_TRAINED, ERR_OUT_OF_MEMORY before anything is allocated, ERR_DIVERGED naming step and chain;
   *   ArgumentError; ModelError ERR_NO_GRADIENT naming the operator, ERR_OUTPUTS_DIFFER naming the model; AbortError
   */
  async sample(condition: Condition, options?: SampleOptions): Promise<Samples> {
    this.state.lifetime.check();
    const o = check(sampleOptions, options, { name: "options" });
    const run = checkRun(this.state, o);
    return runSampling(
      this.state,
      run,
      (signal) => this.state.read("condition", condition, signal),
      o.onProgress,
    );
  }

  /**
   * The same run as `sample`, step by step. Each step has its energies. Steps 0, `every`, 2·`every`, … and the last have
   * latents and images; without `every` only the last has them. The run begins when the first step is asked for. Leaving the
   * loop cancels it.
   */
  sampleSteps(
    condition: Condition,
    options?: SampleOptions & { every?: number },
  ): AsyncGenerator<SampleStep, Samples, undefined> {
    // A generator looks at its arguments when the first step is asked for, but they belong to this call.
    return sampleSteps(this.state, copyCondition(condition), options && { ...options });
  }

  /**
   * Samples between two single conditions. There are `points` (default 9) conditions with weights 0.1 … 0.9 of `to`, by
   * spherical interpolation for vectors and by linear interpolation for class distributions. Each has `count` samples, with
   * the same noise for all conditions; the result has points·count samples.
   */
  async interpolate(
    from: Condition,
    to: Condition,
    options?: SampleOptions & { points?: number },
  ): Promise<Samples> {
    this.state.lifetime.check();
    const o = check(interpolateOptions, options, { name: "options" });
    const { points } = o;
    const single = async (name: string, value: Condition, signal: AbortSignal): Promise<ConditionRows> => {
      const rows = await this.state.read(name, value, signal);
      if (rows.count !== 1) throw new ArgumentError(`${name}: expected one condition, got ${rows.count}`);
      return rows;
    };
    const between = async (signal: AbortSignal): Promise<ConditionRows> => {
      const [a, b] = await Promise.all([single("from", from, signal), single("to", to, signal)]);
      return interpolated(a, b, points, this.conditionKind);
    };
    return runSampling(this.state, checkRun(this.state, o), between, o.onProgress);
  }

  /**
   * Splits latents [n, …latentShape] or [n, d] into a tensor for each of the generator's inputs, by name. A group of latent.product() is the
   * input of its name.
   */
  splitLatents(latents: Tensor): Record<string, Tensor> {
    const n = this.state.latentRows(latents);
    checkTensor("latents", latents, { finite: true });
    const data = insideLatents("latents", this.objective.latent, latents.data);
    return latentTensors(data, n, this.objective.inputs);
  }

  /** Images [n, C, H, W] of latents [n, …latentShape] or [n, d], in the generator's range. */
  async generate(latents: Tensor, options?: { signal?: AbortSignal }): Promise<Images> {
    const o = checkOptions("options", options, ["signal"]);
    checkSignal("signal", o.signal);
    const n = this.state.latentRows(latents);
    checkMemory(`generate: ${n} images`, 2 * 4 * n * elementCount(this.imageShape));
    const { data } = copyTensor(latents);
    return this.state.job("generate", o.signal, async (signal) => {
      await requireFinite("latents", data, signal);
      return this.state.imagesOf(insideLatents("latents", this.objective.latent, data), signal);
    });
  }

  /**
   * The conditions [n, m] that the images of latents [n, …latentShape] or [n, d] satisfy, by the encoder's output: class probabilities,
   * directions or the output itself. Where the pairEncoder is a model, it takes the encoder's place.
   */
  async encode(latents: Tensor, options?: { signal?: AbortSignal }): Promise<Tensor> {
    const o = checkOptions("options", options, ["signal"]);
    checkSignal("signal", o.signal);
    const n = this.state.latentRows(latents);
    if (typeof this.objective.pairEncoder === "function")
      throw new ArgumentError(
        "encode: the pairEncoder is a function; call it yourself on the images of generate()",
      );
    const { data } = copyTensor(latents);
    return this.state.job("encode", o.signal, async (signal) => {
      await requireFinite("latents", data, signal);
      const map = await this.objective.conditions(signal);
      const owned = insideLatents("latents", this.objective.latent, data);
      const [output] = await runJob("encode", signal, () => map.run({ owned }, n));
      return { data: output!.data, shape: [n, this.conditionSize] };
    });
  }

  /** Draws [count, …latentShape] of the prior. A seed has one endless list of draws; these begin at number `first` (default 0). */
  async drawPrior(
    count: number,
    options?: { seed?: number; first?: number; signal?: AbortSignal },
  ): Promise<Tensor> {
    const o = checkOptions("options", options, ["seed", "first", "signal"]);
    checkInteger("count", count ?? Number.NaN, 0, { min: 1, max: 2 ** 32 - 1 });
    const first = checkInteger("first", o.first, 0, { min: 0, max: 2 ** 32 - count });
    const seed = checkSeed("seed", o.seed);
    checkSignal("signal", o.signal);
    checkMemory(`drawPrior: ${count} latents`, 2 * 4 * count * this.latentSize);
    return this.state.job("drawPrior", o.signal, async (signal) => {
      const data = await this.objective.source.draw(seed, 0, first, count, { signal });
      return this.state.latentTensor(data);
    });
  }

  /**
   * Writes the translator, and the settings that load() needs, to a .safetensors file. It does so atomically: after an
   * error the path holds what it held before.
   *
   * @throws Tr0nError ERR_NOT_TRAINED, FileError ERR_IO
   */
  async save(path: string): Promise<void> {
    checkPath("path", path);
    const { state } = this;
    state.lifetime.check();
    const translator = state.trained();
    const parts = await encodeTranslatorFile(state.objective, translator, state.spread, {
      translator: state.settings,
      seed: state.seed,
      fixedSeed: state.fixedSeed,
      training: state.report,
    });
    await writeFileAtomic(path, parts);
  }

  /**
   * Cancels running calls, which reject with ERR_DISPOSED, and frees everything except models that the caller loaded.
   * Later calls of dispose() do nothing. `await using` also waits until nothing runs any more.
   */
  dispose(): void {
    this.state.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
    await this.state.lifetime.settled();
  }
}
