/** Shapes of emitted values, written into the graph. */
import type { Builder } from "./builder.js";
import type { Steps } from "./steps.js";

/**
 * Writes down what is known of the emitted values. ONNX Runtime loses a symbolic batch at a Reshape or Expand, and does not
 * fuse what it cannot prove to be of one shape: in a ResNet-50 that is every product and sum of adjoints.
 */
export function* declareShapes(b: Builder): Steps<void> {
  const { graph, shapes } = b;
  const outputs = new Set(graph.outputs.map((output) => output.name));
  for (const name of graph.nodes.flatMap((node) => node.outputs)) {
    if (name === "" || outputs.has(name) || graph.valueInfos.has(name)) continue;
    const info = shapes.valueInfo(name);
    yield;
    if (info.elemType !== 0 && info.dims) graph.valueInfos.set(name, info);
  }
}
