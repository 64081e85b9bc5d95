import { ArgumentError } from "./errors.js";
import { readImage } from "./image.js";
import { runJob } from "./job.js";
import { native, type NativeSession } from "./native.js";
import type { Graph } from "./onnx/index.js";
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

  const pipeline = await objective.judged(signal);
  const sessions: NativeSession[] = [];
  const open = async (graph: Graph, name: string): Promise<NativeSession> => {
    const session = await openGraph(graph, { threads: native().threads(), name, what: "encode", signal });
    sessions.push(session);
    return session;
  };
  try {
    const rows = await pipeline.rowMap({
      name: "image → condition",
      fixedBatch: objective.encoderBatch,
      maxBatch: 1,
      open,
    });
    try {
      const [condition] = await runJob("encode", signal, () => rows.run(input.data, 1));
      return { data: condition!.data, shape: [1, objective.conditionSize] };
    } finally {
      rows.dispose();
    }
  } finally {
    for (const session of sessions) session.dispose();
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
