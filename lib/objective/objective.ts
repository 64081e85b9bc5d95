/**
 * Generator → stages → encoder → energy as one pipeline, and the native objects that run it: energies and gradients for
 * the sampler, conditions for training pairs, images for results. Every model has one thread and rows are run in blocks
 * on tr0n's pool, so results do not depend on how a batch is split.
 */
import { setMaxListeners } from "node:events";
import { augmentGraph, checkAugmentable, nativeAugmentation, type Augmentation } from "./augment.js";
import { keepRules, rulesOf } from "../model/block-rules.js";
import type { Decisions } from "../base/decisions.js";
import { differentiateSimplified } from "../model/differentiate.js";
import type { EncoderKind } from "./encoder-kind.js";
import {
  energy as energies,
  flattenComplete,
  type ConditionKind,
  type Energy,
  type FlatEnergy,
} from "./energy.js";
import { ArgumentError, Tr0nError } from "../base/errors.js";
import { assemble, joinedBatch, type Assembly } from "./assembly.js";
import { probeSeed } from "./trial.js";
import { stagedShape } from "./stage-shapes.js";
import type { TriedEncoder } from "./encoder-trial.js";
import { stagedRanges } from "./expected-range.js";
import type { Range } from "../base/range.js";
import { nearbyConditions, refuseBarrier, tellZeroGradient } from "./gradient-check.js";
import { conditionGraph } from "./condition-graph.js";
import { energyGraph } from "./energy-graph.js";
import { stageGraph } from "./stage-graphs.js";
import type { ObjectiveOptions, PairFunction } from "./options.js";
import { abortable, callNative, runJob, throwIfAborted } from "../native/job.js";
import type { Latent } from "../latent/latent.js";
import type { Density } from "../latent/kinds/kind.js";
import { latentGraph, latentTensors, type LatentInput } from "../latent/inputs.js";
import type { LatentSource } from "../latent/source.js";
import type { Model } from "../model/interface.js";
import { loadedModel, type LoadedModel } from "../model/model.js";
import { native } from "../native/binding.js";
import type { NativeBlockRule, NativeObjective, NativeRowMap } from "../native/types/pipeline.js";
import type { NativeSession } from "../native/types/models.js";
import { removeDead, toRunSteps, type Graph } from "../onnx/index.js";
import { openingStage, type OnOpening } from "../base/opening.js";
import { probeOf, ReferenceRuns, type Probe } from "../model/output-guard.js";
import { Pipeline } from "../model/pipeline.js";
import type { PipelineOptions } from "../model/pipeline-links.js";
import type { Stage } from "./stages.js";
import { segmentSessions } from "../model/row-facts.js";
import { inSlices } from "../model/slices.js";
import { elementCount, knownElementCount, type Tensor } from "../base/tensor.js";
import { openGraph } from "../model/weights.js";

export class Objective {
  readonly generator: LoadedModel;
  readonly encoder: LoadedModel;
  readonly stages: readonly Stage[];
  /** What the energy is averaged over; conditions and images are of the image as it is. */
  readonly augment: Augmentation | undefined;
  readonly pairEncoder: LoadedModel | PairFunction | undefined;
  readonly latent: Latent;
  /** One latent as the generator takes it, e.g. [64] or [64, 1, 1]. */
  readonly latentShape: readonly number[];
  /** [C, H, W] */
  readonly imageShape: readonly number[];
  /** The numbers of black and of white in the generator's images. */
  readonly range: Range;
  /** m */
  readonly conditionSize: number;
  readonly energy: Energy;
  readonly flat: FlatEnergy;
  readonly generatorOutput: string;
  readonly encoderOutput: string;
  readonly decisions: Decisions;
  private opened: { dispose(): void }[] = [];
  private readonly lazy = new Map<string, Making<unknown>>();
  private readonly maxBatch: number;
  private readonly runs = new ReferenceRuns();
  private readonly onOpening: OnOpening | undefined;
  private disposed = false;
  /** Whether the gradient was tried. */
  private probed = false;

