/** The mean of the energy over augmented copies, which are rows of their own behind the generator. */
import { differentiateSimplified } from "../model/differentiate.js";
import { keepRules } from "../model/block-rules.js";
import type { Pipeline } from "../model/pipeline.js";
import type { PipelineOptions } from "../model/pipeline-links.js";
import { segmentSessions } from "../model/row-facts.js";
import { graphAsRun } from "../model/off-loop.js";
import { native } from "../native/binding.js";
import { callNative } from "../native/job.js";
import type { NativeObjective } from "../native/types/pipeline.js";
import { removeDead, targetOf, type Graph, type Target } from "../onnx/index.js";
import type { Range } from "../base/range.js";
import { augmentGraph, nativeAugmentation, type Augmentation } from "./augment.js";

/** What is between images and energy. */
interface AugmentedImages {
  readonly augment: Augmentation;
  /** [C, H, W] */
  readonly imageShape: readonly number[];
  readonly range: Range;
}

/**
 * Generator → copies → objective.
 *
 * @param generator latents → images
 * @param makeObjective images → energies, made once the generator is open
 */
export async function augmentedObjective(
  { augment, imageShape, range }: AugmentedImages,
  generator: Pipeline,
  gradient: boolean,
  options: PipelineOptions,
  makeObjective: () => Promise<NativeObjective>,
  stop: AbortSignal,
): Promise<NativeObjective> {
  const { fixedBatch, open } = options;
  const segments = await generator.asSegments(gradient, options);
  const target = targetOf(generator.device);
  const graph = augmentGraph(augment, imageShape, { range });
  const objective = await makeObjective();
  const augmentation = await open(await graphAsRun(graph, stop, target), "augmentation", generator.device);
  const transpose = gradient
    ? await open(await transposed(graph, target), "augmentation (backward)", generator.device)
    : null;
  const sessions = [...segmentSessions(segments), augmentation, ...(transpose ? [transpose] : [])];
  const facts = await generator.facts(sessions, options);
  const config = {
    generator: segments,
    imageShape,
    policy: nativeAugmentation(augment, imageShape),
    augment: augmentation,
    transpose,
    objective,
    fixedBatch,
    ...facts,
  };
  const augmented = callNative(() => native().createAugmentedObjective(config));
  return keepRules(augmented, facts.ruleKey);
}

/**
 * (parameters, grad_augmented) → grad_image of an augmentation. It is an affine function of the image, so its gradient
 * needs no image.
 */
async function transposed(graph: Graph, target: Target): Promise<Graph> {
  const { graph: gradient } = await differentiateSimplified(
    graph,
    { wrt: ["image"], outputs: ["augmented"], keepOutputs: false, target },
    { name: "augmentation", simplify: true },
  );
  gradient.inputs = gradient.inputs.filter(({ name }) => name !== "image");
  removeDead(gradient);
  return gradient;
}
