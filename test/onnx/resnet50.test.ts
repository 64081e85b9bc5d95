/**
 * ∂E/∂z through a generator, resize and normalise, torchvision's resnet50 and cross-entropy, joined into one graph
 * and held to PyTorch. The model is 100 MB: it is made on demand and not committed.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import {
  Builder,
  compose,
  DataType,
  decodeModel,
  differentiateGraph,
  emptyGraph,
  type Graph,
} from "../../lib/onnx/index.js";
import { runGraph, unpack, type Expected } from "../support/operators.js";

const folder = new URL("../../.cache/onnx/", import.meta.url);

/** Images in [−1, 1] of any size → 64 × 64, normalised as torchvision's models expect. */
function preprocess(): Graph {
  const b = new Builder(emptyGraph("preprocess"));
  const images = b.input("images", DataType.FLOAT, ["batch", 3, "height", "width"]);
  const sizes = b.op("Concat", [b.sizes(images, [0, 1]), b.ints([64, 64])], { axis: 0 });
  const resized = b.op("Resize", [images, null, null, sizes], { mode: "linear" });
  const mean = [0.485, 0.456, 0.406];
  const std = [0.229, 0.224, 0.225];
  const scale = b.constant(
    std.map((s) => 0.5 / s),
    [3, 1, 1],
    DataType.FLOAT,
  );
  const shift = b.constant(
    std.map((s, i) => (0.5 - mean[i]!) / s),
    [3, 1, 1],
    DataType.FLOAT,
  );
  b.output("pixels", b.op("Add", [b.op("Mul", [resized, scale]), shift]));
  return b.graph;
}

/** Cross-entropy per row. */
function crossEntropy(): Graph {
  const b = new Builder(emptyGraph("cross-entropy"));
  const logits = b.input("logits", DataType.FLOAT, ["batch", "classes"]);
  const label = b.input("label", DataType.INT64, ["batch"]);
  const picked = b.op(
    "GatherElements",
    [b.op("LogSoftmax", [logits], { axis: 1 }), b.unsqueeze(label, [1])],
    { axis: 1 },
  );
  b.output("energy", b.op("Neg", [b.op("Squeeze", [picked, b.ints([1])])]));
  return b.graph;
}

describe("onnx: generator + resnet50 + cross-entropy", () => {
  it("∂E/∂z matches PyTorch to 1e-4", async function () {
    if (!existsSync(new URL("expected.json", folder))) {
      process.stdout.write(
        "      skipped: needs `python3 scripts/fixtures/onnx/make.py --resnet50 .cache/onnx` (torch and torchvision)\n",
      );
      return this.skip();
    }
    const read = (name: string): Graph => decodeModel(readFileSync(new URL(name, folder)), name);
    const expected = JSON.parse(readFileSync(new URL("expected.json", folder), "utf8")) as Expected;

    const images = compose(read("generator.onnx"), preprocess(), { images: "y" });
    const logits = compose(images, read("resnet50.onnx"), { x: "pixels" });
    const energy = compose(logits, crossEntropy(), { logits: "y" });
    const graph = differentiateGraph(energy, { wrt: ["z"] });

    const feeds = Object.fromEntries(
      Object.entries(expected.inputs).map(([key, value]) => [key, unpack(value)]),
    );
    const result = await runGraph(graph, { ...feeds, grad_energy: unpack(expected.seed) });
    for (const [actual, packed] of [
      [result.energy!, expected.output],
      [result.grad_z!, expected.gradients.z!],
    ] as const) {
      const truth = unpack(packed).data as Float32Array;
      const norm = Math.hypot(...truth);
      const error = Math.hypot(...Array.from(truth, (v, i) => v - actual.data[i]!)) / norm;
      assert.ok(error <= 1e-4, `relative error ${error}`);
    }
  });
});