  private constructor(
    options: ObjectiveOptions,
    private readonly assembly: Assembly,
    mappings: readonly { dispose(): void }[],
  ) {
    this.opened.push(...mappings);
    this.generator = assembly.generator;
    this.encoder = assembly.encoder.model;
    this.stages = options.stages;
    this.augment = options.augment;
    this.pairEncoder = options.pairEncoder;
    this.maxBatch = options.maxBatch;
    this.decisions = options.decisions;
    this.onOpening = options.onOpening;
    this.latent = assembly.latent;
    this.latentShape = assembly.latentShape;
    this.imageShape = assembly.imageShape;
    this.range = assembly.range;
    this.conditionSize = elementCount(assembly.encoder.row);
    this.energy = assembly.energy;
    this.flat = assembly.flat;
    this.generatorOutput = assembly.generatorOutput;
    this.encoderOutput = assembly.encoder.output;
    const { inputs, images } = assembly.tried;
    this.runs.note(this.generator, inputs, { [this.generatorOutput]: images });
  }

  /**
   * Checks that everything fits, running both models on latents of the prior.
   *
   * @throws ArgumentError (ERR_SHAPE_MISMATCH where two things do not fit), ModelError, AbortError
   */
  static async create(options: ObjectiveOptions): Promise<Objective> {
    const mappings: { dispose(): void }[] = [];
    try {
      const assembly = await assemble(options, (mapping, base, dim) =>
        openMapping(mapping, base, dim, options.maxBatch, mappings),
      );
      if (options.augment) checkAugmentable(assembly.imageShape);
      return new Objective(options, assembly, mappings);
    } catch (error) {
      for (const item of mappings.reverse()) item.dispose();
      throw error;
    }
  }

  /** Draws latents, and knows the density that samplers take for the prior. */
  get source(): LatentSource {
    return this.assembly.source;
  }

  /** @throws ModelError ERR_NO_GRADIENT where it is known beforehand that `what` has no gradient to follow */
  requireGradient(what: string, advice?: string): void {
    refuseBarrier(what, this.assembly.barrier, advice);
  }

  get conditionKind(): ConditionKind {
    return this.flat.condition;
  }

  /** Numbers of a latent. */
  get latentSize(): number {
    return this.latent.dim;
  }

  /** The generator's inputs, and which numbers of a latent each takes. */
  get inputs(): readonly LatentInput[] {
    const { inputs, latentShape, latent, generator } = { ...this.assembly, generator: this.generator };
    const name = generator.inputs[0]!.name;
    return inputs ?? [{ name, begin: 0, size: latent.dim, row: latentShape, broadcast: false }];
  }

  /** Latents [n, d] → images. */
  images(signal?: AbortSignal): Promise<NativeRowMap> {
    return this.once("images", signal, (stop) => {
      const name = `${this.generator.name} (images)`;
      const options = this.opening(name, this.assembly.generatorBatch, this.latentProbe, stop);
      return this.rowMap("images", () => this.generated(stop), options);
    });
  }

  /** Latents [n, d] → conditions [n, m] for training. Not for a pairEncoder that is a function. */
  conditions(signal?: AbortSignal): Promise<NativeRowMap> {
    return this.once("conditions", signal, async (stop) => {
      const { pairEncoder } = this;
      if (typeof pairEncoder === "function") throw new Tr0nError("ERR_INTERNAL", "a function has no graph");
      const tried = pairEncoder ? this.assembly.pair! : this.assembly.encoder;
      const join = async (): Promise<Pipeline> => {
        const pipeline = await this.encoded(tried, stop);
        await this.appendCondition(pipeline, tried);
        return pipeline;
      };
      const options = this.opening("generator → encoder", this.batchWith(tried), this.latentProbe, stop);
      return this.rowMap("conditions", join, options);
    });
  }

  /**
   * E(z, c), and its gradient where `gradient` is true.
   *
   * @throws ModelError ERR_NO_GRADIENT when the gradient is wanted and an operator on its path has none
   */
  async native(gradient: boolean, signal?: AbortSignal): Promise<NativeObjective> {
    if (!gradient && this.lazy.has("gradient")) return this.native(true, signal);
    const objective = await this.once(gradient ? "gradient" : "energy", signal, (stop) =>
      this.augment
        ? this.augmented(this.augment, gradient, stop)
        : this.withEnergy(
            "energy",
            this.flat,
            () => this.staged(stop),
            this.fixedBatch,
            gradient,
            this.latentProbe,
            stop,
          ),
    );
    if (gradient && !this.probed) await this.probeGradient(objective, signal);
    return objective;
  }

  /** Tells of a gradient that is 0 on the latents that everything was tried with. What fails here fails in a run, too. */
  private async probeGradient(objective: NativeObjective, signal: AbortSignal | undefined): Promise<void> {
    this.probed = true;
    const { outputs } = this.assembly.encoder;
    const n = Math.min(2, outputs.shape[0]!);
    try {
      const z = await this.source.draw(probeSeed, 0, 0, n, { signal });
      const c = nearbyConditions(outputs, n, this.conditionKind);
      const { gradients } = await runJob("sample", signal, () => objective.evaluate(z, c, n));
      tellZeroGradient(gradients, n, this.decisions);
    } catch (error) {
      if (!signal?.aborted) return;
      this.probed = false;
      throw error;
    }
  }

