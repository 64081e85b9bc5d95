/** Trying models on more rows than shapes need: what their numbers are like can only be seen on several images. */
import { runJob } from "../native/job.js";
import { floats } from "../model/values.js";
import { graphToRun } from "../onnx/index.js";
import type { Link } from "./chain.js";
import { stageGraph } from "./stage-graphs.js";
import { elementCount, type Tensor } from "../base/tensor.js";
import type { Range } from "../base/range.js";
import { openGraph } from "../model/weights.js";

/** Rows of a run where any number will do. */
const openBlock = 8;

/** Operations that a look at a generator's images may take: about a second of two cores. */
const looked = 4e10;

/**
 * Rows that decisions look at: fewer where images are large, or the generator takes long for one.
 *
 * @param rowFlops of the generator; null where nobody knows
 */
export function probeRows(rowFlops: number | null, ...shapes: (readonly number[])[]): number {
  const size = Math.max(...shapes.map((shape) => elementCount(shape)));
  const few = Math.max(2, Math.floor(2 ** 26 / size)); // more would not fit where images are huge
  const affordable = rowFlops ? Math.max(4, Math.floor(looked / rowFlops)) : 32;
  return Math.min(32, few, affordable, Math.max(8, Math.floor(2 ** 21 / size)));
}

/**
 * Rows number `done` … `rows` − 1, some at a time. A model that was exported for `fixed` rows gets no other number, the
 * last of them being surplus.
 */
export async function runRows(
  done: number,
  rows: number,
  fixed: number,
  run: (first: number, n: number) => Promise<Tensor>,
): Promise<Float32Array[]> {
  const parts: Float32Array[] = [];
  for (let at = done; at < rows; at += fixed || openBlock) {
    const wanted = Math.min(fixed || openBlock, rows - at);
    const { data, shape } = await run(at, fixed || wanted);
    parts.push(data.subarray(0, wanted * elementCount(shape.slice(1))));
  }
  return parts;
}

/** Images [n, …], as many as are asked for: where there are fewer they come again. */
export function cycledRows(images: Float32Array, size: number, first: number, n: number): Float32Array {
  const count = images.length / size;
  const rows = new Float32Array(n * size);
  for (let i = 0; i < n; i++) {
    const from = ((first + i) % count) * size;
    rows.set(images.subarray(from, from + size), i * size);
  }
  return rows;
}

/** Rows through stages; `ranges` are those of their values before each of them. */
export async function runStages(
  images: Float32Array,
  links: readonly Link[],
  ranges: readonly Range[],
  signal?: AbortSignal,
): Promise<Float32Array> {
  const what = "trying the stages";
  let staged = images;
  for (const [index, { stage, from }] of links.entries()) {
    const shape = [staged.length / elementCount(from), ...from];
    const graph = graphToRun(stageGraph(stage, ["batch", ...from], ranges[index]!));
    const session = await openGraph(graph, { threads: 1, name: `stage.${stage.kind}`, what, signal });
    try {
      const image = { data: staged, shape };
      const results = floats(await runJob(what, signal, () => session.run({ image })));
      staged = results["staged"]!.data;
    } finally {
      session.dispose();
    }
  }
  return staged;
}
