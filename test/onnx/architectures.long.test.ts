/**
 * Gradients of whole architectures, held to PyTorch's autograd in float64 (scripts/fixtures/architectures/make.py):
 * small generators and encoders in the repository, torchvision's models in .cache, made on demand.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { differentiateSimplified } from "../../lib/model/differentiate.js";
import { energy, flattenComplete } from "../../lib/objective/energy.js";
import { energyGraph } from "../../lib/objective/energy-graph.js";
import { stageGraph } from "../../lib/objective/stage-graphs.js";
import { compose, decodeModel, differentiateGraph, inferShapes, type Graph } from "../../lib/onnx/index.js";
import { stage } from "../../lib/objective/stages.js";
import {
  assertRelative,
  head,
  run,
  session,
  unpack,
  type Expected,
  type Feed,
} from "../support/operators.js";

const small = new URL("../fixtures/architectures/", import.meta.url);
const large = new URL("../../.cache/architectures/", import.meta.url);

/** Names of the models that .cache holds once they are made (scripts/fixtures/architectures/large.py). */
const torchvision = [
  "resnet50",
  "inception_v3",
  "vit_b_32",
  "efficientnet_b0",
  "mobilenet_v3_small",
  "convnext_tiny",
  "swin_t",
  "vgg16",
];

/** The same of networks as official code exports them, at published widths. */
const published = "clip_vit sd_vae r3gan dinov2 siglip".split(" ").map((name) => `published_${name}`);

interface Case extends Expected {
  opset: number;
  /** Whether the batch is free. */
  dynamic: boolean;
}

/** As the file is, and after simplification, which every model goes through by default. */
async function check(name: string, graph: Graph, expected: Case): Promise<void> {
  await checkGradients(name, differentiateGraph(graph), expected);
  const simplified = await differentiateSimplified(graph, {}, { name, simplify: true });
  assert.equal(simplified.kept, null);
  await checkGradients(`${name}, simplified`, simplified.graph, expected);
}

/** Outputs and gradients at the fixture's batch and, where the batch is free, at one row. */
async function checkGradients(name: string, graph: Graph, expected: Case): Promise<void> {
  const feeds: Record<string, Feed> = { grad_output: unpack(expected.seed) };
  for (const [key, value] of Object.entries(expected.inputs)) feeds[key] = unpack(value);
  const truth: Record<string, Feed> = { output: unpack(expected.output) };
  for (const [key, value] of Object.entries(expected.gradients)) truth[`grad_${key}`] = unpack(value);

  const rows = feeds.grad_output!.dims[0]!;
  const opened = await session(graph, 2);
  try {
    for (const batch of expected.dynamic ? [rows, 1] : [rows]) {
      const cut = (given: Record<string, Feed>): Record<string, Feed> =>
        Object.fromEntries(Object.entries(given).map(([key, feed]) => [key, head(feed, batch)]));
      const result = await run(opened, cut(feeds));
      for (const [key, value] of Object.entries(cut(truth))) {
        assert.deepEqual([...result[key]!.dims], value.dims, `${name}: shape of ${key} at batch ${batch}`);
        assertRelative(result[key]!.data, value.data, 1e-4, `${name}: ${key} at batch ${batch}`);
      }
    }
  } finally {
    await opened.release();
  }
}

function load(folder: URL, name: string): { graph: Graph; expected: Case } {
  const read = (file: string): Uint8Array => readFileSync(new URL(file, folder));
  return {
    graph: decodeModel(read(`${name}.onnx`), name),
    expected: JSON.parse(Buffer.from(read(`${name}.json`)).toString()) as Case,
  };
}

describe("onnx: gradients of generators and encoders", () => {
  const names = readdirSync(small)
    .filter((file) => file.endsWith(".onnx"))
    .map((file) => file.slice(0, -".onnx".length));
  for (const name of names)
    it(`${name}: as PyTorch's to 1e-4`, async () => {
      const { graph, expected } = load(small, name);
      assert.equal(graph.opsets.get(""), expected.opset);
      await check(name, graph, expected);
    });
});

describe("onnx: gradients of torchvision's models, and of others at published widths", function () {
  this.timeout(600_000);
  for (const name of [...torchvision, ...published])
    it(`${name}: as PyTorch's to 1e-4`, async function () {
      if (!existsSync(new URL(`${name}.json`, large))) {
        process.stdout.write(
          `      skipped: needs \`python3 scripts/fixtures/architectures/make.py --large .cache/architectures ${name}\` ` +
            "(torch and torchvision)\n",
        );
        return this.skip();
      }
      const { graph, expected } = load(large, name);
      await check(name, graph, expected);
    });
});

interface Composed extends Expected {
  generator: string;
  tower: string;
  /** The side of the tower's images. */
  size: number;
}

/** The graph that a sampler differentiates: as lib/objective/objective.ts joins it. */
function join({ generator, tower, size, inputs }: Composed): Graph {
  const model = (name: string): Graph => load(small, name).graph;
  let graph = model(generator);
  const append = (next: Graph, input: string, prefix: string): void => {
    graph = compose(graph, next, { [input]: graph.outputs[0]!.name }, { prefix, keepOutputs: [] });
  };
  const dims = inferShapes(graph).valueInfo("output").dims ?? graph.outputs[0]!.dims!;
  append(stageGraph(stage.clip({ size }), [dims[0]!, 3, ...dims.slice(2)]), "image", "stage/");
  append(model(tower), "image", "encoder/");
  const width = inputs.condition!.dims[1]!;
  const terms = flattenComplete(energy.cosine());
  append(energyGraph(terms, [graph.outputs[0]!.dims![0]!, width], width, "logits"), "output", "energy/");
  return graph;
}

/** Rows scaled to length 1, as conditions of a cosine come. */
function directions({ data, dims }: Feed): Feed {
  const width = dims[1]!;
  const unit = Float32Array.from(data);
  for (let at = 0; at < unit.length; at += width) {
    const row = unit.subarray(at, at + width);
    row.set(row.map((x) => x / Math.hypot(...row)));
  }
  return { dims, data: unit };
}

describe("onnx: generator → resize → CLIP tower → cosine energy", () => {
  const folder = new URL("composed/", small);
  for (const file of readdirSync(folder)) {
    const expected = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as Composed;
    it(`${expected.generator} and ${expected.tower}: ∂E/∂z as PyTorch's to 1e-4`, async () => {
      const wrt = Object.keys(expected.gradients);
      const graph = differentiateGraph(join(expected), { wrt });
      const opened = await session(graph);
      try {
        const given: Record<string, Feed> = { grad_energy: unpack(expected.seed) };
        for (const [key, value] of Object.entries(expected.inputs)) given[key] = unpack(value);
        given.condition = directions(given.condition!);
        for (const batch of [given.condition!.dims[0]!, 1]) {
          const cut = (feed: Feed): Feed => head(feed, batch);
          const feeds = Object.fromEntries(Object.entries(given).map(([key, feed]) => [key, cut(feed)]));
          const result = await run(opened, feeds);
          assertRelative(result.energy!.data, cut(unpack(expected.output)).data, 1e-4, "energy");
          for (const key of wrt)
            assertRelative(
              result[`grad_${key}`]!.data,
              cut(unpack(expected.gradients[key]!)).data,
              1e-4,
              `${file}: grad_${key} at batch ${batch}`,
            );
        }
      } finally {
        await opened.release();
      }
    });
  }
});
