import { ArgumentError } from "./errors.js";
import { conditionGraph, dimsOf, lastOperator, stageGraph } from "./graphs.js";
import { readImage } from "./image.js";
import { runJob } from "./job.js";
import { native } from "./native.js";
import { compose, type Graph } from "./onnx/index.js";
import type { Tensor } from "./tensor.js";
import type { Tr0n } from "./tr0n.js";
import { openGraph } from "./weights.js";

/**
 * The condition [1, m] that an image file stands for: what the encoder says about it, in the form of conditions.
 *
 * @throws FileError when it cannot be read or is no image; ArgumentError for a generator that makes no images
 */
export async function encodeImage(tr0n: Tr0n, path: string, signal?: AbortSignal): Promise<Tensor> {
  const { objective } = tr0n;
  const [channels = 0, height = 0, width = 0] = objective.imageShape;
  if (objective.imageShape.length !== 3 || (channels !== 1 && channels !== 3))
    throw new ArgumentError(
      `image: expected a generator of images [1 or 3, height, width] to go with, got [${objective.imageShape.join(", ")}]`,
    );
  const image = await readImage(path, { height, width });
  const input = channels === 3 ? image : luma(image);

  const encoder = await objective.encoder.graph(signal);
  encoder.outputs = encoder.outputs.filter((output) => output.name === objective.encoderOutput);
  const parts: Graph[] = [];
  let dims: readonly (number | string | null)[] = input.shape;
  for (const stage of objective.stages) {
    const graph = stageGraph(stage, dims);
    dims = dimsOf(graph, graph.outputs[0]!.name) ?? dims;
    parts.push(graph);
  }
  const scores = dimsOf(encoder, objective.encoderOutput) ?? [null, objective.conditionSize];
  const softmax = lastOperator(encoder, objective.encoderOutput) === "Softmax";
  parts.push(encoder, conditionGraph(scores, objective.conditionKind, softmax));
  const joined = parts.reduce((first, second, index) =>
    compose(
      first,
      second,
      { [second.inputs[0]!.name]: first.outputs[0]!.name },
      { prefix: `part_${index}/`, keepOutputs: [] },
    ),
  );
  const name = "encoder → condition";
  const session = await openGraph(joined, { threads: native().threads(), name, what: "encode", signal });
  try {
    const inputs = { [joined.inputs[0]!.name]: input };
    const [condition] = Object.values(await runJob("encode", signal, () => session.run(inputs)));
    return { data: condition!.data as Float32Array, shape: [1, objective.conditionSize] };
  } finally {
    session.dispose();
  }
}

/** [1, 3, H, W] → [1, 1, H, W]. */
function luma(image: Tensor): Tensor {
  const [, , height, width] = image.shape as [number, number, number, number];
  const plane = height * width;
  const data = Float32Array.from({ length: plane }, (_, i) => {
    const [r, g, b] = [0, 1, 2].map((k) => image.data[k * plane + i]!) as [number, number, number];
    return 0.299 * r + 0.587 * g + 0.114 * b;
  });
  return { data, shape: [1, 1, height, width] };
}
