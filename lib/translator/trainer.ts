/** The native training loop of a translator: Adam, cosine schedule, clipped gradients. */
import { checkFunction, checkInteger, checkOptions, checkSignal } from "../base/check.js";
import { ArgumentError } from "../base/errors.js";
import { Lifetime, callNative, runJob, runJobWithProgress } from "../native/job.js";
import { native } from "../native/binding.js";
import type {
  NativeHeldOut,
  NativeTrainer,
  NativeTranslator,
  NativeTrainerProgress,
  NativeTrainerState,
} from "../native/types/translator.js";
import type { NativeObjective } from "../native/types/pipeline.js";
import type { Owned } from "../native/types/values.js";
import { checkKnownNoise, nativeNoise, type KnownNoise } from "./noise.js";
import { checkTensor, type Tensor } from "../base/tensor.js";
import { check } from "../options/check.js";
import { drawnSeed, seedShape } from "../options/common.js";
import {
  boolean,
  byHand,
  integer,
  number,
  object,
  option,
  required,
  type TypeOf,
} from "../options/describe.js";

const counted = integer({ min: 1, max: 2 ** 20 });
/**
 * Of every training.
 *
 * @internal
 */
export const loopOptions = {
  epochs: option(counted, "passes over the pairs", { default: 6 }),
  batchSize: option(counted, "pairs a step", { default: 256 }),
  learningRate: option(number({ above: 0 }), "Adam's rate at the start", {
    more: "It falls to 0 along a cosine.",
    default: 1e-3,
  }),
  clip: option(number({ min: 0 }), "norm to which the whole gradient is clipped; 0 switches it off", {
    default: 1,
  }),
};
/** Looked at where the translator's sizes are known. */
const rows = byHand<Tensor>("Tensor", () => undefined);

/** @internal */
export const trainerOptions = object({
  z: required(rows, "latents [n, d]", {
    more: "They are copied, which holds the calling thread for about 0.2 ms a megabyte.",
  }),
  c: required(rows, "conditions [n, m]; copied as well"),
  y: option(rows, "auxiliary latents [n, auxiliary], for a translator with an auxiliary head"),
  ...loopOptions,
  alpha: option(
    number({ min: 0 }),
    "weight of the negative log-likelihood, or of a deterministic translator's mean squared error",
    { default: 1 },
  ),
  sampleLabels: option(
    boolean(),
    "take c for class probabilities, and train on one-hot labels that are drawn from them anew in each epoch",
    { default: false },
  ),
  conditionNoise: option(
    byHand<KnownNoise>("KnownNoise", checkKnownNoise as (name: string, value: unknown) => KnownNoise),
    "noise on conditions",
    { otherwise: "none" },
  ),
  seed: option(seedShape, "decides the order of pairs, the labels and the noise", { default: drawnSeed }),
});

export type TrainerOptions = TypeOf<typeof trainerOptions>;

export type TrainerProgress = NativeTrainerProgress;
export type TrainerState = NativeTrainerState;

/** What tr0n's own training adds to a Trainer. */
interface TrainerInternals {
  /** The arrays are tr0n's own and their numbers known to be finite: they are neither copied nor looked at again. */
  own?: boolean;
  /** The loss is the mean energy of relaxed draws, through this objective. */
  relaxed?:
    | { readonly objective: NativeObjective; readonly temperature: number; readonly auxiliaryBegin?: number }
    | undefined;
}

/** What a trainer needs of a translator. */
interface Trainable {
  /** d */
  readonly latent: number;
  /** m */
  readonly condition: number;
  /** Numbers of the auxiliary head; 0 without one. */
  readonly auxiliary: number;
  readonly native: NativeTranslator;
}

/**
 * Trains a translator in place: each `run(count)` makes that many steps. The result does not depend on how they are split.
 *
 *     using trainer = translator.trainer({ z, c, epochs: 6 });
 *     while (trainer.step < trainer.steps) console.log((await trainer.run(100)).loss);
 */
export class Trainer implements Disposable {
  /** Steps of all epochs together. */
  readonly steps: number;
  /** Steps of one epoch; its last batch may be smaller. */
  readonly stepsPerEpoch: number;
  private readonly lifetime = new Lifetime("the trainer");
  private readonly handle: NativeTrainer;
  /** The arrays that it gets are tr0n's own. */
  private readonly own: boolean;