  /**
   * −cos(c, f(G(z))) and its gradient, whatever else the energy has: what a translator can be trained on.
   *
   * @throws ArgumentError where conditions are no embeddings; ModelError ERR_NO_GRADIENT
   */
  cosine(signal?: AbortSignal): Promise<NativeObjective> {
    if (this.conditionKind !== "unit")
      throw new ArgumentError(
        `loss: "cosine" compares embeddings, but with this energy conditions are ${
          this.conditionKind === "probabilities" ? "class probabilities" : "raw outputs"
        }; use energy.cosine(), or the loss "nll"`,
      );
    return this.once("cosine", signal, (stop) =>
      this.withEnergy(
        "cosine",
        flattenComplete(energies.cosine()),
        () => this.staged(stop),
        this.fixedBatch,
        true,
        this.latentProbe,
        stop,
      ),
    );
  }

  private async rowMap(
    stage: string,
    join: () => Promise<Pipeline>,
    options: PipelineOptions,
  ): Promise<NativeRowMap> {
    const step = openingStage(this.onOpening, stage, 2);
    const pipeline = await join();
    step();
    const map = this.keep(await pipeline.rowMap(options));
    step();
    return map;
  }

  /** Stages, encoder and an energy behind what `start` makes. */
  private async withEnergy(
    what: string,
    flat: FlatEnergy,
    start: () => Promise<Pipeline>,
    fixedBatch: number,
    gradient: boolean,
    probe: Probe,
    stop: AbortSignal,
  ): Promise<NativeObjective> {
    const tried = this.assembly.encoder;
    const step = openingStage(
      this.onOpening,
      gradient && what === "energy" ? "gradient" : what,
      gradient ? 3 : 2,
    );
    const pipeline = await start();
    await this.appendEncoder(pipeline, tried);
    const energy = energyGraph(flat, pipeline.dims, this.conditionSize, tried.kind);
    await pipeline.graph(energy, { name: "energy", row: [], prefix: "energy/" });
    const options = this.sharing("generator → energy", fixedBatch, what, probe, stop);
    step();
    const objective = this.keep(await pipeline.objective(gradient, this.conditionSize, options, step));
    step();
    return objective;
  }

  /** The mean of the energy over augmented copies, which are rows of their own behind the generator. */
  private async augmented(
    augment: Augmentation,
    gradient: boolean,
    stop: AbortSignal,
  ): Promise<NativeObjective> {
    const { encoderBatch, imageShape, maxBatch } = this;
    const limits = { fixedBatch: this.assembly.generatorBatch, maxBatch };
    const sharing = this.sharing("generator", limits.fixedBatch, "energy", this.latentProbe, stop);
    const { open } = sharing;
    const pipeline = await this.generated(stop);
    const generator = await pipeline.asSegments(gradient, sharing);
    const graph = augmentGraph(augment, imageShape, { range: this.range });
    const objective = await this.withEnergy(
      "energy",
      this.flat,
      () => this.stagedImages(stop),
      encoderBatch,
      gradient,
      this.imageProbe,
      stop,
    );
    const augmentation = await open(
      await inSlices("preparing the models", toRunSteps(graph), stop),
      "augmentation",
    );
    const transpose = gradient ? await open(await transposed(graph), "augmentation (backward)") : null;
    const sessions = [...segmentSessions(generator), augmentation, ...(transpose ? [transpose] : [])];
    const facts = await pipeline.facts(sessions, limits);
    const config = {
      generator,
      imageShape,
      policy: nativeAugmentation(augment, imageShape),
      augment: augmentation,
      transpose,
      objective,
      ...limits,
      ...facts,
    };
    const augmented = callNative(() => native().createAugmentedObjective(config));
    return this.keep(keepRules(augmented, facts.ruleKey));
  }

  /** Generator and stages: latents → images as the encoder takes them. */
  async staged(signal?: AbortSignal): Promise<Pipeline> {
    const pipeline = await this.generated(signal);
    await this.appendStages(pipeline);
    return pipeline;
  }

