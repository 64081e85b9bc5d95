/** The method: a frozen generator, a frozen encoder, and a translator between conditions and latents. */
import { reason, writeFileAtomic } from "../base/atomic-write.js";
import { auxiliaryGroup, type AuxiliaryGroup } from "../translator/auxiliary.js";
import { checkAugmentation, type Augmentation } from "../objective/augment.js";
import { rememberRules } from "../model/block-rules.js";
import {
  checkBoolean,
  checkFunction,
  checkInteger,
  checkOptions,
  checkPath,
  checkSeed,
  checkSignal,
  randomSeed,
  shapeText,
} from "../base/check.js";
import { conditionStreams, copyCondition, interpolated, type Condition } from "../condition/condition.js";
import type { ConditionRows } from "../condition/rows.js";
import { readCondition } from "../condition/reader.js";
import type { Decision, DecisionListener } from "../base/decisions.js";
import {
  checkDevice,
  checkPrecision,
  openDevice,
  type Device,
  type Compute,
  type Precision,
} from "../native/devices.js";
import type { EncoderKind } from "../objective/encoder-kind.js";
import type { Energy } from "../objective/energy.js";
import { ArgumentError, FileError, Tr0nError, invalid } from "../base/errors.js";
import { checkRange, type Range } from "../base/range.js";
import type { Images } from "../base/image.js";
import { withAdvice } from "../objective/gradient-check.js";
import { Lifetime, runJob, runJobWithProgress } from "../native/job.js";
import { restoreLatent, type Mappings } from "../latent/description.js";
import { latentTensors } from "../latent/inputs.js";
import { checkMemory } from "../native/memory.js";
import { TrustedLoader, loadedModel } from "../model/model.js";
import type { Model } from "../model/interface.js";
import { native } from "../native/binding.js";
import type { DeviceId, NativeDevice } from "../native/types/devices.js";
import type {
  NativeSampleProgress,
  NativeSampleRequest,
  NativeSampleResult,
  NativeSamplerConfig,
} from "../native/types/sampling.js";
import { checkNoiseSize } from "../translator/noise.js";
import type { Objective } from "../objective/objective.js";
import type { PairFunction } from "../objective/options.js";
import type { OnOpening } from "../base/opening.js";
import { readWholeFile } from "../base/read-file.js";
import {
  checkSampler,
  nativeSampler,
  needsDensity,
  needsTranslator,
  sampler,
  samplerSteps,
  startsAtPrior,
  type Sampler,
} from "../sampling/sampler.js";
import { samplingWarnings } from "../sampling/warnings.js";
import {
  createObjective,
  compositionOptionNames,
  type CompositionOptions,
} from "../objective/composition-options.js";
import { checkTensor, copyTensor, elementCount, type Tensor } from "../base/tensor.js";
import { checkTextFunction, type TextFunction } from "../condition/text-encoder.js";
import {
  checkTrainOptions,
  checkTranslator,
  type TrainOptions,
  type TranslatorSettings,
} from "../training/options.js";
import { trainTranslator } from "../training/training.js";
import type { TrainReport } from "../training/report.js";
import { decodeTranslatorFile, encodeTranslatorFile, restoredEnergy, restoredRange } from "./file.js";
import type { Translator } from "../translator/translator.js";

export interface Tr0nOptions extends CompositionOptions {
  /** Of the network that `train` trains. */
  translator?: TranslatorSettings;
  /** For conditions `{ text }`: turns texts into embeddings in the encoder's space; {@link textEncoder} makes one. */
  textEncoder?: TextFunction;
  /** Default "fp32". */
  precision?: Precision;
  /** Decides training where `train` has no seed of its own. Default random. */
  seed?: number;
  signal?: AbortSignal;
}

