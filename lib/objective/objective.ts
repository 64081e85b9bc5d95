/**
 * Generator → stages → encoder → energy as one pipeline, and the native objects that run it: energies and gradients for
 * the sampler, conditions for training pairs, images for results. Every model has one thread and rows are run in blocks
 * on tr0n's pool, so results do not depend on how a batch is split.
 */
import { notAugmentable, type Augmentation } from "./augment.js";
import { rulesOf } from "../model/block-rules.js";
import type { Decisions } from "../base/decisions.js";
import type { EncoderKind } from "./encoder-kind.js";
import {
  energy as energies,
  flattenComplete,
  type ConditionKind,
  type Energy,
  type FlatEnergy,
} from "./energy.js";
import { ArgumentError, Tr0nError } from "../base/errors.js";
import { assemble, type Assembly } from "./assembly.js";
import { probeSeed } from "./trial.js";
import type { TriedEncoder } from "./encoder-trial.js";
import type { Range } from "../base/range.js";
import { nearbyConditions, refuseBarrier, tellZeroGradient } from "./gradient-check.js";
import type { ObjectiveOptions, PairFunction } from "./options.js";
import { runJob } from "../native/job.js";
import type { Latent } from "../latent/latent.js";
import type { LatentInput } from "../latent/inputs.js";
import type { LatentSource } from "../latent/source.js";
import type { LoadedModel } from "../model/model.js";
import { onCpu, type ModelPlace } from "../native/placement.js";
import type { NativeBlockRule, NativeObjective, NativeRowMap } from "../native/types/pipeline.js";
import { MadeOnce } from "./made-once.js";
import { Joining } from "./joining.js";
import { runStages } from "./probe.js";
import { devicesOf, holdDevice } from "./device-hold.js";
import { Sessions, type Opening } from "./sessions.js";
import { openMapping } from "./mapping.js";
import { augmentedObjective } from "./augmented.js";
import { openingStage, type OnOpening } from "../base/opening.js";
import { probeOf, ReferenceRuns, type Probe } from "../model/output-guard.js";
import type { Pipeline } from "../model/pipeline.js";
import type { PipelineOptions } from "../model/pipeline-links.js";
import type { Stage } from "./stages.js";
import type { PictureLayout } from "../base/layout.js";
import { elementCount } from "../base/tensor.js";

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
  /** Where models run that were loaded without a device of their own, and how. */
  readonly place: ModelPlace;
  private readonly made: MadeOnce;
  private readonly joining: Joining;
  private readonly sessions: Sessions;
  private readonly runs = new ReferenceRuns();
  private readonly onOpening: OnOpening | undefined;
  /** Whether the gradient was tried. */
  private probed = false;

  private constructor(
    options: ObjectiveOptions,
    private readonly assembly: Assembly,
    opened: readonly { dispose(): void }[],
  ) {
    this.made = new MadeOnce(opened);
    this.place = options.place ?? onCpu;
    this.joining = new Joining(assembly, this.place.device);
    this.sessions = new Sessions(this.made, options.maxBatch, this.place, (told) =>
      options.decisions.add(told),
    );
    this.generator = assembly.generator;
    this.encoder = assembly.encoder.model;
    this.stages = options.stages;
    this.augment = options.augment;
    this.pairEncoder = options.pairEncoder;
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
    const { maxBatch, place = onCpu } = options;
    const opened: { dispose(): void }[] = [];
    try {
      const used = devicesOf(options);
      for (const device of used) opened.push(await holdDevice(device, options));
      const assembly = await assemble(options, (mapping, base, dim) =>
        openMapping(mapping, base, dim, maxBatch, place, opened),
      );
      if (options.augment && assembly.pictures.plainAt === null) throw notAugmentable(assembly.imageShape);
      return new Objective(options, assembly, opened);
    } catch (error) {
      for (const item of opened.reverse()) item.dispose();
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
    return this.made.once("images", signal, (stop) => {
      const options = this.sessions.own({
        ...{ name: `${this.generator.name} (images)`, fixedBatch: this.assembly.generatorBatch },
        ...{ probe: this.latentProbe, signal: stop },
      });
      return this.rowMap("images", options, () => this.joining.generated(stop));
    });
  }

  /** Latents [n, d] → conditions [n, m] for training. Not for a pairEncoder that is a function. */
  conditions(signal?: AbortSignal): Promise<NativeRowMap> {
    return this.made.once("conditions", signal, async (stop) => {
      const { pairEncoder } = this;
      if (typeof pairEncoder === "function") throw new Tr0nError("ERR_INTERNAL", "a function has no graph");
      const tried = pairEncoder ? this.assembly.pair! : this.assembly.encoder;
      const options = this.sessions.own({
        ...{ name: "generator → encoder", fixedBatch: this.batchWith(tried) },
        ...{ probe: this.latentProbe, signal: stop },
      });
      return this.rowMap("conditions", options, async () => {
        const pipeline = await this.joining.staged(stop);
        await this.joining.appendCondition(pipeline, tried);
        return pipeline;
      });
    });
  }

  /**
   * E(z, c), and its gradient where `gradient` is true.
   *
   * @throws ModelError ERR_NO_GRADIENT when the gradient is wanted and an operator on its path has none
   */
  async native(gradient: boolean, signal?: AbortSignal): Promise<NativeObjective> {
    if (!gradient && this.made.has("gradient")) return this.native(true, signal);
    const objective = await this.made.once(gradient ? "gradient" : "energy", signal, (stop) =>
      this.augment
        ? this.augmented(this.augment, gradient, stop)
        : this.latentEnergy("energy", this.flat, gradient, stop),
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
    return this.made.once("cosine", signal, (stop) =>
      this.latentEnergy("cosine", flattenComplete(energies.cosine()), true, stop),
    );
  }

  private async rowMap(
    stage: string,
    options: PipelineOptions,
    join: () => Promise<Pipeline>,
  ): Promise<NativeRowMap> {
    const step = openingStage(this.onOpening, stage, 2);
    const pipeline = await join();
    step();
    const map = this.made.keep(await pipeline.rowMap(options));
    step();
    return map;
  }

  /** Stages, encoder and an energy behind latents. */
  private latentEnergy(
    what: "energy" | "cosine",
    flat: FlatEnergy,
    gradient: boolean,
    stop: AbortSignal,
  ): Promise<NativeObjective> {
    const { fixedBatch, latentProbe: probe } = this;
    const options = { name: "generator → energy", fixedBatch, probe, signal: stop };
    return this.withEnergy(what, flat, gradient, options, () => this.joining.staged(stop));
  }

  /** Encoder and an energy behind what `start` makes. */
  private async withEnergy(
    what: "energy" | "cosine",
    flat: FlatEnergy,
    gradient: boolean,
    opening: Opening,
    start: () => Promise<Pipeline>,
  ): Promise<NativeObjective> {
    const stage = gradient && what === "energy" ? "gradient" : what;
    const step = openingStage(this.onOpening, stage, gradient ? 3 : 2);
    const pipeline = await start();
    await this.joining.appendEnergy(pipeline, flat);
    const options = this.sessions.shared(what, opening);
    step();
    const objective = this.made.keep(await pipeline.objective(gradient, this.conditionSize, options, step));
    step();
    return objective;
  }

  private async augmented(
    augment: Augmentation,
    gradient: boolean,
    stop: AbortSignal,
  ): Promise<NativeObjective> {
    const { encoderBatch, range } = this;
    const imageShape = this.joining.plainShape;
    const options = this.sessions.shared("energy", {
      ...{ name: "generator", fixedBatch: this.assembly.generatorBatch },
      ...{ probe: this.latentProbe, signal: stop },
    });
    const behind = {
      ...{ name: "generator → energy", fixedBatch: encoderBatch },
      ...{ probe: await this.plainProbe(stop), signal: stop },
    };
    const generator = await this.joining.plain(stop);
    const objective = (): Promise<NativeObjective> =>
      this.withEnergy("energy", this.flat, gradient, behind, () => this.joining.stagedImages(stop, true));
    const images = { augment, imageShape, range };
    return this.made.keep(await augmentedObjective(images, generator, gradient, options, objective, stop));
  }

  /** Generator and stages: latents → images as the encoder takes them. */
  staged(signal?: AbortSignal): Promise<Pipeline> {
    return this.joining.staged(signal);
  }

  /** Images [n, C, H, W] as the generator makes them → stages, encoder → conditions [n, m]. */
  imageConditions(signal?: AbortSignal): Promise<NativeRowMap> {
    return this.made.once("image conditions", signal, (stop) => {
      const { encoder } = this.assembly;
      const options = this.sessions.own({
        ...{ name: "image → condition", fixedBatch: this.encoderBatch },
        ...{ probe: this.imageProbe, signal: stop },
      });
      return this.rowMap("image conditions", options, async () => {
        const pipeline = await this.joining.stagedImages(stop);
        await this.joining.appendCondition(pipeline, encoder);
        return pipeline;
      });
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
    return rulesOf(this.made.items);
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
    this.made.dispose();
  }

  private batchWith(tried: TriedEncoder): number {
    // Where both take a number of their own, the smaller batches run within the larger.
    return Math.max(this.assembly.generatorBatch, tried.batch);
  }

  /** Latents of the prior, for pipelines that begin with the generator. */
  get latentProbe(): Probe {
    const { latents } = this.assembly.tried;
    const n = latents.length / this.latentSize;
    return probeOf({ data: latents, shape: [n, ...this.latentShape] }, this.runs);
  }

  /** How rows of the generator are pictures; null where they are none, or nobody can tell. */
  get layout(): PictureLayout | null {
    return this.assembly.pictures.layout;
  }

  /** The images of these as [C, H, W]. */
  private async plainProbe(signal: AbortSignal): Promise<Probe> {
    const { tried, chain, pictures } = this.assembly;
    const moves = chain.slice(0, pictures.plainAt ?? 0);
    if (moves.length === 0) return this.imageProbe;
    const ranges = moves.map(() => this.range);
    const data = await runStages(tried.images.data, moves, ranges, signal);
    return probeOf({ data, shape: [tried.images.shape[0]!, ...this.joining.plainShape] }, this.runs);
  }

  /** The images of these, for pipelines that begin behind the generator. */
  private get imageProbe(): Probe {
    return probeOf(this.assembly.tried.images, this.runs);
  }
}