  /** `own` is for tr0n's own modules. */
  constructor(translator: Trainable, options: TrainerOptions, own: TrainerInternals = {}) {
    const o = check(trainerOptions, options, { name: "options" });
    const rows = own.own ? shapeOnly : finiteRows;
    const n = rows("z", o.z, translator.latent);
    same("c", rows("c", o.c, translator.condition), n);
    if (translator.auxiliary > 0) same("y", rows("y", o.y as Tensor, translator.auxiliary), n);
    else if (o.y !== undefined)
      throw new ArgumentError("y: this translator has no auxiliary head, so expected none");
    const { epochs, batchSize: batch, learningRate, clip, alpha, sampleLabels } = o;
    const config = {
      epochs,
      batch,
      learningRate,
      clip,
      alpha,
      sampleLabels,
      ...nativeNoise(o.conditionNoise, translator.condition),
      ...(own.relaxed ? { ...own.relaxed, objective: undefined, loss: "relaxed" as const } : {}),
      seed: BigInt(o.seed),
    };
    this.own = own.own === true;
    const taken = (tensor: Tensor): Float32Array | Owned<Float32Array> => this.taken(tensor);
    this.handle = callNative(() =>
      native().createTrainer(
        translator.native,
        config,
        taken(o.z),
        taken(o.c),
        o.y ? taken(o.y) : null,
        n,
        own.relaxed?.objective,
      ),
    );
    this.steps = this.handle.steps;
    this.stepsPerEpoch = this.steps / epochs;
  }

  /** Steps done. */
  get step(): number {
    return this.native.step();
  }

  /**
   * Makes at most `count` more steps (default: all that are left) and resolves with the last progress.
   *
   * @throws Tr0nError ERR_DIVERGED when the loss is not a finite number; AbortError
   */
  async run(
    count: number = this.steps,
    options?: { onProgress?: (progress: TrainerProgress) => void; signal?: AbortSignal },
  ): Promise<TrainerProgress> {
    const o = checkOptions("options", options, ["onProgress", "signal"]);
    checkInteger("count", count, 1, { min: 1 });
    checkFunction("options.onProgress", o.onProgress);
    checkSignal("options.signal", o.signal);
    return this.lifetime.run("training", o.signal, (signal) =>
      runJobWithProgress("training", signal, o.onProgress, (report) => this.native.run(count, report)),
    );
  }

  /** Mean −log q(z|c) of held-out pairs, in nats; for a deterministic translator their mean squared error. */
  async heldOutLoss(z: Tensor, c: Tensor, options?: { signal?: AbortSignal }): Promise<number> {
    return (await this.heldOut({ z, c }, options)).loss;
  }

  /** The same, and the mean squared error of each number of y where there is one. For tr0n's own modules. */
  async heldOut(
    { z, c, y }: { z: Tensor; c: Tensor; y?: Tensor | undefined },
    options?: { signal?: AbortSignal },
  ): Promise<NativeHeldOut> {
    const o = checkOptions("options", options, ["signal"]);
    checkSignal("options.signal", o.signal);
    checkTensor("z", z);
    checkTensor("c", c);
    return this.lifetime.run("heldOutLoss", o.signal, (signal) =>
      runJob("heldOutLoss", signal, () =>
        this.native.heldOut(this.taken(z), this.taken(c), y ? this.taken(y) : null, z.shape[0]!),
      ),
    );
  }

  /** The translator's parameters, Adam's state and the number of steps done: what setState() needs to resume. */
  async state(): Promise<TrainerState> {
    return this.lifetime.run("state", undefined, (signal) =>
      runJob("state", signal, () => this.native.state()),
    );
  }

  /**
   * Resumes from a state of state(): the translator's parameters become the state's, and the next run() continues there.
   *
   * @throws ArgumentError for a state of another training
   */
  async setState(state: TrainerState): Promise<void> {
    return this.lifetime.run("setState", undefined, (signal) =>
      runJob("setState", signal, () => this.native.setState(state)),
    );
  }

  dispose(): void {
    if (this.lifetime.dispose()) this.handle.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  private taken({ data }: Tensor): Float32Array | Owned<Float32Array> {
    return this.own ? { owned: data } : data;
  }

  private get native(): NativeTrainer {
    this.lifetime.check();
    return this.handle;
  }
}

function finiteRows(name: string, value: Tensor, columns: number): number {
  checkTensor(name, value, { finite: true });
  return shapeOnly(name, value, columns);
}

function shapeOnly(name: string, value: Tensor, columns: number): number {
  checkTensor(name, value);
  if (value.shape.length !== 2 || value.shape[1] !== columns)
    throw new ArgumentError(`${name}: expected the shape [n, ${columns}], got [${value.shape.join(", ")}]`, {
      code: "ERR_SHAPE_MISMATCH",
    });
  if (value.shape[0] === 0) throw new ArgumentError(`${name}: expected at least one row, got none`);
  return value.shape[0]!;
}

function same(name: string, got: number, n: number): void {
  if (got !== n)
    throw new ArgumentError(`${name}: expected as many rows as z has (${n}), got ${got}`, {
      code: "ERR_SHAPE_MISMATCH",
    });
}