/** What `Tr0n.load` needs besides the file. Models given as paths are loaded, and disposed of with the Tr0n. */
export interface LoadModels {
  generator: Model | string;
  encoder: Model | string;
  /** The same energy as before; needed only where it has parts from energy.fromOnnx(). */
  energy?: Energy;
  /** Replaces the saved augmentation; null for none. Default: the saved one. */
  augment?: Augmentation | null;
  /**
   * Black and white of the generator's images. Default: what the file says; for a file of a version that did not store it,
   * what is found out. Where the translator was trained with stage.clip(), it must be the same range.
   */
  generatorRange?: Range;
  /** Needed only for train(), where the saved translator was trained with a pairEncoder. */
  pairEncoder?: Model | PairFunction;
  /** For conditions `{ text }`. */
  textEncoder?: TextFunction;
  /** The mapping network of a mapped latent, or several by the generator's inputs; needed where the saved latent has one. */
  mapping?: Model | string | Record<string, Model | string>;
  /** Trust TorchScript models that are given as paths: see {@link ModelOptions.allowCode}. Default false. */
  allowCode?: boolean;
  maxBatch?: number;
  /** As for create(). */
  onOpening?: OnOpening;
  /** Where translator and samplers compute; the models run on the CPU. Default "auto". */
  device?: Device;
  /** Default "fp32". */
  precision?: Precision;
  /** As for {@link Tr0n.create}. What the file says is not decided again. */
  onDecision?: DecisionListener;
  signal?: AbortSignal;
}

export interface SampleOptions {
  /** Samples for each condition. Default 1. */
  count?: number;
  /** Default: the sampler's own. */
  steps?: number;
  /** Default sampler.resample(); sampler.mala() where the translator is deterministic. */
  sampler?: Sampler;
  /** Decides everything. Default random; the result tells it. */
  seed?: number;
  onProgress?: (progress: SampleProgress) => void;
  signal?: AbortSignal;
}

export interface SampleProgress {
  /** Steps done; 0 when the chains are at their starts. */
  readonly step: number;
  readonly steps: number;
  /** [B·count], the present energy of each chain. */
  readonly energies: Float32Array;
}

/** The result of sample() for B conditions. */
export interface Samples {
  /** [B·count, C, H, W], in the generator's range: all samples of the first condition, then those of the next. */
  readonly images: Images;
  /** [B·count, d] */
  readonly latents: Tensor;
  /** [B·count], E(z, c) without prior() terms and without λ; with `augment` the mean over the chain's copies. */
  readonly energies: Float32Array;
  readonly seed: number;
  /** [B], the mean effective sample size of each condition's candidates; NaN for samplers that do not resample. */
  readonly ess: Float32Array;
  /** [B], candidates for each chain, after doubling. */
  readonly candidates: Uint32Array;
  /** [B], the mean accept probability of the MALA steps; NaN for other samplers. */
  readonly acceptance: Float32Array;
  /** [B], the geometric mean of the chains' final MALA step sizes; NaN for other samplers. */
  readonly stepSizes: Float32Array;
  /** [steps + 1, B], the mean energy of each condition's chains at the start and after every step. */
  readonly trace: Tensor;
  /**
   * Rows for which the energy was computed without (`forwards`) and with its gradient (`gradients`). With `augment` the
   * encoder runs `copies` times for each.
   */
  readonly evaluations: { readonly forwards: number; readonly gradients: number };
  readonly warnings: readonly string[];
}

/** One step of a run; see {@link Tr0n.sampleSteps}. */
export interface SampleStep {
  /** 0 for the start. */
  readonly step: number;
  readonly steps: number;
  /** [B·count] */
  readonly energies: Float32Array;
  /** [B·count, d], where there are images. */
  readonly latents?: Tensor;
  /** [B·count, C, H, W], every `every` steps and at the last one. */
  readonly images?: Images;
  readonly seed: number;
}

const sampleNames = ["count", "steps", "sampler", "seed", "onProgress", "signal"] as const;

/** A sampling call's options, checked. */
interface SamplingRun {
  readonly count: number;
  /** In each round. */
  readonly steps: number;
  /** Of all rounds. */
  readonly allSteps: number;
  readonly sampler: Sampler;
  readonly seed: number;
  readonly signal: AbortSignal | undefined;
}

