/** Generator, stages, encoder and energy, tried on latents of the prior and checked against each other. */
import { shapeText } from "../base/check.js";
import { batchFirst, checkRows, type AxisSearch, type Change } from "../model/batch-axis.js";
import { openBatch } from "../model/open-batch.js";
import type { Decisions } from "../base/decisions.js";
import {
  checkKind,
  decideKind,
  formerKind,
  formerKindTold,
  type DecidedKind,
  type KindQuestion,
} from "./encoder-kind.js";
import { flattenComplete, energy as energies, type Energy, type FlatEnergy } from "./energy.js";
import { ArgumentError, ModelError } from "../base/errors.js";
import { concatenate, elementCount, type Tensor } from "../base/tensor.js";
import { rangeProblems, stagedRanges } from "./expected-range.js";
import { isFilm } from "../image/films.js";
import { decideRange, lookAtValues } from "./generator-range.js";
import { defaultRange, rangeText, type Range } from "../base/range.js";
import { tellBarrier } from "./gradient-check.js";
import type { Latent } from "../latent/latent.js";
import { latentTensors, type LatentInput } from "../latent/inputs.js";
import { LatentSource, type OpenMapping } from "../latent/source.js";
import { fits, type LoadedModel } from "../model/model.js";
import type { ObjectiveOptions } from "./options.js";
import { readsRange } from "./stages.js";
import type { GradientBarrier, OutputFacts } from "../model/output-facts.js";
import { openingStage } from "../base/opening.js";
import { probeRows, runRows, runStages } from "./probe.js";
import { latentRows } from "./probe-rows.js";
import { checkTakes, tryEncoder, type TriedEncoder, type ProbeImages } from "./encoder-trial.js";
import { checkEnergyFits } from "./energy-check.js";
import { generatorInputs } from "./generator-inputs.js";
import { onlyInput, pickOutput } from "./model-ends.js";
import { chainEnd, chainOf, picturesOf, type Link, type Pictures } from "./chain.js";
import { barrierWithin, probeSeed, refuseRandom, rowsAtOnce, tryRows } from "./trial.js";

/** What was found out about everything. */
export interface Assembly {
  /** The generator, or a view of it whose first axes are the batch. */
  readonly generator: LoadedModel;
  readonly latent: Latent;
  /** One latent as it goes into the pipeline: as the generator takes it, or [d] where `inputs` are made of it. */
  readonly latentShape: readonly number[];
  /** The generator's inputs; null where it takes latents as they are. */
  readonly inputs: readonly LatentInput[] | null;
  /** Draws latents, and knows their density. */
  readonly source: LatentSource;
  readonly imageShape: readonly number[];
  /** The stages between generator and encoder. */
  readonly chain: readonly Link[];
  /** How rows of the generator are pictures. */
  readonly pictures: Pictures;
  /** The numbers of black and of white. */
  readonly range: Range;
  readonly generatorOutput: string;
  readonly generatorBatch: number;
  readonly encoder: TriedEncoder;
  readonly pair: TriedEncoder | null;
  readonly energy: Energy;
  readonly flat: FlatEnergy;
  /** Latents of the prior that the generator was tried with, as it takes them, and the images it made. */
  readonly tried: {
    readonly latents: Float32Array;
    readonly inputs: Record<string, Tensor>;
    readonly images: Tensor;
  };
  /** Why the energy has no gradient with respect to the latent; null where it has one, as far as one can see. */
  readonly barrier: GradientBarrier | null;
}

/**
 * Checks that everything fits, running both models on latents of the prior: on a few rows where everything is known, else
 * on as many as it takes to see what their numbers are.
 *
 * @throws as Objective.create()
 */
export async function assemble(options: ObjectiveOptions, openMapping: OpenMapping): Promise<Assembly> {
  const { decisions, signal } = options;
  const { generator: model } = options;
  for (const role of ["generator", "encoder", "pairEncoder"] as const) {
    const loaded = options[role];
    if (loaded && typeof loaded !== "function")
      for (const told of loaded.decided) decisions.add({ option: role, ...told });
  }
  const output = options.generatorOutput ?? model.outputs[0]?.name ?? "";
  const search = {
    ...{ role: "generator", model, output, decisions, signal },
    rowsOf: latentRows(options.latent, probeSeed, signal),
  };
  return assembleBatchFirst(await batchFirst(search), search, options, openMapping);
}

