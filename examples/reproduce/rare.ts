/**
 * A rare condition, as a user would put one together: a digit and an unusual stroke width. The attribute classifier says what
 * it makes of both; a few nodes behind its heads turn that into one joint distribution, which energy.crossEntropy() takes.
 */
import { loadModel, type Model } from "../../lib/index.js";
import { Builder, decodeModel, encodeModel } from "../../lib/onnx/index.js";

export type Width = "thin" | "thick";

/** How suddenly a width becomes unusual: between .12 and .88 within 4 / sharpness of the log-odds. */
const sharpness = 4;

/**
 * digit × (ordinary, unusual) [batch, 20], as logits: class 2·digit + 1 is that digit, unusually thin or thick. Unusual is
 * a width whose log-odds against "normal" lie above `threshold`: p = σ(sharpness · (l_width − l_normal − threshold)).
 */
export async function rareEncoder(classifier: Uint8Array, width: Width, threshold: number): Promise<Model> {
  const graph = decodeModel(classifier, "attribute-classifier.onnx");
  const b = new Builder(graph);
  const odds = (name: string): string =>
    b.op("Gather", ["thickness", b.ints([["thin", "normal", "thick"].indexOf(name)])], { axis: 1 });
  const beyond = b.op("Sub", [odds(width), odds("normal")]);
  const over = b.op("Sub", [beyond, b.scalar(threshold, beyond)]);
  const unusual = b.op("Mul", [over, b.scalar(sharpness, over)]);
  const pair = b.op("Concat", [b.op("Mul", [unusual, b.scalar(0, unusual)]), unusual], { axis: 1 });
  const joint = b.op("Add", [b.unsqueeze("digit", [2]), b.unsqueeze(pair, [1])]);
  graph.outputs = [];
  b.output("logits", b.op("Flatten", [joint], { axis: 1 }));
  return loadModel(encodeModel(graph));
}

/** The class that stands for a digit of unusual width. */
export const rareClass = (digit: number): number => 2 * digit + 1;