  /** Images [n, C, H, W] as the generator makes them → stages, encoder → conditions [n, m]. */
  imageConditions(signal?: AbortSignal): Promise<NativeRowMap> {
    return this.once("image conditions", signal, (stop) => {
      const join = async (): Promise<Pipeline> => {
        const pipeline = await this.stagedImages(stop);
        await this.appendEncoder(pipeline, this.assembly.encoder);
        await this.appendCondition(pipeline, this.assembly.encoder);
        return pipeline;
      };
      const options = this.opening("image → condition", this.encoderBatch, this.imageProbe, stop);
      return this.rowMap("image conditions", join, options);
    });
  }

  /** Rows of one run of generator and encoder together; 0 where that is open. */
  get fixedBatch(): number {
    return this.batchWith(this.assembly.encoder);
  }

  /** Rows of one run of the encoder; 0 where that is open. */
  get encoderBatch(): number {
    return this.assembly.encoder.batch;
  }

  /** In which blocks rows run, as far as that has been found out. */
  get blockRules(): readonly NativeBlockRule[] {
    return rulesOf(this.opened);
  }

  /** What the numbers of the encoder's output mean. */
  get encoderKind(): EncoderKind {
    return this.assembly.encoder.kind;
  }

  /** The same of a pairEncoder; undefined where none is a model. */
  get pairEncoderKind(): EncoderKind | undefined {
    return this.assembly.pair?.kind;
  }

  /** Frees all sessions; running native jobs finish or are cancelled by their owners. */
  dispose(): void {
    this.disposed = true;
    for (const { stop } of this.lazy.values()) stop.abort(disposedError());
    for (const item of this.opened.reverse()) item.dispose();
    this.opened = [];
    this.lazy.clear();
  }

  private batchWith(tried: TriedEncoder): number {
    return joinedBatch(this.assembly.generatorBatch, tried.batch);
  }

  private async generated(signal?: AbortSignal): Promise<Pipeline> {
    const { generatorBatch, inputs, latent } = this.assembly;
    const batch = generatorBatch || "batch";
    const pipeline = new Pipeline(batch, this.latentShape, signal);
    const split = inputs && {
      graph: latentGraph(batch, latent.dim, inputs),
      names: inputs.map(({ name }) => name),
      row: inputs[0]!.row,
      feeds: ({ data, shape }: Tensor) => latentTensors(data, shape[0]!, inputs),
    };
    const output = { output: this.generatorOutput, row: this.imageShape, prefix: "generator/" };
    await pipeline.model(this.generator, { ...output, split });
    return pipeline;
  }

  private async encoded(tried: TriedEncoder, signal: AbortSignal): Promise<Pipeline> {
    const pipeline = await this.staged(signal);
    await this.appendEncoder(pipeline, tried);
    return pipeline;
  }

  /** Stages alone: images as the generator makes them → as the encoder takes them. */
  private async stagedImages(signal: AbortSignal): Promise<Pipeline> {
    const pipeline = new Pipeline(this.encoderBatch || "batch", this.imageShape, signal);
    await this.appendStages(pipeline);
    return pipeline;
  }

  private async appendStages(pipeline: Pipeline): Promise<void> {
    let shape = this.imageShape;
    const { before } = stagedRanges(this.range, this.stages);
    for (const [index, item] of this.stages.entries()) {
      shape = stagedShape(`preprocess[${index}]`, item, shape);
      const graph = stageGraph(item, pipeline.dims, before[index]);
      await pipeline.graph(graph, { name: `stage.${item.kind}`, row: shape, prefix: `stage_${index}/` });
    }
  }

  private appendEncoder(pipeline: Pipeline, { model, output, row }: TriedEncoder): Promise<void> {
    return pipeline.model(model, { output, row, prefix: "encoder/" });
  }

  private appendCondition(pipeline: Pipeline, tried: TriedEncoder): Promise<void> {
    const condition = conditionGraph(pipeline.dims, this.conditionKind, tried.kind);
    return pipeline.graph(condition, { name: "condition", row: [this.conditionSize], prefix: "condition/" });
  }

  /** Latents of the prior, for pipelines that begin with the generator. */
  get latentProbe(): Probe {
    const { latents } = this.assembly.tried;
    const n = latents.length / this.latentSize;
    return probeOf({ data: latents, shape: [n, ...this.latentShape] }, this.runs);
  }

  /** The images of these, for pipelines that begin behind the generator. */
  private get imageProbe(): Probe {
    return probeOf(this.assembly.tried.images, this.runs);
  }

