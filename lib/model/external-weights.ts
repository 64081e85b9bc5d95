/**
 * Matrices of products that stay in the model's own file until a session needs them. Like files of weights it is read then,
 * into memory, and must be as it was.
 */
import { productWeights, withExternal, type ExternalRange, type Graph } from "../onnx/index.js";
import { checkedLocation, type CheckedFile } from "./checked-file.js";

/** Matrices below this share of a model's bytes come with the rest. */
const leastShare = 0.5;

/**
 * A graph whose matrices of products lie in `file`, from which `bytes` were read; the rest is copied out of `bytes`, so
 * that these can go. The graph as it is where that would save little.
 */
export function leaveProducts(graph: Graph, bytes: Uint8Array, file: CheckedFile): Graph {
  const ranges = new Map<string, ExternalRange>();
  const location = checkedLocation(file);
  let left = 0;
  for (const name of productWeights(graph)) {
    const { rawData } = graph.initializers.get(name)!;
    if (rawData.buffer !== bytes.buffer || rawData.length === 0) continue;
    left += rawData.length;
    ranges.set(name, {
      location,
      offset: rawData.byteOffset - bytes.byteOffset,
      length: rawData.length,
    });
  }
  return left < leastShare * bytes.length ? graph : withExternal(graph, ranges);
}