interface SamplingPlan extends SamplingRun {
  readonly rows: ConditionRows;
}

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
  private readonly lifetime = new Lifetime("the Tr0n");
  private current: Translator | null = null;
  /** Deviations of the auxiliary group about its head's output; null without one. */
  private spread: Float32Array | null = null;
  private readonly auxiliary: AuxiliaryGroup | null;
  private lastReport: TrainReport | null = null;
  private readonly owned: Model[] = [];
  /** The saved Tr0n had a pairEncoder that was not given to load(). */
  private missingPairEncoder = false;

  private constructor(
    /** For tr0n's own modules: not part of the public surface. */
    readonly objective: Objective,
    private readonly translatorSettings: TranslatorSettings,
    /** Decides training where `train` has no seed of its own. */
    readonly seed: number,
    private readonly fixedSeed: boolean,
    private readonly compute: Compute,
    /** What `{ text }` conditions go through. */
    readonly textEncoder: TextFunction | undefined,
    /** Keeps the device open from one call to the next. */
    private readonly opened: NativeDevice,
  ) {
    const { latent } = objective;
    this.auxiliary = auxiliaryGroup("translator.auxiliary", translatorSettings.auxiliary, latent);
  }

  /**
   * Joins generator, stages, encoder and energy, and checks that they fit by running both models on a few latents of the
   * prior: shapes, which axis is the batch, whether rows keep to themselves, whether there is a gradient.
   *
   * @throws ArgumentError (ERR_SHAPE_MISMATCH where two things do not fit), ModelError, Tr0nError
   *   ERR_DEVICE_UNAVAILABLE, AbortError
   */
  static async create(options: Tr0nOptions): Promise<Tr0n> {
    const o = checkOptions("options", options, [
      ...compositionOptionNames,
      "translator",
      "textEncoder",
      "precision",
      "seed",
      "signal",
    ]);
    checkSignal("signal", o.signal);
    const texts = checkTextFunction("textEncoder", o.textEncoder);
    const translator = checkTranslator(o.translator);
    const seed = checkSeed("seed", o.seed);
    const compute = checkCompute("", o);
    const objective = await createObjective(o, o.signal);
    try {
      checkNoiseSize(translator.conditionNoise, objective.conditionSize);
      auxiliaryGroup("translator.auxiliary", translator.auxiliary, objective.latent);
      const opened = await openDevice(compute.device, o.signal);
      return new Tr0n(objective, translator, seed, o.seed !== undefined, compute, texts, opened);
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
    checkPath("path", path);
    const o = checkOptions("models", models, [
      "generator",
      "encoder",
      "energy",
      "augment",
      "generatorRange",
      "pairEncoder",
      "textEncoder",
      "mapping",
      "allowCode",
      "maxBatch",
      "onOpening",
      "device",
      "precision",
      "onDecision",
      "signal",
    ]);
    const loader = new TrustedLoader(checkBoolean("models.allowCode", o.allowCode, false));
    checkSignal("models.signal", o.signal);
    const texts = checkTextFunction("models.textEncoder", o.textEncoder);
    const given = o.augment == null ? undefined : checkAugmentation("models.augment", o.augment);
    const range = checkRange("models.generatorRange", o.generatorRange);
    const compute = checkCompute("models.", o);
    let bytes: Uint8Array;
    try {
      bytes = await readWholeFile(path, o.signal);
    } catch (error) {
      throw new FileError("ERR_IO", `${path}: cannot be read: ${reason(error)}`, { cause: error });
    }
    const { config, tables, tensors } = decodeTranslatorFile(bytes, path);
    const energy = restoredEnergy(config.models.energy, o.energy, path);
    native().learnBlockRules(config.blocks);
    const generatorRange = restoredRange(config.models, range, path);
    const owned: Model[] = [];
    const open = async (name: string, model: Model | string): Promise<Model> => {
      if (typeof model !== "string") return loadedModel(name, model);
      const loaded = await loader.load(model, { signal: o.signal });
      owned.push(loaded);
      return loaded;
    };
    let objective: Objective | undefined;
    let opened: NativeDevice | undefined;
    try {
      const generator = await open("models.generator", o.generator);
      const encoder = await open("models.encoder", o.encoder);
      for (const [role, model] of [
        ["generator", generator],
        ["encoder", encoder],
      ] as const) {
        const sha256 = await model.fingerprint();
        const stored = config.models[role];
        if (sha256 !== stored.sha256)
          throw new FileError(
            "ERR_FILE_MISMATCH",
            `${path}: it belongs to the ${role} ${stored.name} (SHA-256 ${stored.sha256}), not to ${model.name} (SHA-256 ${sha256})`,
          );
      }
      const mappings = await openMappings(o.mapping, open);
      if (o.allowCode && !loader.applied)
        throw new ArgumentError("models.allowCode: none of the models is given as a path to TorchScript");
      objective = await createObjective(
        {
          generator,
          encoder,
          generatorOutput: config.models.generator.output ?? undefined,
          encoderOutput: config.models.encoder.output ?? undefined,
          generatorRange,
          encoderKind: config.models.encoderKind,
          latent: await restoreLatent(config.models.latent, tables, mappings, path),
          energy,
          preprocess: config.models.preprocess,
          augment: o.augment === undefined ? config.models.augment : given,
          pairEncoder: o.pairEncoder,
          maxBatch: o.maxBatch,
          onOpening: o.onOpening,
          device: compute.device,
          onDecision: o.onDecision,
        },
        o.signal,
        {
          former: config.models.generatorRange === undefined,
          pairEncoderKind: config.models.pairEncoderKind,
        },
      );
      opened = await openDevice(compute.device, o.signal);
      const { translator, spread } = tensors(objective, compute);
      const { seed, fixedSeed } = config;
      const tr0n = new Tr0n(objective, config.translator, seed, fixedSeed, compute, texts, opened);
      tr0n.current = translator;
      tr0n.spread = spread;
      tr0n.lastReport = config.training;
      tr0n.owned.push(...owned);
      tr0n.missingPairEncoder = config.models.pairEncoder !== null && o.pairEncoder === undefined;
      return tr0n;
    } catch (error) {
      objective?.dispose();
      opened?.dispose();
      for (const model of owned) model[Symbol.dispose]();
      throw error;
    }
  }

  /** The trained translator; null before train() or load(). The Tr0n owns it. */
  get translator(): Translator | null {
    return this.current;
  }

  /** The report of the last training; null before train(). */
  get report(): TrainReport | null {
    return this.lastReport;
  }

  /** What tr0n decided because no option says it, in that order. */
  get decisions(): readonly Decision[] {
    return this.objective.decisions.all;
  }

  /** The device of translator and samplers; for "auto" the one that was chosen. */
  get device(): DeviceId {
    return this.compute.device;
  }

  /** How a GPU multiplies matrices. */
  get precision(): Precision {
    return this.compute.precision;
  }

  /** The numbers of a latent: d. */
  get latentSize(): number {
    return this.objective.latentSize;
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
    this.lifetime.check();
    const o = checkTrainOptions(options, this.objective, this.auxiliary);
    if (this.missingPairEncoder)
      throw new ArgumentError(
        "pairEncoder: this Tr0n was trained with one; give it to Tr0n.load to train again",
      );
    return this.job("train", o.signal, async (signal) => {
      const { translator, spread, report } = await trainTranslator(
        this.objective,
        this.auxiliary,
        this.translatorSettings,
        o,
        this.seed,
        this.fixedSeed,
        this.compute,
        signal,
      );
      if (this.lifetime.disposed) translator.dispose();
      this.lifetime.check();
      this.current?.dispose();
      this.current = translator;
      this.spread = spread;
      this.lastReport = report;
      return report;
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
    this.lifetime.check();
    const o = checkOptions("options", options, sampleNames);
    const run = this.checkRun(o);
    return this.run(run, (signal) => this.read("condition", condition, signal), o.onProgress);
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
    return this.steps(copyCondition(condition), options && { ...options });
  }

  private async *steps(
    condition: Condition,
    options: (SampleOptions & { every?: number }) | undefined,
  ): AsyncGenerator<SampleStep, Samples, undefined> {
    this.lifetime.check();
    const o = checkOptions("options", options, [...sampleNames, "every"]);
    const every = checkInteger("every", o.every, 0, { min: 1 });
    const run = this.checkRun(o);
    const { allSteps: steps, seed } = run;
    const stop = new AbortController();
    const scope = this.lifetime.open("sampleSteps", run.signal);
    const forward = (): void => stop.abort(scope.signal.reason);
    scope.signal.addEventListener("abort", forward, { once: true });
    const queue: NativeSampleProgress[] = [];
    let wake = (): void => undefined;
    let ended: { result: NativeSampleResult } | { error: unknown } | undefined;
    const onProgress = (progress: NativeSampleProgress): void => {
      const wanted = every > 0 && progress.step % every === 0;
      queue.push(wanted ? progress : { ...progress, latents: undefined });
      o.onProgress?.({ step: progress.step, steps: progress.steps, energies: progress.energies });
      wake();
    };
    try {
      const plan = this.plan(run, await this.read("condition", condition, scope.signal));
      const running = this.chains(plan, stop.signal, onProgress, every > 0).then(
        (result) => (ended = { result }),
        (error: unknown) => (ended = { error }),
      );
      void running.then(() => {
        scope.settle(); // an iteration that nobody goes on with must not keep `await using` waiting
        wake();
      });
      for (;;) {
        const next = queue.shift();
        if (next) {
          if (next.step >= steps) continue; // the last step comes from the result
          const latents = next.latents && this.latentTensor(next.latents);
          const images = latents && (await this.imagesOf(latents.data, stop.signal));
          yield {
            step: next.step,
            steps,
            energies: next.energies,
            seed,
            ...(latents ? { latents, images } : {}),
          };
        } else if (ended) break;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
      if ("error" in ended) throw ended.error;
      const { result } = ended;
      const samples = await this.finish(plan, result, stop.signal);
      await rememberRules();
      yield {
        step: steps,
        steps,
        energies: samples.energies,
        latents: samples.latents,
        images: samples.images,
        seed,
      };
      return samples;
    } finally {
      scope.signal.removeEventListener("abort", forward);
      stop.abort();
      scope.close();
    }
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
    this.lifetime.check();
    const o = checkOptions("options", options, [...sampleNames, "points"]);
    const points = checkInteger("points", o.points, 9, { min: 1, max: 2 ** 16 });
    const single = async (name: string, value: Condition, signal: AbortSignal): Promise<ConditionRows> => {
      const rows = await this.read(name, value, signal);
      if (rows.count !== 1) throw new ArgumentError(`${name}: expected one condition, got ${rows.count}`);
      return rows;
    };
    const between = async (signal: AbortSignal): Promise<ConditionRows> => {
      const [a, b] = await Promise.all([single("from", from, signal), single("to", to, signal)]);
      return interpolated(a, b, points, this.conditionKind);
    };
    return this.run(this.checkRun(o), between, o.onProgress);
  }

  /**
   * Splits latents [n, d] into a tensor for each of the generator's inputs, by name. A group of latent.product() is the
   * input of its name.
   */
  splitLatents(latents: Tensor): Record<string, Tensor> {
    return latentTensors(latents.data, this.checkLatents(latents), this.objective.inputs);
  }

  /** Images [n, C, H, W] of latents [n, d], in the generator's range. */
  async generate(latents: Tensor, options?: { signal?: AbortSignal }): Promise<Images> {
    const o = checkOptions("options", options, ["signal"]);
    checkSignal("signal", o.signal);
    const n = this.checkLatents(latents);
    checkMemory(`generate: ${n} images`, 2 * 4 * n * elementCount(this.imageShape));
    const { data } = copyTensor(latents);
    return this.job("generate", o.signal, (signal) => this.imagesOf(data, signal));
  }

  /**
   * The conditions [n, m] that the images of latents [n, d] satisfy, by the encoder's output: class probabilities,
   * directions or the output itself. Where the pairEncoder is a model, it takes the encoder's place.
   */
  async encode(latents: Tensor, options?: { signal?: AbortSignal }): Promise<Tensor> {
    const o = checkOptions("options", options, ["signal"]);
    checkSignal("signal", o.signal);
    const n = this.checkLatents(latents);
    if (typeof this.objective.pairEncoder === "function")
      throw new ArgumentError(
        "encode: not with a pairEncoder that is a function; call it with the images of generate()",
      );
    const { data } = copyTensor(latents);
    return this.job("encode", o.signal, async (signal) => {
      const map = await this.objective.conditions(signal);
      const [output] = await runJob("encode", signal, () => map.run({ owned: data }, n));
      return { data: output!.data, shape: [n, this.conditionSize] };
    });
  }

  /** Draws [count, d] of the prior. A seed has one endless list of draws; these begin at number `first` (default 0). */
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
    return this.job("drawPrior", o.signal, async (signal) => {
      const data = await this.objective.source.draw(seed, 0, first, count, { signal });
      return { data, shape: [count, this.latentSize] };
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
    this.lifetime.check();
    const translator = this.trained();
    const bytes = await encodeTranslatorFile(this.objective, translator, this.spread, {
      translator: this.translatorSettings,
      seed: this.seed,
      fixedSeed: this.fixedSeed,
      training: this.lastReport,
    });
    await writeFileAtomic(path, bytes);
  }

  /**
   * Cancels running calls, which reject with ERR_DISPOSED, and frees everything except models that the caller loaded.
   * Later calls of dispose() do nothing. `await using` also waits until nothing runs any more.
   */
  dispose(): void {
    if (!this.lifetime.dispose()) return;
    this.current?.dispose();
    this.objective.dispose();
    this.opened.dispose();
    for (const model of this.owned) model[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
    await this.lifetime.settled();
  }

  /** Runs `body` under a signal that also fires when this is disposed, and keeps what it found out about the models. */
  private job<T>(
    what: string,
    signal: AbortSignal | undefined,
    body: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return this.lifetime.run(what, signal, async (joined) => {
      const result = await body(joined);
      await rememberRules();
      return result;
    });
  }

  private trained(): Translator {
    if (!this.current)
      throw new Tr0nError(
        "ERR_NOT_TRAINED",
        "this Tr0n has no translator yet: call train(), or Tr0n.load a saved one",
      );
    return this.current;
  }

  private checkLatents(latents: Tensor): number {
    this.lifetime.check();
    checkTensor("latents", latents, { finite: true });
    const [n = 0, d] = latents.shape;
    if (latents.shape.length !== 2 || d !== this.latentSize)
      throw new ArgumentError(
        `latents: expected the shape [n, ${this.latentSize}], got ${shapeText(latents.shape)}`,
        {
          code: "ERR_SHAPE_MISMATCH",
        },
      );
    if (n === 0) throw new ArgumentError("latents: expected at least one row, got none");
    return n;
  }

  private read(name: string, condition: Condition, signal: AbortSignal): Promise<ConditionRows> {
    return readCondition(name, condition, this, signal);
  }

  private checkRun(o: SampleOptions): SamplingRun {
    const point = this.current?.deterministic === true;
    const chosen = point && o.sampler === undefined ? sampler.mala() : checkSampler("sampler", o.sampler);
    if (point && needsDensity(chosen))
      throw new ArgumentError(
        'sampler: resampling weighs candidates by the translator\'s density, and this one, trained with the loss "mse", is ' +
          "deterministic: it has none. Use sampler.mala(), langevin(), hybrid() or direct(), which start from its point",
      );
    const steps = samplerSteps(chosen, o.steps);
    const count = checkInteger("count", o.count, 1, { min: 1, max: 2 ** 32 - 1 });
    const seed = o.seed === undefined ? randomSeed() : checkSeed("seed", o.seed);
    checkFunction("onProgress", o.onProgress);
    checkSignal("signal", o.signal);
    this.samplerConfig(chosen, steps, seed); // refuses what does not fit the latent
    if (needsTranslator(chosen)) this.trained();
    if (steps > 0) this.objective.requireGradient(`sampler: ${chosen.kind}() with ${steps} steps`);
    const allSteps = steps * (chosen.kind === "resample" ? chosen.options.rounds : 1);
    return { count, steps, allSteps, sampler: chosen, seed, signal: o.signal };
  }

  private samplerConfig(chosen: Sampler, steps: number, seed: number): NativeSamplerConfig {
    const { flat, latent } = this.objective;
    return nativeSampler(
      chosen,
      steps,
      flat.prior,
      latent,
      seed,
      this.auxiliary?.name,
      this.lastReport?.pilot.stepSizes,
    );
  }

  private plan(run: SamplingRun, rows: ConditionRows): SamplingPlan {
    // Images and their native copy, and the sampler's state of a chain.
    const perChain = 4 * (2 * elementCount(this.imageShape) + 12 * this.latentSize + 8);
    checkMemory(`sample: ${rows.count} × ${run.count} samples`, rows.count * run.count * perChain);
    return { ...run, rows };
  }

  private run(
    run: SamplingRun,
    read: (signal: AbortSignal) => Promise<ConditionRows>,
    onProgress: SampleOptions["onProgress"],
  ): Promise<Samples> {
    return this.job("sample", run.signal, async (signal) => {
      const plan = this.plan(run, await read(signal));
      const report =
        onProgress &&
        ((p: NativeSampleProgress): void =>
          onProgress({ step: p.step, steps: p.steps, energies: p.energies }));
      return this.finish(plan, await this.chains(plan, signal, report, false), signal);
    });
  }

  /** Runs the chains natively. */
  private async chains(
    plan: SamplingPlan,
    signal: AbortSignal,
    onProgress: ((progress: NativeSampleProgress) => void) | undefined,
    latents: boolean,
  ): Promise<NativeSampleResult> {
    const { rows, count, steps, sampler, seed } = plan;
    const { source } = this.objective;
    const config = this.samplerConfig(sampler, steps, seed);
    const streams = conditionStreams(rows);
    const starts =
      startsAtPrior(sampler) && !source.exact ? await this.priorStarts(plan, streams, signal) : undefined;
    const objective = await this.objective.native(steps > 0, signal).catch((error: unknown) => {
      throw withAdvice(error);
    });
    const request: NativeSampleRequest = {
      objective,
      translator: needsTranslator(sampler) ? this.trained().native : null,
      device: this.device,
      prior: source.density,
      config,
      ...(this.auxiliary && needsTranslator(sampler)
        ? { auxiliary: { begin: this.auxiliary.begin, stds: this.spread } }
        : {}),
      conditions: rows.data,
      translatorConditions: rows.translator,
      conditionCount: rows.count,
      streams,
      count,
      starts,
      every: 1,
      latents,
    };
    try {
      return await runJobWithProgress("sample", signal, onProgress, (report) =>
        native().sample(request, report),
      );
    } catch (error) {
      throw withAdvice(error); // TorchScript shows only in its backward pass that there is none
    }
  }

  /** Draws of a prior that native code cannot draw: chain (stream, i) is number i of its stream. */
  private async priorStarts(
    plan: SamplingPlan,
    streams: Uint32Array,
    signal: AbortSignal,
  ): Promise<Float32Array> {
    const { rows, count, seed } = plan;
    const starts = new Float32Array(rows.count * count * this.latentSize);
    for (const [b, stream] of streams.entries())
      starts.set(
        await this.objective.source.draw(seed, stream, 0, count, { signal }),
        b * count * this.latentSize,
      );
    return starts;
  }

  private async finish(
    plan: SamplingPlan,
    result: NativeSampleResult,
    signal: AbortSignal,
  ): Promise<Samples> {
    const images = await this.imagesOf(result.latents, signal);
    return {
      images,
      latents: this.latentTensor(result.latents),
      energies: result.energies,
      seed: plan.seed,
      ess: result.ess,
      candidates: result.candidates,
      acceptance: result.acceptance,
      stepSizes: result.stepSizes,
      trace: { data: result.trace, shape: [result.trace.length / plan.rows.count, plan.rows.count] },
      evaluations: { forwards: result.forwards, gradients: result.gradients },
      warnings: samplingWarnings(plan, result),
    };
  }

  private latentTensor(data: Float32Array): Tensor {
    return { data, shape: [data.length / this.latentSize, this.latentSize] };
  }

  private async imagesOf(latents: Float32Array, signal: AbortSignal): Promise<Images> {
    this.lifetime.check();
    const n = latents.length / this.latentSize;
    const map = await this.objective.images(signal);
    const [output] = await runJob("generate", signal, () => map.run(latents, n));
    return { data: output!.data, shape: [n, ...this.imageShape], range: this.generatorRange };
  }
}

async function openMappings(
  given: LoadModels["mapping"],
  open: (name: string, model: Model | string) => Promise<Model>,
): Promise<Mappings> {
  if (given === undefined) return undefined;
  if (typeof given === "string" || (given !== null && typeof given === "object" && "run" in given))
    return open("models.mapping", given as Model | string);
  if (given === null || typeof given !== "object")
    throw invalid("models.mapping", "a Model, a path, or these by the generator's inputs", given);
  const opened: Record<string, Model> = {};
  for (const [name, model] of Object.entries(given))
    opened[name] = await open(`models.mapping.${name}`, model);
  return opened;
}

/** @throws ArgumentError, Tr0nError ERR_DEVICE_UNAVAILABLE */
function checkCompute(prefix: string, o: { device?: Device; precision?: Precision }): Compute {
  return {
    precision: checkPrecision(`${prefix}precision`, o.precision),
    device: checkDevice(`${prefix}device`, o.device),
  };
}