  private opening(name: string, fixedBatch: number, probe: Probe, signal: AbortSignal): PipelineOptions {
    const how = { threads: 1, what: "opening a session", fingerprint: true, signal };
    const open = async (graph: Graph, session: string): Promise<NativeSession> =>
      this.keep(await openGraph(graph, { ...how, name: session }));
    return { name, fixedBatch, maxBatch: this.maxBatch, open, probe };
  }

  /** As {@link opening}; the energies alone and with the gradient share the sessions that they have in common. */
  private sharing(
    name: string,
    fixedBatch: number,
    what: string,
    probe: Probe,
    signal: AbortSignal,
  ): PipelineOptions {
    const options = this.opening(name, fixedBatch, probe, signal);
    const shared: PipelineOptions["open"] = (graph, session) =>
      this.once(`${what} session: ${session}`, signal, (stop) =>
        this.opening(name, fixedBatch, probe, stop).open(graph, session),
      );
    return { ...options, open: shared };
  }

  private keep<T extends { dispose(): void }>(item: T): T {
    if (this.disposed) {
      item.dispose();
      throw disposedError();
    }
    this.opened.push(item);
    return item;
  }

  /**
   * Makes a native object once; a failure is tried again at the next call. The signal ends this call's wait, and the work
   * where nobody else waits for it: `make` gets a signal for that.
   */
  private async once<T>(
    key: string,
    signal: AbortSignal | undefined,
    make: (stop: AbortSignal) => Promise<T>,
  ): Promise<T> {
    throwIfAborted("preparing the models", signal);
    let making = this.lazy.get(key) as Making<T> | undefined;
    if (!making) {
      const stop = new AbortController();
      const started: Making<T> = { made: make(stop.signal), stop, waiting: 0, done: false };
      making = started;
      this.lazy.set(key, started);
      const forget = (): void => {
        if (this.lazy.get(key) === started) this.lazy.delete(key);
      };
      started.made.then(() => (started.done = true), forget);
      stop.signal.addEventListener("abort", forget);
      setMaxListeners(0, stop.signal);
    }
    making.waiting++;
    try {
      return await abortable("preparing the models", making.made, signal);
    } finally {
      if (--making.waiting === 0 && signal?.aborted && !making.done) making.stop.abort(signal.reason);
    }
  }
}

function disposedError(): Tr0nError {
  return new Tr0nError("ERR_DISPOSED", "the Tr0n has been disposed of");
}

/** A native object that is made, or has been. */
interface Making<T> {
  readonly made: Promise<T>;
  /** Ends the work, where it goes on. */
  readonly stop: AbortController;
  /** Calls that wait for it. */
  waiting: number;
  done: boolean;
}

/**
 * (parameters, grad_augmented) → grad_image of an augmentation. It is an affine function of the image, so its gradient
 * needs no image.
 */
async function transposed(graph: Graph): Promise<Graph> {
  const { graph: gradient } = await differentiateSimplified(
    graph,
    { wrt: ["image"], outputs: ["augmented"], keepOutputs: false },
    { name: "augmentation", simplify: true },
  );
  gradient.inputs = gradient.inputs.filter(({ name }) => name !== "image");
  removeDead(gradient);
  return gradient;
}

/** Draws of the base → w. What is opened goes into `opened`. */
async function openMapping(
  mapping: Model,
  base: Density,
  dim: number,
  maxBatch: number,
  opened: { dispose(): void }[],
): Promise<NativeRowMap> {
  const model = loadedModel("mapping", mapping);
  const [input] = model.inputs;
  const [output] = model.outputs;
  const declared = input!.shape.slice(1);
  const known = knownElementCount(declared);
  const fixedBatch = input!.shape[0] ?? 0;
  const row = declared.map((size) => size ?? base.dim / known);
  const rows = async (n: number): Promise<Tensor> => {
    const count = n || 2;
    const data = await runJob("drawing latents", undefined, () =>
      native().drawPrior(base.native, 0n, 0, 0, count),
    );
    return { data, shape: [count, ...row] };
  };
  const pipeline = new Pipeline(fixedBatch || "batch", row);
  await pipeline.model(model, { output: output!.name, row: [dim], prefix: "mapping/" });
  const keep = <T extends { dispose(): void }>(item: T): T => {
    opened.push(item);
    return item;
  };
  return keep(
    await pipeline.rowMap({
      name: `${model.name} (mapping)`,
      fixedBatch,
      maxBatch,
      probe: { rows, runs: new ReferenceRuns() },
      open: async (graph, name) =>
        keep(await openGraph(graph, { threads: 1, name, what: "opening a session", fingerprint: true })),
    }),
  );
}
