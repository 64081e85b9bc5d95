/** What a Tr0n is made of: models joined, a translator once there is one, the device that it keeps open. */
import { isPlain } from "../base/layout.js";
import { checkTensor, type Tensor } from "../base/tensor.js";
import { shapeText } from "../base/check.js";
import { ArgumentError, Tr0nError } from "../base/errors.js";
import type { Images } from "../base/image.js";
import { readCondition } from "../condition/reader.js";
import type { Condition } from "../condition/condition.js";
import type { ConditionRows } from "../condition/rows.js";
import type { TextFunction } from "../condition/text-encoder.js";
import { rememberRules } from "../model/block-rules.js";
import type { Model } from "../model/interface.js";
import type { Compute } from "../native/devices.js";
import { Lifetime, runJob } from "../native/job.js";
import type { NativeDevice } from "../native/types/devices.js";
import { outsideLatents } from "../latent/outside.js";
import type { Objective } from "../objective/objective.js";
import type { TranslatorSettings } from "../training/options.js";
import type { TrainReport } from "../training/report.js";
import type { trainTranslator } from "../training/training.js";
import { auxiliaryGroup, type AuxiliaryGroup } from "../translator/auxiliary.js";
import type { Translator } from "../translator/translator.js";

/** Of what a Tr0n is made. */
interface Made {
  readonly objective: Objective;
  readonly settings: TranslatorSettings;
  readonly seed: number;
  /** Whether the seed was chosen by the caller. */
  readonly fixedSeed: boolean;
  readonly compute: Compute;
  readonly textEncoder: TextFunction | undefined;
  readonly opened: NativeDevice;
}

export class State {
  readonly lifetime = new Lifetime("the Tr0n");
  readonly objective: Objective;
  /** What the translator's options said. */
  readonly settings: TranslatorSettings;
  /** Decides training where `train` has no seed of its own. */
  readonly seed: number;
  readonly fixedSeed: boolean;
  readonly compute: Compute;
  /** What `{ text }` conditions go through. */
  readonly textEncoder: TextFunction | undefined;
  readonly auxiliary: AuxiliaryGroup | null;
  /** null before train() or load(). */
  translator: Translator | null = null;
  /** Deviations of the auxiliary group about its head's output; null without one. */
  spread: Float32Array | null = null;
  report: TrainReport | null = null;
  /** Models that go with this. */
  readonly owned: Model[] = [];
  /** The saved Tr0n had a pairEncoder that was not given to load(). */
  missingPairEncoder = false;
  /** Keeps the device open from one call to the next. */
  private readonly opened: NativeDevice;

  constructor(made: Made) {
    this.objective = made.objective;
    this.settings = made.settings;
    this.seed = made.seed;
    this.fixedSeed = made.fixedSeed;
    this.compute = made.compute;
    this.textEncoder = made.textEncoder;
    this.opened = made.opened;
    const { latent } = made.objective;
    this.auxiliary = auxiliaryGroup("translator.auxiliary", made.settings.auxiliary, latent);
  }

  /** Puts what training gave in the place of what was there. */
  adopt({ translator, spread, report }: Trained): void {
    if (this.lifetime.disposed) translator.dispose();
    this.lifetime.check();
    this.translator?.dispose();
    this.translator = translator;
    this.spread = spread;
    this.report = report;
  }

  /** Runs `body` under a signal that also fires when this is disposed, and keeps what it found out about the models. */
  job<T>(
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

  /** @throws Tr0nError ERR_NOT_TRAINED */
  trained(): Translator {
    if (!this.translator)
      throw new Tr0nError(
        "ERR_NOT_TRAINED",
        "this Tr0n has no translator yet: call train(), or Tr0n.load a saved one",
      );
    return this.translator;
  }

  /** The rows of latents [n, d] or of the latent's shape; that their numbers are finite, requireFinite() says. @throws ArgumentError */
  latentRows(latents: Tensor): number {
    this.lifetime.check();
    checkTensor("latents", latents);
    const [n = 0, ...row] = latents.shape;
    const { latentSize, latentShape } = this.objective;
    if (row.join() !== String(latentSize) && row.join() !== latentShape.join())
      throw new ArgumentError(
        `latents: expected the shape ${[...new Set([latentShape.join(", "), String(latentSize)])]
          .map((shape) => `[n, ${shape}]`)
          .join(" or ")}, got ${shapeText(latents.shape)}`,
        { code: "ERR_SHAPE_MISMATCH" },
      );
    if (n === 0) throw new ArgumentError("latents: expected at least one row, got none");
    return n;
  }

  /** Conditions as a caller gives them. @throws ArgumentError */
  read(name: string, condition: Condition, signal: AbortSignal): Promise<ConditionRows> {
    return readCondition(name, condition, this, signal);
  }

  /** Latents of samplers as callers get them. */
  latentTensor(latents: Float32Array): Tensor {
    const data = outsideLatents(this.objective.latent, latents);
    return { data, shape: [data.length / this.objective.latentSize, ...this.objective.latentShape] };
  }

  /** Images of latents that nobody outside has, in the generator's range. */
  async imagesOf(latents: Float32Array, signal: AbortSignal): Promise<Images> {
    this.lifetime.check();
    const n = latents.length / this.objective.latentSize;
    const map = await this.objective.images(signal);
    const [output] = await runJob("generate", signal, () => map.run({ owned: latents }, n));
    const { imageShape, layout, range } = this.objective;
    const images = { data: output!.data, shape: [n, ...imageShape], range };
    const plain = layout === null || (isPlain(layout) && layout.shape.length === imageShape.length);
    return plain ? images : { ...images, layout };
  }

  /** Cancels what runs and frees everything but models that the caller loaded. Later calls do nothing. */
  dispose(): void {
    if (!this.lifetime.dispose()) return;
    this.translator?.dispose();
    this.objective.dispose();
    this.opened.dispose();
    for (const model of this.owned) model[Symbol.dispose]();
  }
}

/** What training gives. */
type Trained = Awaited<ReturnType<typeof trainTranslator>>;
