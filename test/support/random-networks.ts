/** Generators, mapping networks and classifiers with random weights, of any size and scale. */
import { Builder, DataType, emptyGraph, encodeModel } from "../../lib/onnx/index.js";
import { seeded } from "./numbers.js";

export interface NetworkOptions {
  seed?: number;
  /** Hidden layers. */
  depth?: number;
  width?: number;
  /** Deviation of the weights in units of 1/√inputs: above 1 sharpens what the layers say. */
  gain?: number;
}

function layers(
  b: Builder,
  x: string,
  from: number,
  to: number,
  { seed = 1, depth = 2, width = 32, gain = 1.4 }: NetworkOptions,
): string {
  let size = from;
  for (let layer = 0; layer <= depth; layer++) {
    const next = layer === depth ? to : width;
    const std = gain / Math.sqrt(size);
    const weights = seeded(1000 * seed + layer)
      .normals(size * next)
      .map((x) => std * x);
    x = b.op("MatMul", [x, b.constant(weights, [size, next], DataType.FLOAT)]);
    if (layer < depth) x = b.op("LeakyRelu", [x], { alpha: 0.2 });
    size = next;
  }
  return x;
}

/** Inputs [N, size] by their names, each with a gain of its own → image [N, 1, 4, 4]. */
export function randomGenerator(
  inputs: Readonly<Record<string, number | { size: number; gain: number }>>,
  options: NetworkOptions = {},
): Uint8Array {
  const b = new Builder(emptyGraph("generator"));
  const { width = 32, gain = 1.4, seed = 1 } = options;
  const parts = Object.entries(inputs).map(([name, given], index) => {
    const { size, gain: own } = typeof given === "number" ? { size: given, gain } : given;
    const z = b.input(name, DataType.FLOAT, ["batch", size]);
    return layers(b, z, size, width, { seed: 10 * seed + index, depth: 0, gain: own });
  });
  const sum = parts.reduce((x, y) => b.op("Add", [x, y]));
  const image = b.op("Tanh", [layers(b, b.op("LeakyRelu", [sum], { alpha: 0.2 }), width, 16, options)]);
  b.output("image", b.reshape(image, [-1, 1, 4, 4]));
  b.graph.outputs[0]!.dims = ["batch", 1, 4, 4];
  return encodeModel(b.graph);
}

/** image [N, 1, 4, 4] → logits [N, classes]. */
export function randomClassifier(classes: number, options: NetworkOptions = {}): Uint8Array {
  const b = new Builder(emptyGraph("classifier"));
  const x = b.op("Flatten", [b.input("x", DataType.FLOAT, ["batch", 1, 4, 4])], { axis: 1 });
  b.output("logits", layers(b, x, 16, classes, { seed: 7, gain: 2, ...options }));
  b.graph.outputs[0]!.dims = ["batch", classes];
  return encodeModel(b.graph);
}

/** z [N, from] → w [N, to], whose numbers go together, as a mapping network's do. */
export function randomMapping(from: number, to: number, options: NetworkOptions = {}): Uint8Array {
  const b = new Builder(emptyGraph("mapping"));
  const z = b.input("z", DataType.FLOAT, ["batch", from]);
  b.output("w", layers(b, z, from, to, { seed: 5, ...options }));
  b.graph.outputs[0]!.dims = ["batch", to];
  return encodeModel(b.graph);
}
