/** Augmentation and preprocessing against PyTorch: scripts/fixtures/augment/make.py. */
import { readFileSync } from "node:fs";
import { augmentation, loadModel, tensor, type AugmentationOptions, type Stage } from "../../lib/index.js";
import { augmentGraph, augmentationParameters } from "../../lib/objective/augment.js";
import { stageGraph } from "../../lib/objective/stage-graphs.js";
import { encodeModel, type Graph } from "../../lib/onnx/index.js";
import { close } from "../support/tiny.js";

const fixture = <T>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../fixtures/augment/${name}.json`, import.meta.url), "utf8")) as T;

interface Case {
  shape: number[];
  image: number[];
  cotangent: number[];
  gradient: number[];
}

/** Output and gradient with respect to the image of a graph with the first output `name`. */
async function valueAndGradient(graph: Graph, name: string, outputShape: number[], c: Case, rest = {}) {
  using model = await loadModel(encodeModel(graph));
  const inputs = { image: tensor(c.image, c.shape), ...rest };
  const { outputs, gradients } = await model.vjp(inputs, { [name]: tensor(c.cotangent, outputShape) });
  return [outputs[name]!.data, gradients["image"]!.data] as const;
}

/** An operation of DiffAugment alone. */
function only(kinds: readonly string[]): AugmentationOptions {
  return {
    color: kinds.includes("color"),
    ...(kinds.includes("translation") ? {} : { translation: 0 }),
    ...(kinds.includes("resize") ? {} : { resize: false }),
    ...(kinds.includes("cutout") ? {} : { cutout: 0 }),
  };
}

describe("augmentation as PyTorch computes it", () => {
  type Augmented = Case & { name: string; policy: string[]; parameters: number[]; augmented: number[] };
  for (const c of fixture<Augmented[]>("augment"))
    it(c.name, async () => {
      const parameters = tensor(c.parameters, [c.shape[0]!, augmentationParameters.length]);
      const graph = augmentGraph(augmentation.policy(only(c.policy)), c.shape.slice(1));
      const [value, gradient] = await valueAndGradient(graph, "augmented", c.shape, c, { parameters });
      close(value, c.augmented, 1e-5, "value");
      close(gradient, c.gradient, 1e-5, "gradient");
    });
});

describe("stages as PyTorch computes them", () => {
  type Staged = Case & { stage: Stage; staged: number[]; stagedShape: number[] };
  for (const c of fixture<Staged[]>("stages"))
    it(`${JSON.stringify(c.stage)} of ${c.shape.join("×")}`, async () => {
      const graph = stageGraph(c.stage, ["batch", ...c.shape.slice(1)]);
      const [value, gradient] = await valueAndGradient(graph, "staged", c.stagedShape, c);
      close(value, c.staged, 1e-5, "value");
      close(gradient, c.gradient, 1e-5, "gradient");
    });
});