/** The same with a generator whose first axes are the batch, or are taken for it until a probe shows others. */
async function assembleBatchFirst(
  generator: LoadedModel,
  search: AxisSearch,
  options: ObjectiveOptions,
  openMapping: OpenMapping,
): Promise<Assembly> {
  const { encoder, signal, decisions, origin = "options" } = options;
  const [latent, taken, declared] = generatorInputs(
    generator,
    options.latent,
    await generator.classCounts(signal),
  );
  const generatorOutput = pickOutput("generator", generator, options.generatorOutput);
  const generatorFacts = await generator.facts(generatorOutput, signal);
  refuseRandom("generator", generator.name, generatorFacts);
  const [only] = taken;
  const plain = taken.length === 1 && !only!.broadcast && !only!.label;
  const latentShape = plain ? only!.row : [latent.dim];
  const step = openingStage(options.onOpening, "models", 2);
  const source = await LatentSource.create(latent, openMapping, signal);
  let drawn: Pick<Assembly["tried"], "latents" | "inputs"> = { latents: new Float32Array(0), inputs: {} };
  const through = async (
    model: LoadedModel,
    first: number,
    n: number,
    change: Change = "none",
  ): Promise<Tensor> => {
    const latents = await source.draw(probeSeed, 0, first, n, { signal });
    const last = (n - 1) * latent.dim;
    if (change !== "none") latents.copyWithin(last, 0, latent.dim);
    if (change === "far") for (let i = last; i < latents.length; i++) latents[i]! *= -8;
    const inputs = latentTensors(latents, n, taken);
    if (first === 0 && change === "none") drawn = { latents, inputs };
    return (await model.run(inputs, { signal }))[generatorOutput]!;
  };
  const generate = (first: number, n: number, change?: Change): Promise<Tensor> =>
    through(generator, first, n, change);
  const checked = await checkRows(
    { ...search, model: generator },
    await tryRows("generator", generator, rowsAtOnce(search, generatorFacts, declared), signal, (n) =>
      generate(0, n),
    ),
    (n, change) => generate(0, n, change),
  );
  if ("moved" in checked) return assembleBatchFirst(checked.moved, search, options, openMapping);
  const images = checked;
  if (images.fixed > 0 && !generatorFacts.scalesByBatch) {
    const opened = await openBatch(search, generator, images.fixed, images.tensor, through);
    if (opened) return assembleBatchFirst(opened, search, options, openMapping);
  }
  if (images.tensor.shape.length < 2)
    throw new ArgumentError(
      `generator: expected an output [${images.rows}, …] for ${images.rows} latents, got ${shapeText(images.tensor.shape)} ` +
        `from ${generator.name}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  if (!images.tensor.data.every(Number.isFinite))
    throw new ModelError(
      "ERR_RUN_FAILED",
      `${generator.name}: gives numbers that are not finite for a latent of the prior`,
    );
  step();
  const imageShape = images.tensor.shape.slice(1);
  const encoderInput = onlyInput("encoder", encoder.withFloatEdges());
  const chain = await chainOf(options.stages, {
    ...{ row: imageShape, input: encoderInput.shape, augmented: options.augment !== undefined, signal },
    decisions: origin === "options" ? decisions : undefined,
  });
  const staged = chainEnd(chain, imageShape);
  const pictures = picturesOf(chain, imageShape);

  const given = options.energy && flattenComplete(options.energy);
  const crossEntropy = given && given.condition === "probabilities";
  // The batch may turn out to be another axis than the first.
  if (!encoderInput.shape.some((_, axis, all) => fits(staged, all.toSpliced(axis, 1))))
    checkTakes("encoder", encoder, encoderInput, staged, imageShape);
  // Everything that a file says needs no look.
  const wanted = origin === "file" ? images.rows : probeRows(generatorFacts.rowFlops, imageShape, staged);
  const more = await runRows(images.rows, wanted, images.fixed, generate);
  const probed = concatenate([images.tensor.data, ...more]);
  if (origin === "options") tellStill(probed, elementCount(imageShape), decisions);
  const range = rangeOfImages(
    options,
    pictures.layout !== null || isFilm(imageShape),
    imageShape,
    generatorFacts,
    probed,
  );
  const ranges = stagedRanges(
    range,
    chain.map(({ stage }) => stage),
  );
  const probe: ProbeImages = {
    imageShape,
    shape: staged,
    images: await runStages(probed, chain, ranges.before, signal),
    decisions,
  };
  const tried = await tryEncoder(
    "encoder",
    encoder,
    options.encoderOutput,
    probe,
    signal,
    (question) => encoderKindOf(options, { ...question, crossEntropy }),
    (told) => decisions.add({ option: "encoderKind", ...told }),
  );
  step();
  if (origin === "options" && pictures.layout)
    for (const problem of rangeProblems(range, chain, {
      name: encoder.name,
      scaling: tried.facts.scaling,
    }))
      decisions.add(problem);

  const energy = options.energy ?? (tried.kind === "embedding" ? energies.cosine() : energies.crossEntropy());
  const flat = flattenComplete(energy);
  const size = elementCount(tried.row);
  const own = checkEnergyFits(flat, encoder, tried, size, options.encoderKind !== undefined);
  const generatorStop = await barrierWithin(
    generator,
    generatorOutput,
    generatorFacts,
    { inputs: drawn.inputs, outputs: images.tensor },
    signal,
  );
  const stageStop = chain.find(({ stop }) => stop)?.stop ?? null;
  const barrier = generatorStop ?? stageStop ?? tried.stop ?? own;
  if (barrier) tellBarrier(barrier, options.decisions);

  let pair: TriedEncoder | null = null;
  if (options.pairEncoder !== undefined && typeof options.pairEncoder !== "function") {
    pair = await tryEncoder(
      "pairEncoder",
      options.pairEncoder,
      undefined,
      probe,
      signal,
      (question) => pairKindOf(options, { ...question, crossEntropy: flat.condition === "probabilities" }),
      ({ value, ...told }) =>
        decisions.add({ option: "pairEncoder", value: `its output is taken for ${value}`, ...told }),
    );
    if (elementCount(pair.row) !== size)
      throw new ArgumentError(
        `pairEncoder: expected conditions of ${size} numbers as the encoder gives, got ${elementCount(pair.row)}`,
        { code: "ERR_SHAPE_MISMATCH" },
      );
  }
  return {
    generator,
    latent,
    latentShape,
    inputs: plain ? null : taken,
    source,
    imageShape,
    chain,
    pictures,
    range,
    generatorOutput,
    generatorBatch: images.fixed,
    encoder: tried,
    pair,
    energy,
    flat,
    tried: { ...drawn, images: images.tensor },
    barrier,
  };
}

/** What the encoder's output means: as it is given or as a former file took it, or found out. */
function encoderKindOf({ encoderKind, origin }: ObjectiveOptions, question: KindQuestion): DecidedKind {
  if (origin === "former file") {
    const kind = question.crossEntropy ? formerKind(question.facts) : "embedding";
    return { kind, told: formerKindTold(question, kind) };
  }
  if (encoderKind === undefined) return decideKind(question);
  return {
    kind: encoderKind,
    told: origin === "file" ? null : checkKind(encoderKind, question, "encoderKind"),
  };
}

/** The same of a pairEncoder, whose conditions are those of the energy. */
function pairKindOf({ pairEncoderKind, origin }: ObjectiveOptions, question: KindQuestion): DecidedKind {
  if (!question.crossEntropy) return { kind: "embedding", told: null };
  if (pairEncoderKind !== undefined) return { kind: pairEncoderKind, told: null };
  if (origin === "former file") return { kind: formerKind(question.facts), told: null };
  return decideKind(question);
}

/** Takes down that the generator makes one image whatever it is given. */
function tellStill(images: Float32Array, size: number, decisions: Decisions): void {
  const count = images.length / size;
  for (let i = size; i < images.length; i++) if (images[i] !== images[i % size]) return;
  if (count > 1)
    decisions.add({
      option: "latent",
      value: "it has no effect",
      reason: `the generator makes the same image of ${count} draws of it`,
      certain: false,
    });
}

/** The generator's range: as it is given, or found out and told. */
function rangeOfImages(
  { generator, generatorRange, stages, augment, origin, decisions }: ObjectiveOptions,
  picture: boolean,
  imageShape: readonly number[],
  { bounds }: OutputFacts,
  probed: Float32Array,
): Range {
  if (generatorRange !== undefined) return generatorRange;
  // Whoever makes no pictures has no black and white, and nothing here asks for them.
  if (!picture && augment === undefined) return defaultRange;
  const seen = lookAtValues(probed, elementCount(imageShape));
  if (!Number.isFinite(seen.min) || !Number.isFinite(seen.max))
    throw new ModelError(
      "ERR_RUN_FAILED",
      `${generator.name}: gives numbers that are not finite for a latent of the prior`,
    );
  const { range, reason, certain } = decideRange(bounds, seen);
  const former = origin === "former file" && (augment !== undefined || readsRange(stages));
  const decided = former ? defaultRange : range;
  decisions.add({
    option: "generatorRange",
    value: rangeText(decided),
    reason: former
      ? `the file is of a version that took all generators so, and was trained like that (train it again where that is wrong); ${reason}`
      : `${reason}; the encoder receives values in ${rangeText(stagedRanges(range, stages).received)}`,
    certain: former ? rangeText(range) === rangeText(defaultRange) : certain,
  });
  return decided;
}
