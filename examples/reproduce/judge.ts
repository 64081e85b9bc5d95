/** The attribute classifier as the judge of text conditions: what it sees in images, and its features of them. */
import { argmax } from "../../lib/evaluate/exact.js";
import { loadModel, type Model, type Tensor } from "../../lib/index.js";
import { DataType, decodeModel, encodeModel } from "../../lib/onnx/index.js";
import { findPenultimate } from "../../lib/onnx/penultimate.js";
import { attributeNames, attributes, type Wanted } from "../prompts.js";

/** Images a call, so that they need not all be in memory. */
const block = 500;

export class Judge implements Disposable {
  private constructor(
    private readonly model: Model,
    private readonly feature: string,
    readonly width: number,
  ) {}

  static async open(classifier: Uint8Array): Promise<Judge> {
    const graph = decodeModel(classifier, "attribute-classifier.onnx");
    const { name, row } = findPenultimate(graph, "digit");
    graph.outputs.push({ name, elemType: DataType.FLOAT, dims: ["batch", ...row] });
    return new Judge(await loadModel(encodeModel(graph)), name, row[0]!);
  }

  /** Features [n, width] and the number of images of the latents that have digit and colours as wanted. */
  async judge(
    generate: (latents: Tensor) => Promise<Tensor>,
    { data, shape }: Tensor,
    wanted: Wanted,
  ): Promise<{ features: Float32Array; right: number }> {
    const [n, d] = shape as [number, number];
    const features = new Float32Array(n * this.width);
    const named = attributeNames.filter((kind) => kind !== "thickness" && wanted[kind] !== undefined);
    let right = 0;
    for (let first = 0; first < n; first += block) {
      const count = Math.min(block, n - first);
      const rows = { data: data.slice(first * d, (first + count) * d), shape: [count, d] };
      const out = await this.model.run(await generate(rows));
      features.set(out[this.feature]!.data, first * this.width);
      for (let i = 0; i < count; i++)
        if (
          named.every((kind) => {
            const classes = attributes[kind].length;
            return argmax(out[kind]!.data.subarray(i * classes, (i + 1) * classes)) === wanted[kind];
          })
        )
          right++;
    }
    return { features, right };
  }

  [Symbol.dispose](): void {
    this.model[Symbol.dispose]();
  }
}
